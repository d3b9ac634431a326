//! Whoever is strong, whoever tries to become so, and what there is to try it on.

use std::cell::Cell;

use burgee_proto::admin::v1::{
    CreateRoleRequest, DeactivateMemberRequest, GetApiKeyRequest, GetGroupRequest,
    GetMemberRequest, GetRoleRequest, GetServiceAccountRequest, ListServiceAccountTokensRequest,
    Role, ServiceAccount, UpdateServiceAccountRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::callers::Caller;
use burgee_tests::people::personal_token;
use burgee_tests::project::api_key;
use burgee_tests::server::{TestServer, WITHOUT_RATE_LIMITS};
use burgee_tests::single_sign_on::known_identity;

pub(super) const PRODUCTION: &str = "projects/shop/environments/production";
pub(super) const STAGING: &str = "projects/shop/environments/staging";

/// Whoever tries.
pub(super) struct Attacker {
    /// For messages.
    pub(super) what: String,
    /// `members/{uid}`.
    pub(super) name: String,
    pub(super) email: String,
    /// `roles/{role}`, that they hold.
    role: String,
    pub(super) caller: Caller,
    /// The name of an account that may do nothing yet, and its token, which they have.
    accomplice: String,
    pub(super) accomplices_token: String,
    token_of_accomplice: String,
    /// The name of a group that they are in.
    group: String,
}

/// Whoever is strong, and what they have.
pub(super) struct World {
    pub(super) server: TestServer,
    /// Another, which remembers no credential from before an attack.
    pub(super) checker: TestServer,
    boss: String,
    gone: String,
    token_of_boss: String,
    token_of_strong: String,
    binding_of_boss: String,
    invitation: String,
    relay_key: String,
    server_key: String,
    /// Of the boss, with the provider `sso`.
    identity: String,
    numbers: Cell<usize>,
}

impl World {
    pub(super) async fn new() -> Self {
        let server = TestServer::with(WITHOUT_RATE_LIMITS).await;
        let checker = TestServer::on_with(server.database(), WITHOUT_RATE_LIMITS).await;
        let owner = server.admin();
        let (shop, production) = server.shop().await;
        let staging = shop.environment("staging").await;
        let strong = ["flag.delete", "audit.read", "project.delete"];
        create_role(owner, "strong", &strong).await;
        owner.create_account("strong").await;
        owner.bind("strong", "strong", "").await.unwrap();
        owner.token("strong").await.unwrap();
        owner.create_account("asleep").await;
        owner.bind("asleep", "admin", "").await.unwrap();
        owner.create_group("strong-crew").await;
        owner
            .bind_subject("groups/strong-crew", "admin", "")
            .await
            .unwrap();
        let (boss_caller, boss) = owner.person("boss@example.com", "viewer", "").await;
        let binding = owner.bind_subject(&boss.name, "owner", "").await.unwrap();
        let request = personal_token(&["flag.delete"], "");
        let (_, token_of_boss) = boss_caller.own_token(request).await.unwrap();
        let (_, gone) = owner.person("gone@example.com", "admin", "").await;
        let deactivate = DeactivateMemberRequest {
            name: gone.name.clone(),
            ..DeactivateMemberRequest::default()
        };
        owner.members().deactivate_member(deactivate).await.unwrap();
        let invited = owner.invite("next@example.com", "owner", "").await.unwrap();
        let both = [&production, &staging];
        let (relay_key, _) = api_key(owner, AccessKeyKind::Relay, &both).await;
        let (server_key, _) = api_key(owner, AccessKeyKind::Server, &[&production]).await;
        let token_of_strong = first_token(owner, "serviceAccounts/strong").await;
        let identity = known_identity(&server, &boss.uid).await;
        let world = Self {
            boss: boss.name,
            gone: gone.name,
            token_of_boss: token_of_boss.name,
            token_of_strong,
            binding_of_boss: binding.name,
            invitation: invited.invitation.unwrap().name,
            relay_key: relay_key.name,
            server_key: server_key.name,
            identity,
            numbers: Cell::default(),
            server,
            checker,
        };
        world.put_to_sleep("serviceAccounts/asleep").await;
        world
    }

    fn owner(&self) -> &Caller {
        self.server.admin()
    }

    async fn put_to_sleep(&self, account: &str) {
        let request = UpdateServiceAccountRequest {
            service_account: Some(ServiceAccount {
                name: account.to_owned(),
                disabled: true,
                ..ServiceAccount::default()
            }),
            etag: self.etag(Some(account)).await.unwrap(),
            ..UpdateServiceAccountRequest::default()
        };
        let mut accounts = self.owner().service_accounts();
        accounts.update_service_account(request).await.unwrap();
    }

    /// A number that nobody had.
    pub(super) fn number(&self) -> usize {
        self.numbers.replace(self.numbers.get() + 1)
    }

    /// The key of a role that allows this one thing.
    pub(super) async fn role_of_one(&self, permission: &str) -> String {
        let key = permission.to_lowercase().replace('.', "-");
        create_role(self.owner(), &key, &[permission]).await;
        key
    }

    /// Somebody who holds a role there, and sees staging; with a group, and an accomplice.
    pub(super) async fn attacker(&self, role: &str, scope: &str) -> Attacker {
        let owner = self.owner();
        let number = self.number();
        let email = format!("attacker-{number}@example.com");
        let (caller, member) = owner.person(&email, role, scope).await;
        owner
            .bind_subject(&member.name, "viewer", STAGING)
            .await
            .unwrap();
        let key = format!("accomplice-{number}");
        owner.create_account(&key).await;
        let accomplices_token = owner.token(&key).await.unwrap();
        let group = owner.create_group(&format!("crew-{number}")).await;
        owner
            .add_to_group(&group.name, &[&member.name])
            .await
            .unwrap();
        let accomplice = format!("serviceAccounts/{key}");
        Attacker {
            what: format!("a {role} of {scope:?}"),
            name: member.name,
            email,
            role: format!("roles/{role}"),
            caller,
            token_of_accomplice: first_token(owner, &accomplice).await,
            accomplice,
            accomplices_token,
            group: group.name,
        }
    }

    /// The things of a kind that are worth trying, for a field of that name.
    pub(super) fn targets(&self, attacker: &Attacker, pattern: &str, field: &str) -> Vec<String> {
        let targets = match (pattern, field) {
            ("serviceAccounts/{service account}", "subject") => {
                vec![&*attacker.name, &attacker.accomplice, &attacker.group]
            }
            ("serviceAccounts/{service account}", _) => vec![
                &*attacker.accomplice,
                "serviceAccounts/strong",
                "serviceAccounts/asleep",
            ],
            ("serviceAccounts/{service account}/tokens/{uid}", _) => {
                vec![&*attacker.token_of_accomplice, &self.token_of_strong]
            }
            ("members/{uid}", "members") => vec![&*attacker.name],
            ("members/{uid}", _) => vec![&*attacker.name, &self.boss, &self.gone],
            ("members/{uid}/tokens/{uid}", _) => vec![&*self.token_of_boss],
            ("groups/{group}", _) => vec![&*attacker.group, "groups/strong-crew"],
            ("roles/{role}", "name") => vec!["roles/strong", &*attacker.role, "roles/owner"],
            ("roles/{role}", _) => vec![
                &*attacker.role,
                "roles/strong",
                "roles/viewer",
                "roles/admin",
                "roles/owner",
            ],
            ("roleBindings/{uid}", _) => vec![&*self.binding_of_boss],
            ("invitations/{uid}", _) => vec![&*self.invitation],
            ("apiKeys/{uid}", _) => vec![&*self.relay_key, &self.server_key],
            ("identityProviders/{identity provider}", _) => vec!["identityProviders/sso"],
            ("identityProviders/{identity provider}/identities/{uid}", _) => {
                vec![&*self.identity]
            }
            ("organizations/{organization}", _) => vec!["organizations/default"],
            _ => panic!("which {pattern} is worth having, in {field}?"),
        };
        targets.into_iter().map(str::to_owned).collect()
    }

    /// The etag of a thing, if it has one.
    pub(super) async fn etag(&self, name: Option<&str>) -> Option<String> {
        let owner = self.owner();
        let name = name?.to_owned();
        Some(match name.split('/').next()? {
            "roles" => {
                let role = owner.members().get_role(GetRoleRequest { name }).await;
                role.unwrap().into_inner().role?.etag
            }
            "groups" => {
                let group = owner.members().get_group(GetGroupRequest { name }).await;
                group.unwrap().into_inner().group?.etag
            }
            "members" if !name.contains("tokens") => {
                let member = owner.members().get_member(GetMemberRequest { name }).await;
                member.unwrap().into_inner().member?.etag
            }
            "serviceAccounts" if !name.contains("tokens") => {
                let request = GetServiceAccountRequest { name };
                let account = owner.service_accounts().get_service_account(request).await;
                account.unwrap().into_inner().service_account?.etag
            }
            "identityProviders" if !name.contains("identities") => {
                owner.identity_provider(&name).await.unwrap().etag
            }
            "apiKeys" => {
                let key = owner
                    .api_keys()
                    .get_api_key(GetApiKeyRequest { name })
                    .await;
                key.unwrap().into_inner().api_key?.etag
            }
            _ => return None,
        })
    }
}

pub(super) async fn create_role(owner: &Caller, key: &str, permissions: &[&str]) {
    let request = CreateRoleRequest {
        role: Some(Role {
            key: key.to_owned(),
            permissions: permissions.iter().map(|it| (*it).to_owned()).collect(),
            ..Role::default()
        }),
        ..CreateRoleRequest::default()
    };
    owner.members().create_role(request).await.unwrap();
}

async fn first_token(owner: &Caller, account: &str) -> String {
    let request = ListServiceAccountTokensRequest {
        parent: account.to_owned(),
        ..ListServiceAccountTokensRequest::default()
    };
    let mut accounts = owner.service_accounts();
    let tokens = accounts.list_service_account_tokens(request).await.unwrap();
    tokens.into_inner().service_account_tokens[0].name.clone()
}
