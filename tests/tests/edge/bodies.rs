//! Requests that never end, from one address and without a credential, stop nobody
//! else's calls and hold little memory, at server and relay.

use std::net::IpAddr;

use burgee_tests::callers::{Caller, channel, endpoint};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until, within};
use burgee_tests::watcher::RulesetWatcher;
use bytes::Bytes;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service as _, ServiceExt as _};

/// Whoever attacks; everybody else calls from 127.0.0.1.
const ATTACKER: [u8; 4] = [127, 0, 0, 2];
const CHECK: &str = "/grpc.health.v1.Health/Check";
const EVALUATE: &str = "/burgee.evaluation.v1.EvaluationService/Evaluate";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// As many as one connection takes.
const STREAMS: usize = 1_000;
const MIB: usize = 1 << 20;

/// A server and a relay below it that is synchronised, and who uses them.
struct Ports {
    server: TestServer,
    relay: TestRelay,
    sdks: [Caller; 2],
}

impl Ports {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (_, production) = server.shop().await;
        let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
        let key = production.server_key().await;
        let sdks = [server.caller(&key), relay.caller(&key)];
        RulesetWatcher::follow(&sdks[1]).synchronised().await;
        sdks[0].position().await.unwrap();
        Self {
            server,
            relay,
            sdks,
        }
    }

    /// The addresses of both, and who uses each.
    fn each(&self) -> [(&str, &Caller); 2] {
        let [first, second] = &self.sdks;
        [
            (self.server.address(), first),
            (self.relay.address(), second),
        ]
    }
}

/// A connection from the address of the attacker.
async fn attacking(address: &str) -> Channel {
    let endpoint = endpoint(address).local_address(Some(IpAddr::from(ATTACKER)));
    endpoint.connect().await.unwrap()
}

type Answers = FuturesUnordered<JoinHandle<Result<http::Response<Body>, tonic::transport::Error>>>;

/// Begins so many calls, sends this of each, and never the end.
fn begin(channel: &Channel, path: &'static str, sent: &Bytes, times: usize) -> Answers {
    begin_until(channel, path, sent, times, &CancellationToken::new())
}

/// The same, until the calls are taken back.
fn begin_until(
    channel: &Channel,
    path: &'static str,
    sent: &Bytes,
    times: usize,
    taken_back: &CancellationToken,
) -> Answers {
    let calls = (0..times).map(|_| {
        // A frame without content would be an attack of its own.
        let sent = Some(sent.clone()).filter(|sent| !sent.is_empty());
        let parts = stream::iter(sent.map(|sent| Ok::<_, Status>(Frame::data(sent))));
        let taken_back = taken_back.clone().cancelled_owned();
        let taken_back = taken_back.map(|()| Err(Status::cancelled("taken back")));
        let body = Body::new(StreamBody::new(parts.chain(stream::once(taken_back))));
        let request = http::Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = request.body(body).unwrap();
        let mut channel = channel.clone();
        tokio::spawn(async move { channel.ready().await?.call(request).await })
    });
    calls.collect()
}

/// The beginning of a message that says that it has 4 MiB, with so much of it.
fn beginning_of_4_mib(sent: usize) -> Bytes {
    let length = u32::try_from(4 * MIB).unwrap().to_be_bytes();
    [&[0], &length[..], &vec![0; sent]].concat().into()
}

/// The code with which a call was refused. None: its answer has begun.
fn code(answer: &http::Response<Body>) -> Option<Code> {
    Status::from_header_map(answer.headers()).map(|status| status.code())
}

async fn is_healthy(channel: Channel) -> bool {
    let request = HealthCheckRequest::default();
    HealthClient::new(channel).check(request).await.is_ok()
}

