//! Who may do what: roles hold where they are bound, and give nobody more than
//! whoever gives them has.

use burgee_proto::admin::v1::{
    ApiKey, CreateEnvironmentRequest, CreateProjectRequest, CreateRoleRequest,
    DeleteRoleBindingRequest, DeleteRoleRequest, Environment, ExplainAccessRequest, Flag,
    FlagConfig, FlagFilter, GetFlagRequest, GetRoleRequest, ListApiKeysRequest,
    ListEnvironmentsRequest, ListFlagsRequest, ListPermissionsRequest, ListProjectsRequest,
    ListRoleBindingsRequest, ListRolesRequest, Project, Role, UpdateFlagConfigRequest,
    UpdateFlagRequest, UpdateRoleRequest, WhoAmIRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::people::personal_token;
use burgee_tests::project::{TestEnvironment, TestProject, api_key};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::Code;

const SHOP: &str = "projects/shop";

/// A project with two environments and a flag.
async fn world(server: &TestServer) -> (TestProject, TestEnvironment, TestEnvironment) {
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("banner")).await;
    (shop, production, staging)
}

async fn set_enabled(caller: &Caller, environment: &TestEnvironment) -> Result<(), tonic::Status> {
    let request = environment.set_enabled_request("banner", true);
    caller.flags().set_flag_enabled(request).await.map(drop)
}

fn custom_role(key: &str, permissions: &[&str]) -> CreateRoleRequest {
    CreateRoleRequest {
        role: Some(Role {
            key: key.to_owned(),
            permissions: permissions.iter().map(|it| (*it).to_owned()).collect(),
            ..Role::default()
        }),
        ..CreateRoleRequest::default()
    }
}

