//! A server whose organization has an identity provider, and people who sign in with it.

use burgee_proto::admin::v1::{
    BeginOidcSignInRequest, BeginOidcSignInResponse, CompleteOidcSignInRequest,
    CompleteOidcSignInResponse, CreateIdentityProviderRequest, IdentityProvider,
    ListRoleBindingsRequest, RoleBinding, RoleMapping, UpdateIdentityProviderRequest,
};
use prost_types::FieldMask;
use std::sync::Arc;
use tonic::Status;

use crate::callers::Caller;
use crate::issuer::{CLIENT_ID, CLIENT_SECRET, Issuer, Redirect, visit};
use crate::postgres::TestDatabase;
use crate::secrets::KeyFile;
use crate::server::{Options, TestServer};

/// The organization that every deployment has.
pub const ORGANIZATION: &str = "default";
/// The provider's key.
pub const PROVIDER: &str = "sso";

/// A server with an issuer that its operator lets it call.
pub struct SingleSignOn {
    /// The server.
    pub server: TestServer,
    /// The issuer.
    pub issuer: Issuer,
    /// Held, so that a server that starts again finds it.
    _keys: KeyFile,
}

impl SingleSignOn {
    /// Whoever signs in with the issuer becomes a member; whoever is in `staff` is a developer.
    pub async fn start() -> Self {
        let sso = Self::without_provider().await;
        sso.create(sso.provider()).await.unwrap();
        sso
    }

    /// Nobody has set up the issuer yet.
    pub async fn without_provider() -> Self {
        let keys = KeyFile::with(&[7]);
        let database = Arc::new(TestDatabase::create().await);
        let options = Options {
            environment: vec![
                keys.variable(),
                (
                    "BURGEE_OUTBOUND_ALLOW".to_owned(),
                    "127.0.0.1/32".to_owned(),
                ),
            ],
            ..Options::default()
        };
        let url = database.url().to_owned();
        Self {
            server: TestServer::start_with(&database, url, options).await,
            issuer: Issuer::start().await,
            _keys: keys,
        }
    }

    /// The issuer, as the usual provider.
    #[must_use]
    pub fn provider(&self) -> IdentityProvider {
        provider(self.issuer.url())
    }

    /// Sets a provider up.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn create(&self, provider: IdentityProvider) -> Result<IdentityProvider, Status> {
        create(self.server.admin(), provider).await
    }

    /// Changes what the mask names of the usual provider.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn update(
        &self,
        paths: &[&str],
        update: IdentityProvider,
    ) -> Result<IdentityProvider, Status> {
        let admin = self.server.admin();
        let name = format!("identityProviders/{PROVIDER}");
        let etag = admin.identity_provider(&name).await?.etag;
        let request = UpdateIdentityProviderRequest {
            identity_provider: Some(IdentityProvider { name, ..update }),
            update_mask: Some(FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            etag,
            ..UpdateIdentityProviderRequest::default()
        };
        let mut providers = admin.identity_providers();
        let response = providers.update_identity_provider(request).await?;
        Ok(response.into_inner().identity_provider.unwrap())
    }

    /// Signs in whoever the issuer sends.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn sign_in(&self) -> Result<CompleteOidcSignInResponse, Status> {
        sign_in(&self.server.nobody(), ORGANIZATION).await
    }

    /// Signs in, and is somebody.
    pub async fn signed_in(&self) -> Caller {
        let secret = self.sign_in().await.unwrap().secret;
        self.server.caller(&secret)
    }

    /// The roles that a member has.
    pub async fn roles(&self, member: &str) -> Vec<RoleBinding> {
        let request = ListRoleBindingsRequest {
            subject: member.to_owned(),
            ..ListRoleBindingsRequest::default()
        };
        let mut members = self.server.admin().members();
        let response = members.list_role_bindings(request).await.unwrap();
        response.into_inner().role_bindings
    }
}

/// An issuer on loopback, as a provider.
#[must_use]
pub fn provider(issuer: &str) -> IdentityProvider {
    IdentityProvider {
        key: PROVIDER.to_owned(),
        display_name: "Single sign-on".to_owned(),
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        email_domains: vec!["example.com".to_owned()],
        groups_claim: "groups".to_owned(),
        role_mappings: vec![mapping("staff", "developer", "")],
        just_in_time: true,
        ..IdentityProvider::default()
    }
}

