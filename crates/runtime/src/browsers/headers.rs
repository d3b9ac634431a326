//! Headers by which a browser does no more with an answer than it should.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use crate::ClientAddress;
use crate::calls::Kind;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Of every answer that a browser reads. Calls by CORS are not subject to the policy
/// for resources; images, scripts and the like of other origins' pages are.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CROSS_ORIGIN_RESOURCE_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
];

/// Of what a browser could show.
const OF_DOCUMENTS: [(HeaderName, HeaderValue); 2] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A year of TLS alone. What else is below the host's name is not this server's to say.
const TLS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds them, but to plain gRPC, which no browser reads.
pub(super) async fn add(request: Request, next: Next) -> Response {
    let client = ClientAddress::of(request.extensions());
    let mut response = next.run(request).await;
    let kind = Kind::of(response.headers());
    if kind == Kind::Grpc {
        return response;
    }
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    if kind == Kind::Other {
        headers.extend(OF_DOCUMENTS);
    }
    // On the machine itself all ports share a name, and not all speak TLS.
    if client.is_some_and(|client| client.tls && !client.ip.is_loopback()) {
        headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ALONE);
    }
    response
}