#[tokio::test]
async fn a_developer_of_staging_changes_staging_alone() {
    let server = TestServer::start().await;
    let (shop, production, staging) = world(&server).await;
    let developer = server
        .admin()
        .somebody("ci", "developer", &staging.name)
        .await;

    set_enabled(&developer, &staging).await.unwrap();
    let status = refused(
        set_enabled(&developer, &production).await,
        Code::PermissionDenied,
    );
    let message = status.message();
    assert!(
        message.ends_with(&format!(" in {}", production.name)),
        "{message}"
    );
    assert_eq!(reason(&status), "PERMISSION_DENIED");
    let update = UpdateFlagConfigRequest {
        flag_config: Some(FlagConfig {
            name: production.flag_name("banner"),
            ..FlagConfig::default()
        }),
        ..UpdateFlagConfigRequest::default()
    };
    refused(
        developer.flags().update_flag_config(update).await,
        Code::PermissionDenied,
    );
    // A definition is shared by all environments; it may be seen, and not changed.
    let get = GetFlagRequest {
        name: shop.flag_name("banner"),
    };
    let flag = developer.flags().get_flag(get).await.unwrap();
    let update = UpdateFlagRequest {
        flag: Some(Flag {
            description: "mine".to_owned(),
            ..flag.into_inner().flag.unwrap()
        }),
        ..UpdateFlagRequest::default()
    };
    refused(
        developer.flags().update_flag(update).await,
        Code::PermissionDenied,
    );
    let create = CreateEnvironmentRequest {
        parent: SHOP.to_owned(),
        environment: Some(Environment {
            key: "mine".to_owned(),
            ..Environment::default()
        }),
        ..CreateEnvironmentRequest::default()
    };
    refused(
        developer.environments().create_environment(create).await,
        Code::PermissionDenied,
    );
    assert!(!production.config("banner").await.enabled);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_whoever_asks() {
    let server = TestServer::start().await;
    let (_, _, staging) = world(&server).await;
    let viewer = server.admin().somebody("ci", "viewer", &staging.name).await;
    for (parent, code) in [("projects/gone", Code::NotFound), (SHOP, Code::Ok)] {
        let request = ListFlagsRequest {
            parent: parent.to_owned(),
            ..ListFlagsRequest::default()
        };
        let outcome = viewer.flags().list_flags(request).await;
        assert_eq!(
            outcome.map_or_else(|status| status.code(), |_| Code::Ok),
            code
        );
    }
    server.project("blog").await;
    let request = ListFlagsRequest {
        parent: "projects/blog".to_owned(),
        ..ListFlagsRequest::default()
    };
    refused(
        viewer.flags().list_flags(request).await,
        Code::PermissionDenied,
    );
}

#[tokio::test]
async fn lists_show_what_the_caller_may_see() {
    let server = TestServer::start().await;
    let (_, production, staging) = world(&server).await;
    server.project("blog").await;
    let admin = server.admin();
    let (staging_key, _) = api_key(admin, AccessKeyKind::Server, &[&staging]).await;
    api_key(admin, AccessKeyKind::Server, &[&production]).await;
    api_key(admin, AccessKeyKind::Relay, &[&production, &staging]).await;
    let viewer = admin.somebody("ci", "viewer", &staging.name).await;
    // Whoever may see everything, by a token that is good for as little.
    let (owner, _) = admin.person("ada@example.com", "owner", "").await;
    let reads = [
        "project.read",
        "environment.read",
        "apiKey.read",
        "flag.read",
    ];
    let request = personal_token(&reads, &staging.name);
    let (token, _) = owner.own_token(request).await.unwrap();
    for caller in [viewer, token] {
        shows_staging_alone(&caller, (&production, &staging), &staging_key).await;
    }
}

async fn shows_staging_alone(
    viewer: &Caller,
    (production, staging): (&TestEnvironment, &TestEnvironment),
    staging_key: &ApiKey,
) {
    let mut projects = viewer.projects();
    let projects = projects
        .list_projects(ListProjectsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .projects;
    let names: Vec<_> = projects.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, [SHOP]);
    let request = ListEnvironmentsRequest {
        parent: SHOP.to_owned(),
        ..ListEnvironmentsRequest::default()
    };
    let environments = viewer.environments().list_environments(request).await;
    let environments = environments.unwrap().into_inner().environments;
    let names: Vec<_> = environments.iter().map(|it| &it.name).collect();
    assert_eq!(names, [&staging.name]);
    let keys = viewer
        .api_keys()
        .list_api_keys(ListApiKeysRequest::default())
        .await;
    let keys = keys.unwrap().into_inner().api_keys;
    let names: Vec<_> = keys.iter().map(|it| &it.name).collect();
    assert_eq!(
        names,
        [&staging_key.name],
        "keys of other environments are not shown"
    );

    let of = |environment: &TestEnvironment| {
        let name = &environment.name;
        let enabled = FlagFilter {
            enabled_in: name.clone(),
            ..FlagFilter::default()
        };
        let disabled = FlagFilter {
            disabled_in: name.clone(),
            ..FlagFilter::default()
        };
        [
            (vec![name.clone()], None),
            (Vec::new(), Some(enabled)),
            (Vec::new(), Some(disabled)),
        ]
    };
    let list = async |(environments, filter)| {
        let request = ListFlagsRequest {
            parent: SHOP.to_owned(),
            environments,
            filter,
            ..ListFlagsRequest::default()
        };
        viewer.flags().list_flags(request).await.map(drop)
    };
    for (seen, hidden) in of(staging).into_iter().zip(of(production)) {
        list(seen).await.unwrap();
        refused(list(hidden).await, Code::PermissionDenied);
    }
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let server = TestServer::start().await;
    let (_, _, staging) = world(&server).await;
    let owner = server.admin();
    owner.create_account("friend").await;
    let admin = owner.somebody("boss", "admin", "").await;
    let in_staging = owner.somebody("lead", "admin", &staging.name).await;

    refused(
        admin.bind("friend", "owner", "").await,
        Code::PermissionDenied,
    );
    admin.bind("friend", "developer", "").await.unwrap();
    let status = refused(
        in_staging.bind("friend", "viewer", "").await,
        Code::PermissionDenied,
    );
    let message = status.message();
    assert!(message.ends_with(" in the organization"), "{message}");
    refused(
        in_staging.bind("friend", "viewer", SHOP).await,
        Code::PermissionDenied,
    );
    refused(
        in_staging.bind("friend", "owner", &staging.name).await,
        Code::PermissionDenied,
    );
    in_staging
        .bind("friend", "viewer", &staging.name)
        .await
        .unwrap();

    // A token of an account is what the account may do.
    refused(admin.token("admin").await, Code::PermissionDenied);
    admin.token("friend").await.unwrap();
    // Nor may a role be changed into more.
    let role = owner
        .members()
        .create_role(custom_role("roles", &["role.manage"]))
        .await;
    role.unwrap();
    let maker = owner.somebody("maker", "roles", "").await;
    let more = custom_role("more", &["role.manage", "flag.read"]);
    let status = refused(
        maker.members().create_role(more).await,
        Code::PermissionDenied,
    );
    assert_eq!(reason(&status), "PERMISSION_DENIED");
    let same = custom_role("same", &["role.manage"]);
    let same = maker
        .members()
        .create_role(same)
        .await
        .unwrap()
        .into_inner();
    let update = UpdateRoleRequest {
        role: Some(Role {
            permissions: vec!["flag.delete".to_owned()],
            ..same.role.unwrap()
        }),
        ..UpdateRoleRequest::default()
    };
    refused(
        maker.members().update_role(update).await,
        Code::PermissionDenied,
    );
}

#[tokio::test]
async fn nobody_takes_out_of_a_role_what_they_have_not() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let maker = custom_role("roles", &["role.manage"]);
    owner.members().create_role(maker).await.unwrap();
    let maker = owner.somebody("maker", "roles", "").await;
    let strong = custom_role("strong", &["role.manage", "flag.delete"]);
    let strong = owner.members().create_role(strong).await.unwrap();
    let update = UpdateRoleRequest {
        role: Some(Role {
            permissions: vec!["role.manage".to_owned()],
            ..strong.into_inner().role.unwrap()
        }),
        ..UpdateRoleRequest::default()
    };
    let outcome = maker.members().update_role(update.clone()).await;
    refused(outcome, Code::PermissionDenied);
    owner.members().update_role(update).await.unwrap();
}

