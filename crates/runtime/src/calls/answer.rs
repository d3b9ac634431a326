//! One answer in the language of whoever asked.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tonic::{Code, Status};

use super::Explain;
use super::kind::Kind;

/// What the caller speaks.
#[derive(Debug)]
pub(super) enum Caller {
    Grpc,
    /// With the content type of the request, which the response must have too.
    GrpcWeb(HeaderValue),
    Http,
}

impl Caller {
    pub(super) fn of(request: &Request) -> Self {
        let headers = request.headers();
        match (Kind::of(headers), headers.get(CONTENT_TYPE)) {
            (Kind::GrpcWeb, Some(content_type)) => Self::GrpcWeb(content_type.clone()),
            (Kind::Grpc, _) => Self::Grpc,
            _ => Self::Http,
        }
    }

    pub(super) fn answer(&self, status: Status) -> Response {
        match self {
            Self::Grpc => status.into_http::<Body>(),
            Self::GrpcWeb(kind) => {
                let mut response = status.into_http::<Body>();
                response.headers_mut().insert(CONTENT_TYPE, kind.clone());
                response
            }
            Self::Http => (
                http_status(status.code()),
                format!("{}\n", status.message()),
            )
                .into_response(),
        }
    }

    /// The response, with details if it is an error without.
    pub(super) fn explained(&self, response: Response, path: &str, explain: Explain) -> Response {
        if !self.is_grpc() {
            return response;
        }
        let bare = Status::from_header_map(response.headers());
        let bare = bare.filter(|it| it.code() != Code::Ok && it.details().is_empty());
        bare.map_or(response, |bare| self.answer(explain(meant(bare, path))))
    }

    pub(super) fn is_grpc(&self) -> bool {
        !matches!(self, Self::Http)
    }
}

/// What is said where nothing is served.
pub(super) fn unknown(path: &str) -> Status {
    Status::unimplemented(format!("nothing is served at {path}"))
}

/// What tonic says of requests for which it finds no message or no method, in our terms.
/// An error of a service has details.
fn meant(bare: Status, path: &str) -> Status {
    match bare.code() {
        Code::Internal | Code::OutOfRange => Status::invalid_argument(bare.message()),
        Code::Unimplemented if bare.message().is_empty() => unknown(path),
        _ => bare,
    }
}

/// For the few codes that the guards answer with.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