#[tokio::test]
async fn calls_that_are_begun_and_never_ended_stop_nobody_elses() {
    let ports = Ports::start().await;
    for (address, sdk) in ports.each() {
        let connections = [attacking(address).await, attacking(address).await];
        let mut begun = begin(&connections[0], CHECK, &Bytes::new(), STREAMS);
        begun.extend(begin(&connections[1], EVALUATE, &Bytes::new(), STREAMS));
        // Until each of them has been told that it took too long.
        within("the attack ends", SOON * 2, async {
            while !begun.is_empty() {
                sdk.position().await.unwrap();
                assert!(is_healthy(channel(address)).await);
                while let Some(Some(answer)) = begun.next().now_or_never() {
                    let code = code(&answer.unwrap().unwrap());
                    assert_eq!(code, Some(Code::DeadlineExceeded));
                }
            }
        })
        .await;
        for connection in connections {
            assert!(is_healthy(connection).await);
        }
    }
}

#[tokio::test]
async fn long_requests_that_miss_their_end_hold_little_memory() {
    let ports = Ports::start().await;
    let before = [
        ports.server.peak_memory_bytes(),
        ports.relay.peak_memory_bytes(),
    ];
    let sent = beginning_of_4_mib(4 * MIB - 1);
    for (address, sdk) in ports.each() {
        let connections = [attacking(address).await, attacking(address).await];
        // 512 MiB, at paths that need no credential to begin with.
        let path = [EVALUATE, CHECK];
        let mut begun = begin(&connections[0], path[0], &sent, 64);
        begun.extend(begin(&connections[1], path[1], &sent, 64));
        let mut refused = 0;
        while let Some(answer) = begun.next().await {
            let code = code(&answer.unwrap().unwrap());
            sdk.position().await.unwrap();
            match code {
                Some(Code::ResourceExhausted) => refused += 1,
                // There was room for it, and time, but no end.
                other => assert_eq!(other, Some(Code::DeadlineExceeded)),
            }
        }
        assert!(refused > 64, "{refused} of 128 were refused");
    }
    let after = [
        ports.server.peak_memory_bytes(),
        ports.relay.peak_memory_bytes(),
    ];
    for (before, after) in before.into_iter().zip(after) {
        let more = after.saturating_sub(before) >> 20;
        assert!(more < 192, "{more} MiB more");
    }
}

#[tokio::test]
async fn an_address_has_few_streams_of_reflection_and_gets_them_back() {
    let ports = Ports::start().await;
    let sent = beginning_of_4_mib(MIB / 2);
    for (address, sdk) in ports.each() {
        let connection = attacking(address).await;
        let taken_back = CancellationToken::new();
        let nothing = Bytes::new();
        let silent = begin_until(&connection, REFLECTION, &nothing, STREAMS, &taken_back);
        let answers: Vec<_> = silent.map(|it| it.unwrap().unwrap()).collect().await;
        let refused = answers.iter().filter(|answer| code(answer).is_some());
        assert_eq!(refused.count(), STREAMS - 64);
        sdk.position().await.unwrap();
        let reflects = async |connection: &Channel| {
            let ended = CancellationToken::new();
            let mut one = begin_until(connection, REFLECTION, &nothing, 1, &ended);
            let answer = one.next().await.unwrap().unwrap().unwrap();
            ended.cancel();
            code(&answer).is_none()
        };
        assert!(!reflects(&connection).await);
        assert!(reflects(&channel(address)).await);

        taken_back.cancel();
        until("the attacker has streams again", SOON, async || {
            reflects(&connection).await
        })
        .await;
        // Those that say too much end by themselves.
        let loud = begin(&connection, REFLECTION, &sent, STREAMS);
        let answers: Vec<_> = loud.collect().await;
        until("the loud ones have ended", SOON, async || {
            reflects(&connection).await
        })
        .await;
        drop(answers);
    }
    for peak in [
        ports.server.peak_memory_bytes(),
        ports.relay.peak_memory_bytes(),
    ] {
        assert!(peak < 1 << 30, "{peak} bytes");
    }
}
