//! What is spoken, by the content type.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Media types of gRPC, with and without the only encoding that is served.
const GRPC: [&str; 2] = ["application/grpc", "application/grpc+proto"];

/// Media types of gRPC-web: as bytes, or as text for browsers that read no bytes.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// What those begin with that are text.
const GRPC_WEB_TEXT: &[u8] = b"application/grpc-web-text";

/// What a message says that it is. JSON will be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// gRPC.
    Grpc,
    /// gRPC-web.
    GrpcWeb,
    /// Something that no gRPC service understands, or nothing.
    Other,
}

impl Kind {
    /// By the headers of a request or a response.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let value = value.unwrap_or_default();
        let essence = value.split(|byte| *byte == b';').next();
        if GRPC.iter().any(|name| essence == Some(name.as_bytes())) {
            Self::Grpc
        } else if GRPC_WEB.iter().any(|name| value == name.as_bytes()) {
            // Parameters are unknown to the layer that translates it.
            Self::GrpcWeb
        } else {
            Self::Other
        }
    }

    /// Whether messages are written as base64, which only gRPC-web knows.
    pub(super) fn is_text(headers: &HeaderMap) -> bool {
        let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        value.is_some_and(|value| value.starts_with(GRPC_WEB_TEXT))
    }
}

/// The layer in front of gRPC services: calls are `POST`, and gRPC or gRPC-web. What
/// else a browser sends by itself, forms above all, goes no further.
pub async fn only_calls(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        let allow = [(ALLOW, HeaderValue::from_static("POST"))];
        let text = "calls are made with POST\n";
        return (StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response();
    }
    if Kind::of(request.headers()) == Kind::Other {
        let text = "send a call as application/grpc or application/grpc-web+proto\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_is_told_exactly() {
        for (content_type, kind) in [
            ("application/grpc", Kind::Grpc),
            ("application/grpc+proto", Kind::Grpc),
            ("application/grpc;charset=utf-8", Kind::Grpc),
            ("application/grpc-web", Kind::GrpcWeb),
            ("application/grpc-web-text+proto", Kind::GrpcWeb),
            ("application/grpc+json", Kind::Other),
            ("application/grpc-web+json", Kind::Other),
            ("application/grpcx", Kind::Other),
            ("application/json", Kind::Other),
            ("application/x-www-form-urlencoded", Kind::Other),
            ("text/plain; application/grpc", Kind::Other),
            ("", Kind::Other),
        ] {
            let value = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            assert_eq!(Kind::of(&headers), kind, "{content_type:?}");
        }
        assert_eq!(Kind::of(&HeaderMap::new()), Kind::Other);
    }
}
