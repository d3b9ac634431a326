use std::time::Duration;

use axum::Router;
use axum::routing::get;
use burgee_runtime::Limits;
use burgee_runtime::tls::{Error, Tls};
use rcgen::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::served::{Served, call, closed, within};

/// TLS with a certificate that whoever trusts its PEM accepts for localhost.
async fn self_signed() -> (Tls, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    (Tls::load(&certificate, &key).await.unwrap(), cert.pem())
}

#[tokio::test]
async fn http_2_is_served_over_tls_and_plain_bytes_are_not() {
    let (tls, cert) = self_signed().await;

    let router = Router::new().route("/page", get(|| async { "a page" }));
    let served = Served::with(router, Limits::default(), Some(tls)).await;
    let channel = Endpoint::from_shared(format!("https://{}", served.address))
        .unwrap()
        .tls_config(
            ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&cert))
                .domain_name("localhost"),
        )
        .unwrap();
    let channel = within(channel.connect()).await.unwrap();
    let answer = call(&channel, http::Request::get("/page")).await;
    assert_eq!(answer.status(), http::StatusCode::OK);

    let mut plain = served.connect().await;
    plain.writable().await.unwrap();
    plain.try_write(b"GET /page HTTP/1.1\r\n\r\n").unwrap();
    closed(&mut plain).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_file_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let load = || Tls::load(&certificate, &key);

    let error = load().await.unwrap_err();
    assert!(matches!(&error, Error::Unreadable { path, .. } if *path == certificate));

    std::fs::write(&certificate, "no certificate").unwrap();
    std::fs::write(&key, "no key").unwrap();
    let error = load().await.unwrap_err();
    assert!(matches!(&error, Error::Malformed { path, .. } if *path == certificate));

    let one = rcgen::generate_simple_self_signed(["one".to_owned()]).unwrap();
    let two = rcgen::generate_simple_self_signed(["two".to_owned()]).unwrap();
    std::fs::write(&certificate, one.cert.pem()).unwrap();
    let error = load().await.unwrap_err();
    assert!(matches!(&error, Error::Malformed { path, .. } if *path == key));

    std::fs::write(&key, two.signing_key.serialize_pem()).unwrap();
    assert!(matches!(load().await.unwrap_err(), Error::Unusable(_)));
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_cut_off() {
    let (tls, _) = self_signed().await;
    let limits = Limits {
        tls_handshake_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let served = Served::with(Router::new(), limits, Some(tls)).await;
    // Nothing, and the beginning of a handshake's record.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut stream = served.connect().await;
        stream.write_all(beginning).await.unwrap();
        closed(&mut stream).await;
    }
}