#[tokio::test]
async fn the_last_owner_stays() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let list = ListRoleBindingsRequest {
        subject: "serviceAccounts/admin".to_owned(),
        ..ListRoleBindingsRequest::default()
    };
    let held = owner.members().list_role_bindings(list).await.unwrap();
    let [first] = held.into_inner().role_bindings.try_into().unwrap();
    let delete = DeleteRoleBindingRequest {
        name: first.name,
        ..DeleteRoleBindingRequest::default()
    };
    let outcome = owner.members().delete_role_binding(delete.clone()).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "LAST_OWNER");

    let second = owner.somebody("second", "owner", "").await;
    second.members().delete_role_binding(delete).await.unwrap();
    until("the first owner is none any more", SOON, async || {
        let request = CreateProjectRequest {
            project: Some(Project {
                key: "new".to_owned(),
                ..Project::default()
            }),
            validate_only: true,
            ..CreateProjectRequest::default()
        };
        let outcome = owner.projects().create_project(request).await;
        outcome.is_err_and(|status| status.code() == Code::PermissionDenied)
    })
    .await;
}

#[tokio::test]
async fn a_role_of_ones_own_allows_what_it_says_and_follows_its_changes() {
    let server = TestServer::start().await;
    let (_, production, _) = world(&server).await;
    let owner = server.admin();
    let role = custom_role(
        "switch",
        &["flagConfig.setEnabled", "flag.read", "flag.read"],
    );
    let role = owner.members().create_role(role).await.unwrap();
    let role = role.into_inner().role.unwrap();
    assert_eq!(role.permissions, ["flag.read", "flagConfig.setEnabled"]);
    let caller = owner.somebody("switcher", "switch", SHOP).await;
    set_enabled(&caller, &production).await.unwrap();
    let mut projects = caller.projects();
    let list = projects.list_projects(ListProjectsRequest::default());
    refused(list.await, Code::PermissionDenied);

    let update = UpdateRoleRequest {
        role: Some(Role {
            permissions: vec!["flag.read".to_owned()],
            ..role.clone()
        }),
        ..UpdateRoleRequest::default()
    };
    owner.members().update_role(update).await.unwrap();
    until("the role allows less", SOON, async || {
        set_enabled(&caller, &production).await.is_err()
    })
    .await;

    let get = GetRoleRequest {
        name: role.name.clone(),
    };
    let role = owner
        .members()
        .get_role(get)
        .await
        .unwrap()
        .into_inner()
        .role
        .unwrap();
    let delete = DeleteRoleRequest {
        name: role.name.clone(),
        etag: role.etag.clone(),
        ..DeleteRoleRequest::default()
    };
    let outcome = owner.members().delete_role(delete.clone()).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "ROLE_IN_USE");
    let list = ListRoleBindingsRequest {
        subject: "serviceAccounts/switcher".to_owned(),
        ..ListRoleBindingsRequest::default()
    };
    let held = owner.members().list_role_bindings(list).await.unwrap();
    for binding in held.into_inner().role_bindings {
        let request = DeleteRoleBindingRequest {
            name: binding.name,
            ..DeleteRoleBindingRequest::default()
        };
        owner.members().delete_role_binding(request).await.unwrap();
    }
    owner.members().delete_role(delete).await.unwrap();
}

