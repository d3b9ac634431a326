//! Setting providers up.

use burgee_proto::admin::v1::{
    CreateIdentityProviderRequest, CreateRoleRequest, DeleteIdentityProviderRequest,
    GetIdentityProviderRequest, IdentityProvider, ListIdentityProvidersRequest,
    ListSignInOptionsRequest, ListSignInOptionsResponse, Role,
};
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::issuer::CLIENT_SECRET;
use burgee_tests::server::TestServer;
use burgee_tests::single_sign_on::{
    ORGANIZATION, PROVIDER, SingleSignOn, begin, create, mapping, provider,
};
use tonic::Code;

use super::{is_refused, name_of, sessions};
use crate::people::{audit, is_shut_out};

const NAME: &str = "identityProviders/sso";

async fn options(sso: &SingleSignOn, organization: &str) -> ListSignInOptionsResponse {
    let request = ListSignInOptionsRequest {
        organization: organization.to_owned(),
    };
    let mut auth = sso.server.nobody().auth();
    auth.list_sign_in_options(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn a_provider_is_made_read_changed_and_deleted() {
    let sso = SingleSignOn::without_provider().await;
    let admin = sso.server.admin();
    let request = CreateIdentityProviderRequest {
        identity_provider: Some(sso.provider()),
        request_id: "once".to_owned(),
        ..CreateIdentityProviderRequest::default()
    };
    let mut providers = admin.identity_providers();
    let created = providers.create_identity_provider(request.clone()).await;
    let created = created.unwrap().into_inner();
    assert!(created.redirect_uri.ends_with("/auth/callback"));
    let made = created.identity_provider.clone().unwrap();
    assert_eq!(
        (made.name.as_str(), made.client_secret.as_str()),
        (NAME, "")
    );
    assert!(made.has_client_secret);
    let again = providers.create_identity_provider(request).await.unwrap();
    assert_eq!(again.into_inner(), created);
    let request = GetIdentityProviderRequest {
        name: NAME.to_owned(),
    };
    let read = providers
        .get_identity_provider(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (read.identity_provider, read.redirect_uri),
        (Some(made.clone()), created.redirect_uri)
    );
    let twice = create(admin, sso.provider()).await;
    refused(twice, Code::AlreadyExists);

    let renamed = IdentityProvider {
        display_name: "Staff".to_owned(),
        ..IdentityProvider::default()
    };
    let after = sso.update(&["display_name"], renamed).await.unwrap();
    assert_eq!(after.display_name, "Staff");
    assert_ne!(after.etag, made.etag);
    let listed = providers.list_identity_providers(ListIdentityProvidersRequest::default());
    let listed = listed.await.unwrap().into_inner();
    assert_eq!(listed.identity_providers, std::slice::from_ref(&after));
    let mut delete = DeleteIdentityProviderRequest {
        name: NAME.to_owned(),
        etag: made.etag,
        ..DeleteIdentityProviderRequest::default()
    };
    let outcome = providers.delete_identity_provider(delete.clone()).await;
    refused(outcome, Code::Aborted);
    delete.etag = after.etag;
    providers.delete_identity_provider(delete).await.unwrap();
    refused(admin.identity_provider(NAME).await, Code::NotFound);
    let entries = audit(admin).await;
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.resource == NAME)
        .collect();
    assert_eq!(told.len(), 3);
}

#[tokio::test]
async fn only_who_may_do_everything_says_who_gets_in() {
    let sso = SingleSignOn::start().await;
    let admin = sso.server.admin();
    let role = CreateRoleRequest {
        role: Some(Role {
            key: "doorkeeper".to_owned(),
            permissions: vec![
                "identityProvider.read".to_owned(),
                "identityProvider.manage".to_owned(),
            ],
            ..Role::default()
        }),
        ..CreateRoleRequest::default()
    };
    admin.members().create_role(role).await.unwrap();
    let doorkeeper = admin.somebody("keeper", "doorkeeper", "").await;
    let other = IdentityProvider {
        key: "other".to_owned(),
        role_mappings: Vec::new(),
        ..sso.provider()
    };
    let outcome = create(&doorkeeper, other).await;
    refused(outcome, Code::PermissionDenied);
    let etag = doorkeeper.identity_provider(NAME).await.unwrap().etag;
    let request = DeleteIdentityProviderRequest {
        name: NAME.to_owned(),
        etag,
        ..DeleteIdentityProviderRequest::default()
    };
    let mut providers = doorkeeper.identity_providers();
    let outcome = providers.delete_identity_provider(request).await;
    refused(outcome, Code::PermissionDenied);
    assert_eq!(admin.identity_provider(NAME).await.unwrap().key, PROVIDER);
}

#[tokio::test]
async fn what_cannot_be_a_provider_is_refused_by_its_fields() {
    let sso = SingleSignOn::without_provider().await;
    let admin = sso.server.admin();
    let wrong = IdentityProvider {
        issuer: "http://login.example.com".to_owned(),
        client_id: String::new(),
        scopes: vec!["a b".to_owned()],
        email_domains: vec!["@example.com".to_owned()],
        groups_claim: String::new(),
        ..sso.provider()
    };
    let status = refused(create(admin, wrong).await, Code::InvalidArgument);
    let named = [
        "issuer",
        "client_id",
        "email_domains[0]",
        "scopes[0]",
        "groups_claim",
    ];
    let named = named.map(|field| format!("identity_provider.{field}"));
    assert_eq!(fields(&status), named);
    for issuer in [
        "https://169.254.169.254",
        "https://[::1]:8443",
        "https://10.0.0.1",
        "https://127.0.0.2",
    ] {
        let status = refused(create(admin, provider(issuer)).await, Code::InvalidArgument);
        assert!(status.message().contains("operator"), "{status:?}");
    }
    let nowhere = IdentityProvider {
        role_mappings: vec![mapping("staff", "viewer", "projects/nowhere")],
        ..sso.provider()
    };
    refused(create(admin, nowhere).await, Code::NotFound);
    let nobody = IdentityProvider {
        role_mappings: vec![mapping("staff", "nobody", "")],
        ..sso.provider()
    };
    refused(create(admin, nobody).await, Code::NotFound);
}

#[tokio::test]
async fn a_secret_is_told_to_its_issuer_alone_and_shown_to_nobody() {
    let sso = SingleSignOn::start().await;
    sso.sign_in().await.unwrap();
    let elsewhere = IdentityProvider {
        issuer: "https://login.example.com".to_owned(),
        ..IdentityProvider::default()
    };
    let outcome = sso.update(&["issuer"], elsewhere).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["identity_provider.client_secret"]);
    let moved = IdentityProvider {
        issuer: "https://login.example.com".to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        ..IdentityProvider::default()
    };
    sso.update(&[], moved).await.unwrap();
    assert_eq!(
        sessions(&sso).await,
        0,
        "the other issuer vouches for nobody yet"
    );
    let back = IdentityProvider {
        issuer: sso.issuer.url().to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        ..IdentityProvider::default()
    };
    sso.update(&[], back).await.unwrap();
    let wrong = IdentityProvider {
        client_secret: "canary-client-secret-0815".to_owned(),
        ..IdentityProvider::default()
    };
    sso.update(&["client_secret"], wrong).await.unwrap();
    let status = refused(sso.sign_in().await.map(drop), Code::FailedPrecondition);
    assert_eq!(reason(&status), "IDENTITY_PROVIDER_UNUSABLE");
    let without = sso
        .update(&["client_secret"], IdentityProvider::default())
        .await
        .unwrap();
    assert!(!without.has_client_secret);
    let given = IdentityProvider {
        client_secret: CLIENT_SECRET.to_owned(),
        ..IdentityProvider::default()
    };
    // What is populated is changed.
    let after = sso.update(&[], given).await.unwrap();
    sso.sign_in().await.unwrap();

    let rows = sso.server.database().rows().await;
    assert!(rows.contains(sso.issuer.url()), "the provider is in it");
    let entries = format!("{:?}", audit(sso.server.admin()).await);
    assert!(
        entries.contains("clientSecret"),
        "that it was changed is told"
    );
    let logs = [sso.server.stdout(), sso.server.log()].concat();
    for told in [rows, entries, logs, format!("{after:?} {status:?}")] {
        for canary in ["canary-client-secret", &hex("canary-client-secret")] {
            assert!(!told.contains(canary), "{canary}");
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn without_a_key_no_secret_is_kept() {
    let server = TestServer::start().await;
    let outcome = create(server.admin(), provider("https://login.example.com")).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECRET_KEY_MISSING");
}

#[tokio::test]
async fn a_disabled_provider_lets_nobody_in_and_what_came_of_it_ends() {
    let sso = SingleSignOn::start().await;
    let ada = sso.signed_in().await;
    let member = name_of(&ada).await;
    let nobody = sso.server.nobody();
    let begun = begin(&nobody, ORGANIZATION, PROVIDER).await.unwrap();
    let redirect = burgee_tests::issuer::visit(&begun.authorization_url).await;
    let disabled = |disabled| IdentityProvider {
        disabled,
        ..IdentityProvider::default()
    };
    sso.update(&["disabled"], disabled(true)).await.unwrap();
    is_shut_out(&ada).await;
    assert_eq!(sso.roles(&member).await, []);
    let secret = &begun.flow_secret;
    is_refused(burgee_tests::single_sign_on::complete(&nobody, redirect, secret).await);
    refused(begin(&nobody, ORGANIZATION, PROVIDER).await, Code::NotFound);
    assert_eq!(
        options(&sso, ORGANIZATION).await,
        options(&sso, "nowhere").await
    );
    sso.update(&["disabled"], disabled(false)).await.unwrap();
    is_shut_out(&ada).await;
    assert_eq!(name_of(&sso.signed_in().await).await, member);
    assert_eq!(sso.roles(&member).await.len(), 1);
}

#[tokio::test]
async fn a_deleted_provider_takes_its_sessions_along_and_leaves_the_members() {
    let sso = SingleSignOn::start().await;
    let ada = sso.signed_in().await;
    let member = name_of(&ada).await;
    let etag = sso
        .server
        .admin()
        .identity_provider(NAME)
        .await
        .unwrap()
        .etag;
    let request = DeleteIdentityProviderRequest {
        name: NAME.to_owned(),
        etag,
        ..DeleteIdentityProviderRequest::default()
    };
    let mut providers = sso.server.admin().identity_providers();
    providers.delete_identity_provider(request).await.unwrap();
    is_shut_out(&ada).await;
    assert_eq!(
        (sessions(&sso).await, sso.roles(&member).await),
        (0, Vec::new())
    );
    // Another provider that knows the address finds them.
    let other = IdentityProvider {
        client_secret: CLIENT_SECRET.to_owned(),
        ..sso.provider()
    };
    sso.create(other).await.unwrap();
    sso.issuer.sends("another-subject", "ada@example.com", &[]);
    assert_eq!(name_of(&sso.signed_in().await).await, member);
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_organizations_without_providers() {
    let sso = SingleSignOn::start().await;
    let _ = sso.server.database().create_organization("quiet");
    assert_eq!(options(&sso, "quiet").await, options(&sso, "nowhere").await);
    let listed = options(&sso, ORGANIZATION).await.identity_providers;
    let [option] = listed.try_into().unwrap();
    assert_eq!(
        (
            option.identity_provider.as_str(),
            option.display_name.as_str()
        ),
        (PROVIDER, "Single sign-on")
    );
    let nobody = sso.server.nobody();
    let quiet = refused(begin(&nobody, "quiet", PROVIDER).await, Code::NotFound);
    let nowhere = refused(
        begin(&nobody, "wherever"[..5].as_ref(), PROVIDER).await,
        Code::NotFound,
    );
    let say = |status: &tonic::Status, key: &str| {
        let details = String::from_utf8_lossy(status.details()).replace(key, "key");
        (status.message().replace(key, "key"), details)
    };
    assert_eq!(say(&quiet, "quiet"), say(&nowhere, "where"));
}
