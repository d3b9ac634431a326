//! Whoever a trusted proxy speaks for is the caller; nobody else's word counts.

use std::net::IpAddr;

use burgee_proto::admin::v1::flag_service_client::FlagServiceClient;
use burgee_proto::admin::v1::{ListSessionsRequest, SignInRequest, SignInResponse};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::{Bearer, Caller, endpoint};
use burgee_tests::people::PASSWORD;
use burgee_tests::project::api_key;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::Request;
use tonic::service::Interceptor as _;

use crate::people::audit;

const ADA: &str = "ada@example.com";

/// Somebody signs in, by a call with these headers.
async fn sign_in(server: &TestServer, headers: &[(&'static str, &str)]) -> SignInResponse {
    let mut request = Request::new(SignInRequest {
        email: ADA.to_owned(),
        password: PASSWORD.to_owned(),
        ..SignInRequest::default()
    });
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let response = server.nobody().auth().sign_in(request).await.unwrap();
    response.into_inner()
}

/// From where the audit log says that somebody signed in last.
async fn signed_in_from(server: &TestServer) -> String {
    let entries = audit(server.admin()).await;
    let sign_in = entries.iter().rfind(|it| it.method.ends_with("/SignIn"));
    sign_in.unwrap().address.clone()
}

#[tokio::test]
async fn behind_a_trusted_proxy_audit_entries_and_sessions_tell_the_real_address() {
    let server = TestServer::with(&[("BURGEE_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")]).await;
    server.admin().person(ADA, "viewer", "").await;
    // What is farthest to the left, the caller may have made up.
    let through = [("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.1.2.3")];
    let signed_in = sign_in(&server, &through).await;
    assert_eq!(signed_in_from(&server).await, "203.0.113.9");
    let ada = Caller::new(server.address(), &signed_in.secret);
    let sessions = ada.auth().list_sessions(ListSessionsRequest {}).await;
    let sessions = sessions.unwrap().into_inner().sessions;
    assert!(sessions.iter().any(|it| it.address == "203.0.113.9"));

    // The header that this proxy does not write, and one that nobody can read.
    for not_understood in [
        [("forwarded", "for=203.0.113.9")],
        [("x-forwarded-for", "203.0.113.9, unknown")],
    ] {
        sign_in(&server, &not_understood).await;
        assert_eq!(signed_in_from(&server).await, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_standard_header_is_believed_where_proxies_write_it() {
    let server = TestServer::with(&[
        ("BURGEE_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("BURGEE_FORWARDED_HEADER", "forwarded"),
    ])
    .await;
    server.admin().person(ADA, "viewer", "").await;
    let headers = [
        ("forwarded", "for=\"[2001:db8::7]:4711\";proto=https"),
        ("x-forwarded-for", "198.51.100.1"),
    ];
    sign_in(&server, &headers).await;
    assert_eq!(signed_in_from(&server).await, "2001:db8::7");
}

#[tokio::test]
async fn what_a_peer_that_is_not_trusted_says_changes_nothing() {
    for environment in [&[][..], &[("BURGEE_TRUSTED_PROXIES", "10.0.0.0/8")]] {
        let server = TestServer::with(environment).await;
        server.admin().person(ADA, "viewer", "").await;
        let headers = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
        ];
        sign_in(&server, &headers).await;
        assert_eq!(signed_in_from(&server).await, "127.0.0.1");
    }
}

#[tokio::test]
async fn upstream_hears_from_the_relay_who_calls_and_not_from_the_caller() {
    for header in ["x-forwarded-for", "forwarded"] {
        let server = TestServer::with(&[
            ("BURGEE_TRUSTED_PROXIES", "127.0.0.1"),
            ("BURGEE_FORWARDED_HEADER", header),
        ])
        .await;
        let (shop, production) = server.shop().await;
        shop.create_flag(boolean_flag("banner")).await;
        let (_, secret) = api_key(server.admin(), AccessKeyKind::Test, &[&production]).await;
        let proxies = [("BURGEE_RELAY_TRUSTED_PROXIES", "127.0.0.3")];
        let key = production.relay_key().await;
        let relay = TestRelay::with(server.address(), &key, &proxies).await;
        let tester = relay.caller(&secret);
        until("the relay knows the key", SOON, async || {
            tester.evaluate_for_alice("banner").await.is_ok()
        })
        .await;
        // Who calls the relay, and who upstream believes it is.
        for (from, believed, enabled) in [
            ([127, 0, 0, 2], "127.0.0.2", true),
            ([127, 0, 0, 3], "203.0.113.9", false),
        ] {
            let connection = endpoint(relay.address()).local_address(Some(IpAddr::from(from)));
            let mut request = Request::new(());
            for (name, value) in [
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=198.51.100.1;proto=https"),
            ] {
                request.metadata_mut().insert(name, value.parse().unwrap());
            }
            let request = Bearer::new(&secret).call(request).unwrap();
            let request = request.map(|()| production.set_enabled_request("banner", enabled));
            let mut flags = FlagServiceClient::new(connection.connect_lazy());
            flags.set_flag_enabled(request).await.unwrap();
            let entries = audit(server.admin()).await;
            let set = entries
                .iter()
                .rfind(|it| it.method.ends_with("/SetFlagEnabled"));
            assert_eq!(set.unwrap().address, believed, "{header}");
        }
    }
}
