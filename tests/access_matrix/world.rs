//! One thing of each kind, and whoever calls about it.

use burgee_proto::admin::v1::{
    CreateRoleRequest, ListServiceAccountTokensRequest, ListSessionsRequest, Role, Segment,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::access::{BuiltIn, Permission};
use burgee_tests::builders::boolean_flag;
use burgee_tests::people::{PASSWORD, personal_token};
use burgee_tests::project::api_key;
use burgee_tests::server::TestServer;
use burgee_tests::single_sign_on::known_identity;
use tonic::Status;

use crate::callers::{Caller, PLACES, ROLES};
use crate::ended::ended;

/// Whoever has the session.
const EMAIL: &str = "ada@example.com";

/// The uids of what is named by uid.
#[derive(Clone)]
struct Uids {
    api_key: String,
    binding: String,
    token: String,
    personal_token: String,
    member: String,
    invitation: String,
    session: String,
    identity: String,
}

/// One thing of each kind, in one organization.
pub(crate) struct World {
    uids: Uids,
    pub(crate) callers: Vec<Caller>,
    /// Credentials that opened something once.
    pub(crate) ended: Vec<(String, String)>,
}

impl World {
    /// Names of what is nowhere.
    pub(crate) fn imagined() -> Self {
        let uid = || uuid::Uuid::now_v7().to_string();
        Self {
            uids: Uids {
                api_key: uid(),
                binding: uid(),
                token: uid(),
                personal_token: uid(),
                member: uid(),
                invitation: uid(),
                session: uid(),
                identity: uid(),
            },
            callers: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Makes it all.
    pub(crate) async fn new(server: &TestServer) -> Self {
        let owner = server.admin();
        let (shop, production) = server.shop().await;
        shop.environment("staging").await;
        shop.create_flag(boolean_flag("banner")).await;
        let segment = Segment {
            key: "beta".to_owned(),
            ..Segment::default()
        };
        shop.create_segment(segment).await;
        server.project("blog").await.environment("production").await;
        let role = CreateRoleRequest {
            role: Some(Role {
                key: "reader".to_owned(),
                permissions: vec!["flag.read".to_owned()],
                ..Role::default()
            }),
            ..CreateRoleRequest::default()
        };
        owner.members().create_role(role).await.unwrap();
        owner.create_group("crew").await;
        owner.create_account("robot").await;
        owner.token("robot").await.unwrap();
        let binding = owner.bind("robot", "reader", "").await.unwrap();
        let (api_key, server_key) = api_key(owner, AccessKeyKind::Server, &[&production]).await;
        let list = ListServiceAccountTokensRequest {
            parent: "serviceAccounts/robot".to_owned(),
            ..ListServiceAccountTokensRequest::default()
        };
        let tokens = owner
            .service_accounts()
            .list_service_account_tokens(list)
            .await;
        let [token] = tokens
            .unwrap()
            .into_inner()
            .service_account_tokens
            .try_into()
            .unwrap();

        let mut callers = vec![
            Caller::with_key("a server key", AccessKeyKind::Server, server_key),
            Caller::with_key(
                "a client key",
                AccessKeyKind::Client,
                production.client_key().await,
            ),
            Caller::with_key(
                "a test key",
                AccessKeyKind::Test,
                production.test_key().await,
            ),
            Caller::with_key(
                "a relay key",
                AccessKeyKind::Relay,
                production.relay_key().await,
            ),
        ];
        for role in ROLES {
            for place in PLACES {
                let account = format!("{role}-{}", place.what);
                let somebody = owner.create_account(&account);
                somebody.await;
                owner.bind(&account, role, place.scope).await.unwrap();
                let token = owner.token(&account).await.unwrap();
                callers.push(Caller::with_role(role, place, token));
            }
        }
        let invited = owner.invite("ben@example.com", "viewer", "").await.unwrap();
        let (person, member) = owner.person(EMAIL, "viewer", "").await;
        let sessions = person.auth().list_sessions(ListSessionsRequest {}).await;
        let [session] = sessions.unwrap().into_inner().sessions.try_into().unwrap();
        let both = sessions_of(server, EMAIL).await;
        callers.push(Caller::with_session("viewer", true, both));
        for role in ROLES {
            let email = format!("{role}@example.com");
            owner.person(&email, role, "").await;
            let both = sessions_of(server, &email).await;
            callers.push(Caller::with_session(role, false, both));
        }
        let request = personal_token(&["flag.read"], "");
        let (_, token_of_person) = person.own_token(request).await.unwrap();
        callers.extend(tokens_of_an_admin(owner).await);
        let identity = known_identity(server, &member.uid).await;
        let (_, identity) = identity.rsplit_once('/').unwrap();
        Self {
            uids: Uids {
                api_key: api_key.uid,
                binding: binding.uid,
                token: token.uid,
                personal_token: token_of_person.uid,
                member: member.uid,
                invitation: invited.invitation.unwrap().uid,
                session: session.uid,
                identity: identity.to_owned(),
            },
            callers,
            ended: ended(server, &production).await,
        }
    }

    /// `projects/shop/environments/production`.
    pub(crate) fn environment_name(&self) -> String {
        self.name("projects/{project}/environments/{environment}")
    }

    /// The name of this world's thing of a kind.
    pub(crate) fn name(&self, pattern: &str) -> String {
        let uid = match pattern {
            "apiKeys/{uid}" => &self.uids.api_key,
            "roleBindings/{uid}" => &self.uids.binding,
            "serviceAccounts/{service account}/tokens/{uid}" => &self.uids.token,
            "members/{uid}/tokens/{uid}" => &self.uids.personal_token,
            "members/{uid}" => &self.uids.member,
            "invitations/{uid}" => &self.uids.invitation,
            "sessions/{uid}" => &self.uids.session,
            "identityProviders/{identity provider}/identities/{uid}" => &self.uids.identity,
            _ => "",
        };
        let name = pattern
            .replace("members/{uid}", &format!("members/{}", self.uids.member))
            .replace("{organization}", "default")
            .replace("{project}", "shop")
            .replace("{environment}", "production")
            .replace("{flag}", "banner")
            .replace("{segment}", "beta")
            .replace("{role}", "reader")
            .replace("{group}", "crew")
            .replace("{service account}", "robot")
            .replace("{identity provider}", "sso")
            .replace("{uid}", uid);
        assert!(!name.contains(['{', '}']), "what is {pattern}?");
        name
    }
}

/// Two sessions of a person: one to stay, and one to sign out of.
async fn sessions_of(server: &TestServer, email: &str) -> [String; 2] {
    let nobody = server.nobody();
    let staying = nobody.sign_in(email, PASSWORD).await.unwrap().secret;
    let leaving = nobody.sign_in(email, PASSWORD).await.unwrap().secret;
    [staying, leaving]
}

/// Whoever calls with a token of a person who is an admin: one that is good for all that an admin
/// may do, and one for less, in one project.
async fn tokens_of_an_admin(owner: &burgee_tests::callers::Caller) -> Vec<Caller> {
    let (admin, _) = owner.person("boss@example.com", "admin", "").await;
    let all = every_permission(BuiltIn::Admin);
    let few = [
        "flag.read",
        "flag.update",
        "flagConfig.update",
        "member.read",
    ];
    let [everywhere, in_shop, ..] = PLACES;
    let mut callers = Vec::new();
    for (what, permissions, place) in [
        (
            "a personal token for all of an admin's",
            &all[..],
            everywhere,
        ),
        ("a personal token for flags of a project", &few[..], in_shop),
    ] {
        let request = personal_token(permissions, place.scope);
        let mut tokens = admin.personal_tokens();
        let made = tokens.create_personal_token(request).await.unwrap();
        let secret = made.into_inner().secret;
        callers.push(Caller::with_token(what, permissions, place, secret));
    }
    callers
}

pub(crate) fn every_permission(role: BuiltIn) -> Vec<&'static str> {
    role.permissions().iter().map(Permission::name).collect()
}

/// Another organization; gives its owner's token, and a session of an owner who is a person.
pub(crate) async fn other_organization(server: &TestServer) -> [String; 2] {
    let token = server.database().create_organization("other");
    let owner = server.caller(&token);
    owner.person("eve@example.com", "owner", "").await;
    let signed_in = server.nobody().sign_in("eve@example.com", PASSWORD).await;
    [token, signed_in.unwrap().secret]
}

/// All that a refusal says, but for uids, which differ from one world to another.
pub(crate) fn bytes(status: &Status, world: &World) -> Vec<u8> {
    let details = String::from_utf8_lossy(status.details()).into_owned();
    let mut said = format!("{:?} {} {details}", status.code(), status.message());
    let uids = &world.uids;
    let tokens = [&uids.token, &uids.personal_token];
    let resources = [&uids.api_key, &uids.binding, &uids.identity];
    let people = [&uids.member, &uids.invitation, &uids.session];
    for uid in resources.into_iter().chain(tokens).chain(people) {
        said = said.replace(uid, "uid");
    }
    said.into_bytes()
}
