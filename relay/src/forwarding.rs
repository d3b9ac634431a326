//! The calls that a relay passes upstream: test keys set flags at the server alone, and whoever
//! has one need not know where that is. Only the key is checked here. What was sent goes up
//! unchanged, with the caller's own key, and what was answered comes down unchanged. From where
//! it came, the relay says itself: upstream may believe it, and must not believe the caller.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use burgee::sync::{Connections, Lease};
use burgee_hub::Hub;
use burgee_hub::credential::TEST_KEY_METHODS;
use burgee_proto::types::v1::ErrorReason;
use burgee_runtime::ClientAddress;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, COOKIE, DATE, HOST};
use http::header::{ORIGIN, REFERER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use tonic::metadata::MetadataMap;
use tonic::{Code, ConnectError, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service as _, ServiceExt as _};

/// The largest request, and the largest answer, in bytes: what the server takes, and the frame.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024 + 5;
/// Relays that a call passes at most: two that are each other's upstream end it here.
const HOPS_MAX: u16 = 8;
/// How many relays a call has passed.
const HOPS: HeaderName = HeaderName::from_static("burgee-hops");
/// What is between two machines, or of the page that a browser shows, and not of the call.
const NOT_PASSED_UP: [HeaderName; 8] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    ACCEPT,
    ACCEPT_ENCODING,
    COOKIE,
    ORIGIN,
    REFERER,
];
/// What this relay says itself of each answer.
const NOT_PASSED_DOWN: [HeaderName; 3] = [CONTENT_LENGTH, DATE, VARY];
/// And what begins so: CORS.
const CORS: &str = "access-control-";
/// When to try again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Passes calls upstream. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Forwarding {
    hub: Hub,
    upstream: Connections,
}

/// Why there is no answer from an address.
enum Lost {
    /// Nobody could be asked.
    BeforeAsking,
    /// Somebody was asked, and nobody knows what came of it.
    AfterAsking,
}

impl Forwarding {
    /// To `upstream`, for keys that `hub` knows.
    pub(crate) fn new(hub: Hub, upstream: Connections) -> Self {
        Self { hub, upstream }
    }

    /// The methods that are passed on. Belongs inside the gRPC-web layer, as any service.
    pub(crate) fn router(&self) -> Router {
        let methods = TEST_KEY_METHODS.into_iter();
        methods.fold(Router::new(), |router, method| {
            let forwarding = self.clone();
            let pass = async move |request: Request| {
                let passed = forwarding.pass(method, request).await;
                passed.unwrap_or_else(Status::into_http)
            };
            router.route(method, post(pass))
        })
    }

    async fn pass(&self, method: &'static str, request: Request) -> Result<Response, Status> {
        let (head, body) = request.into_parts();
        let metadata = MetadataMap::from_headers(head.headers.clone());
        self.hub.check_test_key(&metadata, &head.extensions).await?;
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body
            .map_err(|_| Status::invalid_argument("the request is too long, or broke off"))?
            .to_bytes();
        let caller = ClientAddress::of(&head.extensions);
        let headers = headers_up(head.headers, caller).ok_or_else(away)?;
        for index in 0..self.upstream.addresses() {
            let Ok(lease) = self.upstream.lease(index).await else {
                continue;
            };
            let mut request = http::Request::new(tonic::body::Body::new(Full::new(body.clone())));
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = http::Uri::from_static(method);
            *request.headers_mut() = headers.clone();
            match ask(&lease, request).await {
                Ok(answer) => return Ok(answer),
                Err(Lost::BeforeAsking) => {}
                Err(Lost::AfterAsking) => return Err(outcome_unknown()),
            }
        }
        Err(away())
    }
}

async fn ask(lease: &Lease, request: http::Request<tonic::body::Body>) -> Result<Response, Lost> {
    let mut channel = lease.channel();
    let ready = channel.ready().await.map_err(|_| Lost::BeforeAsking)?;
    let answer = ready.call(request).await.map_err(|error| {
        lease.unavailable();
        tracing::debug!(?error, "a call could not be passed on");
        if was_never_connected(&error) {
            Lost::BeforeAsking
        } else {
            Lost::AfterAsking
        }
    })?;
    lease.heard();
    let (mut head, body) = answer.into_parts();
    // Whole, so that one that breaks off is not half of an answer.
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body: Collected<_> = body.map_err(|_| Lost::AfterAsking)?;
    head.headers = headers_down(&head.headers);
    let body = match body.trailers() {
        Some(_) => Body::new(body),
        // Nothing may follow the headers of a refusal, not even an empty frame: many clients
        // look for its status in the trailers then.
        None => Body::from(body.to_bytes()),
    };
    Ok(Response::from_parts(head, body))
}

/// Whether an error tells that no connection was made, so that nothing was sent.
fn was_never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .into_iter()
        .any(<dyn std::error::Error>::is::<ConnectError>)
}

/// The headers of a call for the next hop. None: it has passed too many.
fn headers_up(mut headers: HeaderMap, caller: Option<ClientAddress>) -> Option<HeaderMap> {
    let hops = headers.get(&HOPS).and_then(|hops| hops.to_str().ok());
    let hops: u16 = hops.and_then(|hops| hops.parse().ok()).unwrap_or(0);
    let hops = hops.checked_add(1).filter(|hops| *hops <= HOPS_MAX)?;
    for name in NOT_PASSED_UP {
        headers.remove(name);
    }
    headers.insert(HOPS, HeaderValue::from(hops));
    if let Some(caller) = caller {
        caller.tell(&mut headers);
    }
    Some(headers)
}

/// The headers of an answer for whoever called.
fn headers_down(headers: &HeaderMap) -> HeaderMap {
    let passed = headers
        .iter()
        .filter(|(name, _)| !NOT_PASSED_DOWN.contains(name) && !name.as_str().starts_with(CORS));
    passed
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn away() -> Status {
    let message = "upstream is away: nothing was changed, try again";
    unavailable(ErrorReason::NotCurrent, message)
}

fn outcome_unknown() -> Status {
    let message = "the connection to upstream broke: the change may or may not be there; repeat it with the same request_id";
    unavailable(ErrorReason::OutcomeUnknown, message)
}

fn unavailable(reason: ErrorReason, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(
        burgee_hub::reason_name(reason),
        burgee_hub::ERROR_DOMAIN,
        [],
    );
    details.set_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(Code::Unavailable, message, details)
}

#[cfg(test)]
mod tests;
