//! Who is calling: the layer in front of every gRPC service.
//!
//! For methods that take a permission it finds the caller's token and puts a
//! [`Caller`] into the request's extensions, from which alone
//! [`crate::access::authorize`] makes a proof. Data-plane methods pass: the hub
//! checks their keys. A method without a row in [`crate::access::METHODS`] does
//! not reach a handler.

mod cache;
pub mod service;
mod tokens;
mod uses;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use burgee_hub::credential::{self, Kind};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::Status;

use crate::access::{self, Caller, Origin, Principal, Rule};
use crate::error::Error;

pub use tokens::Tokens;
pub use uses::Uses;

/// The layer, for axum's `from_fn_with_state`. Belongs inside the gRPC-web
/// layer, which turns its statuses into what browsers read.
pub async fn authenticate(
    State(tokens): State<Tokens>,
    mut request: Request,
    next: Next,
) -> Response {
    match recognise(&tokens, request.uri().path(), request.headers()).await {
        Ok(Some((principal, method, rule))) => {
            let caller = Caller {
                principal,
                method,
                needs: rule.needs(),
                origin: Origin::of(&request),
            };
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(status) => status.into_http(),
    }
}

/// Who calls which method. None: somebody whom it is not ours to know.
async fn recognise(
    tokens: &Tokens,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<(Arc<Principal>, &'static str, Rule)>, Status> {
    let Some((method, rule)) = access::rule(path) else {
        return Err(Status::unimplemented(format!("there is no method {path}")));
    };
    match rule {
        Rule::Public | Rule::DataPlane => Ok(None),
        Rule::Known | Rule::Permission(..) => {
            let hash = token_hash(headers)?;
            Ok(Some((tokens.principal(&hash).await?, method, rule)))
        }
    }
}

/// The hash of the token that a request carries.
fn token_hash(headers: &HeaderMap) -> Result<[u8; 32], Error> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Error::CredentialMissing)?;
    match credential::parse(token) {
        Ok(Kind::ServiceAccount) => Ok(credential::hash(token)),
        Ok(_) => Err(Error::CredentialInvalid),
        Err(_) => Err(Error::CredentialMissing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_well_formed_token_is_hashed_whole() {
        let token = credential::generate(Kind::ServiceAccount, [7; 32]);
        let hash = token_hash(&with(&format!("Bearer {}", token.expose()))).unwrap();
        assert_eq!(hash, token.hash());
        assert_eq!(
            token_hash(&with(&format!("bearer {}", token.expose()))).unwrap(),
            hash
        );
    }

    #[test]
    fn without_a_well_formed_credential_it_is_missing() {
        for headers in [
            HeaderMap::new(),
            with("burgee_svc_"),
            with("Bearer x"),
            with("Basic YTpi"),
            with("Bearer"),
        ] {
            assert!(
                matches!(token_hash(&headers), Err(Error::CredentialMissing)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_key_of_the_data_plane_is_invalid_here() {
        for kind in Kind::ALL
            .into_iter()
            .filter(|kind| *kind != Kind::ServiceAccount)
        {
            let secret = credential::generate(kind, [7; 32]);
            let headers = with(&format!("Bearer {}", secret.expose()));
            assert!(
                matches!(token_hash(&headers), Err(Error::CredentialInvalid)),
                "{kind:?}"
            );
        }
    }
}
