//! Where people are sent to, and a code for what the provider says of whoever comes back.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, Client,
    ClientId, ClientSecret, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdToken, IdTokenFields, IdTokenVerifier, OAuth2TokenResponse as _,
    PkceCodeChallenge, RequestTokenError, Scope, StandardErrorResponse, StandardTokenResponse,
    SubjectIdentifier, TokenResponse as _, UserInfoError,
};
use url::Url;

use super::claims::{IdClaims, InfoClaims, MoreClaims, Person};
use super::directory::{Issuer, Metadata};
use super::flow::Flow;
use super::{Asked, Oidc, Problem, Why};
use crate::outbound::Outbound;

/// Signatures that are trusted: by a private key that the provider alone has.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// How far a provider's clock may be ahead, in seconds.
const AHEAD_MAX: i64 = 60;
/// How long ago a token may have been made, in seconds: some are dated back a little.
const AGE_MAX: i64 = 15 * 60;

type Token = IdToken<
    MoreClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Fields = IdTokenFields<
    MoreClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Answer = StandardTokenResponse<Fields, CoreTokenType>;
type ProviderClient = Client<
    MoreClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What Burgee is to a provider.
pub struct Registration {
    /// The issuer, as the provider spells it.
    pub issuer: String,
    /// What the provider knows Burgee by.
    pub client_id: String,
    /// What Burgee proves to be itself with.
    pub client_secret: Option<ClientSecret>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Where groups are told of. Empty: nowhere.
    pub groups_claim: String,
}

/// Why a code says nothing of anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The provider cannot be asked, or answers with what is no answer.
    Provider(Problem),
    /// The redirect came from another issuer than the flow was begun with.
    MixedUp,
    /// The provider does not take the code.
    CodeRefused,
    /// The ID token is not one of this issuer for this client and flow. What is wrong is for
    /// the log.
    TokenRefused(String),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Provider(problem)
    }
}

impl Oidc {
    /// Where to send whoever begins to sign in.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn authorization_url(
        &self,
        registration: &Registration,
        flow: &Flow,
    ) -> Result<Url, Problem> {
        let issuer = self.directory.issuer(&registration.issuer).await?;
        let client = self.client(&issuer.metadata, registration);
        let (state, nonce) = (flow.state(), flow.nonce());
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || state,
            move || nonce,
        );
        let scopes = registration.scopes.iter().cloned().map(Scope::new);
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&flow.verifier());
        let request = request.add_scopes(scopes).set_pkce_challenge(challenge);
        Ok(request.url().0)
    }

    /// What the provider says of whoever came back with this code, and, if it said so, from this
    /// issuer.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn person(
        &self,
        registration: &Registration,
        flow: &Flow,
        (code, from): (String, &str),
    ) -> Result<Person, Failed> {
        let issuer = self.directory.issuer(&registration.issuer).await?;
        let metadata = &issuer.metadata;
        let more = metadata.additional_metadata();
        let is_named = more.authorization_response_iss_parameter_supported;
        if from != registration.issuer && (is_named || !from.is_empty()) {
            return Err(Failed::MixedUp);
        }
        let client = self.client(metadata, registration);
        let tokens = self.redeem(&client, code, flow).await?;
        let token = tokens.id_token().ok_or(Problem {
            asked: Asked::Tokens,
            why: Why::NotUnderstood,
        })?;
        let check = Check {
            registration,
            flow,
            access_token: tokens.access_token(),
        };
        let claims = match check.claims(&issuer, token) {
            Err(Unverified { by_keys: true, .. }) => {
                // It may be signed with a key that is newer than those that are known.
                let (directory, name) = (&self.directory, &registration.issuer);
                let newer = directory.with_newer_keys(name, &issuer).await?;
                check.claims(&newer, token)
            }
            checked => checked,
        };
        let claims = claims.map_err(|unverified| Failed::TokenRefused(unverified.what))?;
        let person = Person::of(&claims, &registration.groups_claim);
        let more = metadata.userinfo_endpoint().is_some();
        if !more || !person.lacks(&registration.groups_claim) {
            return Ok(person);
        }
        let asking = (tokens.access_token(), claims.subject());
        let info = self.user_info(&client, asking).await?;
        Ok(person.completed(&info, &registration.groups_claim))
    }

    fn client(&self, metadata: &Metadata, registration: &Registration) -> ProviderClient {
        let (id, secret) = (&registration.client_id, &registration.client_secret);
        let id = ClientId::new(id.clone());
        let client = Client::from_provider_metadata(metadata.clone(), id, secret.clone());
        // Basic authentication is what every provider takes that says nothing else.
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
        let in_body = takes(CoreClientAuthMethod::ClientSecretPost)
            && !takes(CoreClientAuthMethod::ClientSecretBasic);
        let auth_type = match in_body {
            true => AuthType::RequestBody,
            false => AuthType::BasicAuth,
        };
        client
            .set_auth_type(auth_type)
            .set_redirect_uri((*self.redirect_uri).clone())
    }

    async fn redeem(
        &self,
        client: &ProviderClient,
        code: String,
        flow: &Flow,
    ) -> Result<Answer, Failed> {
        let problem = |why| Problem {
            asked: Asked::Tokens,
            why,
        };
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|_| problem(Why::Missing))?;
        let request = request.set_pkce_verifier(flow.verifier());
        let http = |request| call(self.outbound.clone(), request);
        let answer = request.request_async(&http).await;
        answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(response) => match response.error() {
                CoreErrorResponseType::InvalidGrant => Failed::CodeRefused,
                CoreErrorResponseType::InvalidClient
                | CoreErrorResponseType::UnauthorizedClient => problem(Why::Client).into(),
                _ => problem(Why::NotUnderstood).into(),
            },
            RequestTokenError::Request(why) => problem(why).into(),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                problem(Why::NotUnderstood).into()
            }
        })
    }

    async fn user_info(
        &self,
        client: &ProviderClient,
        (access_token, subject): (&AccessToken, &SubjectIdentifier),
    ) -> Result<InfoClaims, Problem> {
        let problem = |why| Problem {
            asked: Asked::UserInfo,
            why,
        };
        // One that is no header would be the end of the library.
        let sendable = HeaderValue::from_str(access_token.secret()).is_ok();
        let request = client.user_info(access_token.clone(), Some(subject.clone()));
        let request = request.ok().filter(|_| sendable);
        let request = request.ok_or(problem(Why::NotUnderstood))?;
        let http = |request| call(self.outbound.clone(), request);
        let info = request.request_async(&http).await;
        info.map_err(|error| match error {
            UserInfoError::Request(why) => problem(why),
            _ => problem(Why::NotUnderstood),
        })
    }
}

