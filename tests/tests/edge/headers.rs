//! What an answer says to the browser that reads it.

use burgee_tests::callers::channel;
use burgee_tests::server::TestServer;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::protocols::{exchange, grpc_web};

const HSTS: &str = "strict-transport-security";

async fn get(server: &TestServer, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
    exchange(server.address(), request.as_bytes()).await.0
}

#[tokio::test]
async fn what_a_browser_could_show_is_not_shown_guessed_at_kept_or_framed() {
    let server = TestServer::start().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/accept-invitation", 200),
        ("/nowhere", 404),
        ("/burgee.admin.v1.AuthService/WhoAmI", 405),
    ] {
        let head = get(&server, path, "").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        for line in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(line), "{path}, {line}: {head}");
        }
        assert!(!head.contains(HSTS), "{head}");
    }
    let path = "/grpc.health.v1.Health/Check";
    let (web, _) = grpc_web(server.address(), path, "", b"").await;
    for line in ["x-content-type-options: nosniff", "cache-control: no-store"] {
        assert!(web.contains(line), "{line}: {web}");
    }
    assert!(!web.contains("content-security-policy"), "{web}");
}

#[tokio::test]
async fn grpc_carries_nothing_for_browsers() {
    let server = TestServer::start().await;
    let mut health = HealthClient::new(channel(server.address()));
    let answer = health.check(HealthCheckRequest::default()).await.unwrap();
    let names = answer.metadata().keys().map(|name| format!("{name:?}"));
    let names: Vec<String> = names.filter(|name| !name.contains("grpc-")).collect();
    for name in &names {
        assert!(
            name.contains("content-type") || name.contains("date"),
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn tls_alone_is_demanded_of_whoever_came_by_tls() {
    let server = TestServer::with(&[("BURGEE_TRUSTED_PROXIES", "127.0.0.1")]).await;
    for (headers, demanded) in [
        (
            "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n",
            true,
        ),
        (
            "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\n",
            false,
        ),
        ("x-forwarded-for: 192.0.2.7\r\n", false),
        // This machine's other ports have the same name.
        (
            "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\n",
            false,
        ),
    ] {
        let head = get(&server, "/healthz", headers).await;
        assert_eq!(head.contains(HSTS), demanded, "{headers}: {head}");
    }
}
