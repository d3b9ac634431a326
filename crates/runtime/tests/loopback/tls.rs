use axum::Router;
use axum::routing::get;
use burgee_runtime::Limits;
use burgee_runtime::tls::{Error, Tls};
use rcgen::CertifiedKey;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::served::{Served, call, closed, within};

#[tokio::test]
async fn http_2_is_served_over_tls_and_plain_bytes_are_not() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let tls = Tls::load(&certificate, &key).await.unwrap();

    let router = Router::new().route("/page", get(|| async { "a page" }));
    let served = Served::with(router, Limits::default(), Some(tls)).await;
    let channel = Endpoint::from_shared(format!("https://{}", served.address))
        .unwrap()
        .tls_config(
            ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(cert.pem()))
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