/// A role that a group gives.
#[must_use]
pub fn mapping(group: &str, role: &str, scope: &str) -> RoleMapping {
    RoleMapping {
        group: group.to_owned(),
        role: format!("roles/{role}"),
        scope: scope.to_owned(),
    }
}

/// Sets a provider up.
///
/// # Errors
///
/// What the call was refused with.
pub async fn create(
    owner: &Caller,
    provider: IdentityProvider,
) -> Result<IdentityProvider, Status> {
    let request = CreateIdentityProviderRequest {
        identity_provider: Some(provider),
        ..CreateIdentityProviderRequest::default()
    };
    let mut providers = owner.identity_providers();
    let response = providers.create_identity_provider(request).await?;
    Ok(response.into_inner().identity_provider.unwrap())
}

/// Begins to sign in with the provider of that key.
///
/// # Errors
///
/// What the call was refused with.
pub async fn begin(
    nobody: &Caller,
    organization: &str,
    provider: &str,
) -> Result<BeginOidcSignInResponse, Status> {
    let request = BeginOidcSignInRequest {
        organization: organization.to_owned(),
        identity_provider: provider.to_owned(),
        set_cookie: false,
    };
    Ok(nobody
        .auth()
        .begin_oidc_sign_in(request)
        .await?
        .into_inner())
}

/// Completes a sign-in with what the browser came back with.
///
/// # Errors
///
/// What the call was refused with.
pub async fn complete(
    nobody: &Caller,
    redirect: Redirect,
    flow_secret: &str,
) -> Result<CompleteOidcSignInResponse, Status> {
    let request = completion(redirect, flow_secret);
    Ok(nobody
        .auth()
        .complete_oidc_sign_in(request)
        .await?
        .into_inner())
}

/// What a page sends with what the browser came back with.
#[must_use]
pub fn completion(redirect: Redirect, flow_secret: &str) -> CompleteOidcSignInRequest {
    CompleteOidcSignInRequest {
        code: redirect.code,
        state: redirect.state,
        issuer: redirect.issuer,
        flow_secret: flow_secret.to_owned(),
        set_cookie: false,
    }
}

/// Signs in whoever the issuer of the usual provider sends, from the first page to the last.
///
/// # Errors
///
/// What a call was refused with.
pub async fn sign_in(
    nobody: &Caller,
    organization: &str,
) -> Result<CompleteOidcSignInResponse, Status> {
    let begun = begin(nobody, organization, PROVIDER).await?;
    let redirect = visit(&begun.authorization_url).await;
    complete(nobody, redirect, &begun.flow_secret).await
}

/// An identity of a new provider, which knows a member, given by name or uid. Nobody answers at
/// the provider, and nobody is asked.
pub async fn known_identity(server: &TestServer, member: &str) -> String {
    let provider = IdentityProvider {
        client_secret: String::new(),
        ..provider("https://login.example.com")
    };
    create(server.admin(), provider).await.unwrap();
    server.database().identity(member).await
}

impl Caller {
    /// Reads a provider.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn identity_provider(&self, name: &str) -> Result<IdentityProvider, Status> {
        let request = burgee_proto::admin::v1::GetIdentityProviderRequest {
            name: name.to_owned(),
        };
        let mut providers = self.identity_providers();
        let response = providers.get_identity_provider(request).await?;
        Ok(response.into_inner().identity_provider.unwrap())
    }
}

impl TestDatabase {
    /// An identity by which the only provider knows a member, given by name or uid. Nobody signed
    /// in for it.
    ///
    /// # Panics
    ///
    /// When there is not one provider.
    pub async fn identity(&self, member: &str) -> String {
        let member = member.trim_start_matches("members/");
        let uid = uuid::Uuid::now_v7();
        let provider: String = sqlx::query_scalar(
            "with provider as (select id, key from identity_providers),
                  identity as (
                      insert into identities (id, identity_provider_id, member_id, issuer, subject)
                      select $1, id, $2, 'https://login.example.com', 'boss' from provider)
             select key from provider",
        )
        .bind(uid)
        .bind(uuid::Uuid::parse_str(member).unwrap())
        .fetch_one(self.pool())
        .await
        .unwrap();
        format!("identityProviders/{provider}/identities/{uid}")
    }
}