#[tokio::test]
async fn bad_roles_and_bindings_are_refused_by_field() {
    use burgee_tests::errors::fields;
    let server = TestServer::start().await;
    let owner = server.admin();
    for (request, field) in [
        (custom_role("NO", &[]), "role.key"),
        (
            custom_role("fly", &["flag.read", "flag.fly"]),
            "role.permissions[1]",
        ),
    ] {
        let status = refused(
            owner.members().create_role(request).await,
            Code::InvalidArgument,
        );
        assert_eq!(fields(&status), [field]);
    }
    let taken = owner.members().create_role(custom_role("owner", &[])).await;
    refused(taken, Code::AlreadyExists);
    owner
        .members()
        .create_role(custom_role("mine", &[]))
        .await
        .unwrap();
    let taken = owner.members().create_role(custom_role("mine", &[])).await;
    refused(taken, Code::AlreadyExists);
    let built_in = UpdateRoleRequest {
        role: Some(Role {
            name: "roles/viewer".to_owned(),
            display_name: "mine".to_owned(),
            ..Role::default()
        }),
        etag: "any".to_owned(),
        ..UpdateRoleRequest::default()
    };
    let outcome = owner.members().update_role(built_in).await;
    assert_eq!(
        reason(&refused(outcome, Code::FailedPrecondition)),
        "ROLE_BUILT_IN"
    );

    refused(owner.bind("nobody", "viewer", "").await, Code::NotFound);
    refused(owner.bind("admin", "gone", "").await, Code::NotFound);
    refused(
        owner.bind("admin", "viewer", "projects/gone").await,
        Code::NotFound,
    );
    let status = refused(
        owner.bind("admin", "viewer", "nonsense").await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["role_binding.scope"]);
    // Asking twice for one thing is no fault, and makes one.
    let first = owner.bind("admin", "viewer", "").await.unwrap();
    let again = owner.bind("admin", "viewer", "").await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn access_is_explained_and_everybody_knows_who_they_are() {
    let server = TestServer::start().await;
    let (_, production, staging) = world(&server).await;
    let owner = server.admin();
    let developer = owner.somebody("ci", "developer", &staging.name).await;
    let explain_for = async |permission: &str, resource: &str| {
        let request = ExplainAccessRequest {
            subject: "serviceAccounts/ci".to_owned(),
            permission: permission.to_owned(),
            resource: resource.to_owned(),
        };
        owner
            .members()
            .explain_access(request)
            .await
            .unwrap()
            .into_inner()
    };
    let explain = async |resource: &str| explain_for("flagConfig.setEnabled", resource).await;
    let answer = explain(&staging.flag_name("banner")).await;
    assert!(answer.allowed);
    let [binding] = answer.role_bindings.try_into().unwrap();
    assert_eq!(
        (binding.role.as_str(), &binding.scope),
        ("roles/developer", &staging.name)
    );
    let answer = explain(&production.flag_name("banner")).await;
    assert!(!answer.allowed && answer.role_bindings.is_empty());
    assert_eq!(
        answer.explanation,
        "none of the 1 roles of serviceAccounts/ci allows it there"
    );
    // In its role, and good for nothing where it is held: these are of a project, and of the
    // organization.
    for (permission, resource) in [
        ("flag.update", &*staging.flag_name("banner")),
        ("flag.update", "projects/shop/flags/banner"),
        ("member.read", &*staging.name),
    ] {
        let answer = explain_for(permission, resource).await;
        assert!(!answer.allowed, "{permission}: {}", answer.explanation);
        assert!(answer.role_bindings.is_empty());
    }
    assert!(explain_for("flag.read", "projects/shop").await.allowed);

    let me = developer
        .auth()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(me.subject, "serviceAccounts/ci");
    assert_eq!(me.organization, "default");
    assert_eq!(me.role_bindings.len(), 1);
    let [there] = me.permissions.try_into().unwrap();
    assert_eq!(there.scope, staging.name);
    assert!(
        there
            .permissions
            .contains(&"flagConfig.setEnabled".to_owned())
    );
    refused(
        Caller::anonymous(server.address())
            .auth()
            .who_am_i(WhoAmIRequest {})
            .await,
        Code::Unauthenticated,
    );
}

#[tokio::test]
async fn the_built_in_roles_and_all_permissions_are_published() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let permissions = owner
        .members()
        .list_permissions(ListPermissionsRequest {})
        .await;
    let permissions = permissions.unwrap().into_inner().permissions;
    let roles = owner
        .members()
        .list_roles(ListRolesRequest::default())
        .await
        .unwrap();
    let roles = roles.into_inner().roles;
    let keys: Vec<_> = roles.iter().map(|role| role.key.as_str()).collect();
    assert_eq!(keys, ["viewer", "developer", "reviewer", "admin", "owner"]);
    let all: Vec<_> = permissions.iter().map(|it| it.name.clone()).collect();
    assert_eq!(roles[4].permissions, all);
    assert!(roles.iter().all(|role| role.built_in));
}

