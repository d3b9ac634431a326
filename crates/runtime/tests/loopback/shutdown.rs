use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use burgee_runtime::Limits;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::served::{Served, call, closed, within};

/// A route that tells when a call has begun, and holds it until it may end.
#[derive(Clone, Default)]
struct Gate {
    begun: Arc<Notify>,
    may_end: Arc<Notify>,
}

impl Gate {
    fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().route(
            "/",
            get(move || async move {
                gate.begun.notify_one();
                gate.may_end.notified().await;
                "done"
            }),
        )
    }
}

fn limits(grace: Duration) -> Limits {
    Limits {
        grace,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_running_call_ends_before_its_connection_does() {
    let gate = Gate::default();
    let served = Served::with(gate.router(), limits(Duration::from_secs(3600)), None).await;
    let channel = served.channel().await;
    let calling = tokio::spawn(async move { call(&channel, http::Request::get("/")).await });
    within(gate.begun.notified()).await;

    served.shutdown.cancel();
    // Nobody new is let in, while the call goes on.
    within(async { while TcpStream::connect(served.address).await.is_ok() {} }).await;
    assert!(!calling.is_finished());
    gate.may_end.notify_one();

    let response = within(calling).await.unwrap();
    assert_eq!(response.status(), http::StatusCode::OK);
    // Far within the grace: the client was told to go away, and went.
    served.ended().await;
}

#[tokio::test]
async fn a_call_that_hangs_is_cut_when_the_grace_is_over() {
    let gate = Gate::default();
    let grace = Duration::from_millis(200);
    let served = Served::with(gate.router(), limits(grace), None).await;
    let channel = served.channel().await;
    let calling = tokio::spawn(async move { call(&channel, http::Request::get("/")).await });
    within(gate.begun.notified()).await;

    let begun = Instant::now();
    served.shutdown.cancel();
    served.ended().await;
    assert!(begun.elapsed() >= grace);
    assert!(within(calling).await.is_err());
}

#[tokio::test]
async fn a_silent_peer_does_not_hold_up_shutdown() {
    let mut served = Served::new(Router::new()).await;
    let mut silent = served.connect().await;
    served.connection().await;
    served.shutdown.cancel();
    served.ended().await;
    closed(&mut silent).await;
}
