//! A stream ends when what opened it does: a credential that ended, or a role that was taken
//! away, stops what is still being sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tonic::{Code, Status};

use super::Principals;
use crate::access::{Caller, Credential};

/// How often it is asked whether the caller still may. With the age of what [`Principals`]
/// remember and the time of a look-up, a stream ends within 5 s of its credential.
const INTERVAL: Duration = Duration::from_secs(1);

/// Whoever opened a stream, and the credential that they did it with.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) principals: Principals,
    pub(super) credential: Credential,
    pub(super) caller: Caller,
}

impl Opener {
    /// Whether they may still do what they did. While that cannot be said, they may.
    async fn still_may(self) -> Result<(), Status> {
        let principal = match self.principals.look_up(self.credential).await {
            Ok(principal) => principal,
            Err(error) => {
                let status = Status::from(error);
                return match status.code() {
                    Code::Unauthenticated => Err(status),
                    _ => Ok(()),
                };
            }
        };
        let caller = Caller {
            principal,
            ..self.caller
        };
        Ok(caller.check()?)
    }
}

/// The answer to a call, whose body ends early if its opener is no longer let in.
pub(super) fn end_with(opener: Opener, response: Response) -> Response {
    response.map(|body| {
        // Its whole answer is there: a refusal.
        if body.is_end_stream() {
            return body;
        }
        let mut due = interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Body::new(Watched {
            body,
            opener,
            due,
            check: None,
            ended: false,
        })
    })
}

/// A body whose opener is looked at now and then.
struct Watched {
    body: Body,
    opener: Opener,
    due: Interval,
    check: Option<Check>,
    ended: bool,
}

type Check = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

impl Watched {
    /// Ready when nothing is in the way of sending on.
    fn poll_let_in(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        loop {
            if let Some(check) = &mut self.check {
                let outcome = ready!(check.as_mut().poll(context));
                self.check = None;
                outcome?;
            }
            if self.due.poll_tick(context).is_pending() {
                return Poll::Ready(Ok(()));
            }
            self.check = Some(Box::pin(self.opener.clone().still_may()));
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Err(status) = ready!(self.poll_let_in(context)) {
            self.ended = true;
            // What it was to send, and what makes it, goes at once.
            self.body = Body::empty();
            return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It may be cut.
        SizeHint::default()
    }
}

/// A status where a stream ends.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if let Err(unencodable) = status.add_header(&mut trailers) {
        // It has no details.
        let _ = unencodable.add_header(&mut trailers);
    }
    trailers
}