/// What an ID token is held against, beside its issuer.
struct Check<'a> {
    registration: &'a Registration,
    flow: &'a Flow,
    access_token: &'a AccessToken,
}

/// What is wrong with an ID token.
#[derive(Debug)]
struct Unverified {
    what: String,
    /// Other keys might verify it.
    by_keys: bool,
}

impl Unverified {
    fn new(what: impl ToString) -> Self {
        Self {
            what: what.to_string(),
            by_keys: false,
        }
    }
}

impl Check<'_> {
    /// What the token says, if it is one of this issuer for this client and this flow.
    fn claims(&self, issuer: &Issuer, token: &Token) -> Result<IdClaims, Unverified> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let client_id = ClientId::new(self.registration.client_id.clone());
        let algorithms = algorithms(&issuer.metadata).map_err(Unverified::new)?;
        // To this verifier a shared secret is unknown, whatever the token says.
        let verifier = IdTokenVerifier::new_public_client(
            client_id.clone(),
            issuer.metadata.issuer().clone(),
            (*issuer.keys).clone(),
        )
        .set_allowed_algs(algorithms)
        .set_issue_time_verifier_fn(move |time| {
            match (now - AGE_MAX..=now + AHEAD_MAX).contains(&time.timestamp()) {
                true => Ok(()),
                false => Err("issued too long ago, or in the future".to_owned()),
            }
        });
        let nonce = self.flow.nonce();
        let claims = token
            .claims(&verifier, &nonce)
            .map_err(|error| Unverified {
                by_keys: matches!(error, ClaimsVerificationError::SignatureVerification(_)),
                what: error.to_string(),
            })?;
        let party = claims.authorized_party();
        if party.is_some_and(|party| *party != client_id) {
            return Err(Unverified::new("it was made for another party"));
        }
        let from = claims.additional_claims().not_before();
        if from.is_some_and(|from| from > now + AHEAD_MAX) {
            return Err(Unverified::new("it is not good yet"));
        }
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = token.signing_alg().map_err(Unverified::new)?;
            let key = token.signing_key(&verifier).map_err(Unverified::new)?;
            let hash = AccessTokenHash::from_token(self.access_token, algorithm, key);
            if hash.map_err(Unverified::new)? != *expected {
                return Err(Unverified::new("it came with another access token"));
            }
        }
        Ok(claims.clone())
    }
}

/// What an issuer signs with, of what is trusted.
pub(super) fn algorithms(metadata: &Metadata) -> Result<Vec<CoreJwsSigningAlgorithm>, Problem> {
    let published = metadata.id_token_signing_alg_values_supported();
    let trusted = ALGORITHMS.into_iter().filter(|it| published.contains(it));
    let trusted: Vec<_> = trusted.collect();
    match trusted.is_empty() {
        true => Err(Problem {
            asked: Asked::Configuration,
            why: Why::Algorithms,
        }),
        false => Ok(trusted),
    }
}

/// A call of the library's. An answer that tells of the provider's own trouble is none.
async fn call(outbound: Outbound, request: HttpRequest) -> Result<HttpResponse, Why> {
    let response = outbound.call(request.map(Bytes::from)).await;
    let response = response.map_err(Why::Refused)?;
    let status = response.status();
    match status.is_server_error() || status.as_u16() == 429 {
        true => Err(Why::Status(status.as_u16())),
        false => Ok(response.map(Vec::from)),
    }
}