#[tokio::test]
async fn nobody_has_so_many_roles_that_others_wait_while_they_are_read() {
    let server = TestServer::start().await;
    let owner = server.admin();
    owner.create_account("ci").await;
    owner.create_group("crew").await;
    for (table, column, subject, maximum) in [
        (
            "service_accounts",
            "service_account_id",
            "serviceAccounts/ci",
            1_000,
        ),
        ("groups", "group_id", "groups/crew", 100),
    ] {
        let key = subject.split('/').next_back().unwrap();
        let all_but_one = format!(
            "insert into role_bindings (id, organization_id, {column}, role, created_by)
             select gen_random_uuid(), organization_id, id, 'role-' || number, 'test'
             from {table} cross join generate_series(2, {maximum}) as number where key = '{key}'"
        );
        server.database().execute(all_but_one).await.unwrap();
        let last = owner.bind_subject(subject, "viewer", "").await.unwrap();
        let outcome = owner.bind_subject(subject, "developer", "").await;
        let status = refused(outcome, Code::FailedPrecondition);
        assert_eq!(reason(&status), "LIMIT_EXCEEDED");
        // What they have already is no more.
        let again = owner.bind_subject(subject, "viewer", "").await.unwrap();
        assert_eq!(again.uid, last.uid);
    }
}
