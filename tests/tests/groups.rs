//! Groups: their members have their roles, at once and everywhere, and nobody
//! gains by them what they could not give.

use burgee_proto::admin::v1::{
    AddGroupMembersRequest, AuditFilter, CreateGroupRequest, CreateRoleRequest,
    DeactivateMemberRequest, DeleteGroupRequest, DeleteRoleBindingRequest, ExplainAccessRequest,
    GetGroupRequest, Group, ListAuditEntriesRequest, ListGroupMembersRequest, ListGroupsRequest,
    ListRoleBindingsRequest, ReactivateMemberRequest, Role, UpdateGroupRequest, WhoAmIRequest,
};
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, limit, reason, refused};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::Code;

const CREW: &str = "groups/crew";

async fn may_toggle(caller: &Caller, environment: &TestEnvironment) -> bool {
    let request = environment.set_enabled_request("banner", true);
    caller.flags().set_flag_enabled(request).await.is_ok()
}

/// The names of a group's members, and of the groups that a member is in.
async fn members(caller: &Caller, group: &str) -> Vec<String> {
    let request = ListGroupMembersRequest {
        name: group.to_owned(),
        ..ListGroupMembersRequest::default()
    };
    let response = caller.members().list_group_members(request).await.unwrap();
    let members = response.into_inner().members;
    members.into_iter().map(|member| member.name).collect()
}

async fn groups_of(caller: &Caller, member: &str) -> Vec<String> {
    let request = ListGroupsRequest {
        member: member.to_owned(),
        ..ListGroupsRequest::default()
    };
    let response = caller.members().list_groups(request).await.unwrap();
    let groups = response.into_inner().groups;
    groups.into_iter().map(|group| group.name).collect()
}

/// The subjects of a member's role bindings.
async fn subjects(caller: &Caller, member: &str, include_groups: bool) -> Vec<String> {
    let request = ListRoleBindingsRequest {
        subject: member.to_owned(),
        include_groups,
        ..ListRoleBindingsRequest::default()
    };
    let response = caller.members().list_role_bindings(request).await.unwrap();
    let bindings = response.into_inner().role_bindings;
    bindings.into_iter().map(|it| it.subject).collect()
}

#[tokio::test]
async fn whoever_is_in_a_group_has_its_roles_until_they_are_out_of_it() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("banner")).await;
    let (ada, member) = owner.person("ada@example.com", "viewer", "").await;
    owner.create_group("crew").await;
    let binding = owner
        .bind_subject(CREW, "developer", &staging.name)
        .await
        .unwrap();
    assert_eq!(binding.subject, CREW);
    assert!(!may_toggle(&ada, &staging).await);

    owner.add_to_group(CREW, &[&member.name]).await.unwrap();
    until("the group's role holds", SOON, async || {
        may_toggle(&ada, &staging).await
    })
    .await;
    assert!(!may_toggle(&ada, &production).await);
    assert_eq!(members(owner, CREW).await, [member.name.as_str()]);
    assert_eq!(groups_of(owner, &member.name).await, [CREW]);
    assert_eq!(
        subjects(owner, &member.name, false).await,
        [member.name.as_str()]
    );
    let both = subjects(owner, &member.name, true).await;
    assert_eq!(both, [member.name.as_str(), CREW]);

    // They and others can see where it comes from.
    let me = ada.auth().who_am_i(WhoAmIRequest {}).await.unwrap();
    let me = me.into_inner();
    assert!(me.role_bindings.contains(&binding));
    let there = me.permissions.iter().find(|it| it.scope == staging.name);
    let toggle = "flagConfig.setEnabled".to_owned();
    assert!(there.unwrap().permissions.contains(&toggle));
    let request = ExplainAccessRequest {
        subject: member.name.clone(),
        permission: toggle,
        resource: staging.name.clone(),
    };
    let explained = owner.members().explain_access(request.clone()).await;
    let explained = explained.unwrap().into_inner();
    assert!(explained.allowed);
    assert_eq!(explained.role_bindings, std::slice::from_ref(&binding));
    let expected = format!(
        "roles/developer held in {} by {CREW} allows it",
        staging.name
    );
    assert_eq!(explained.explanation, expected);
    let of_group = ExplainAccessRequest {
        subject: CREW.to_owned(),
        ..request
    };
    let explained = owner.members().explain_access(of_group).await.unwrap();
    assert!(explained.into_inner().allowed);

    owner
        .remove_from_group(CREW, &[&member.name])
        .await
        .unwrap();
    until("the group's role is gone", SOON, async || {
        !may_toggle(&ada, &staging).await
    })
    .await;
    // Putting somebody in twice is no fault, nor taking them out twice.
    for _ in 0..2 {
        owner.add_to_group(CREW, &[&member.name]).await.unwrap();
    }
    until("the group's role holds again", SOON, async || {
        may_toggle(&ada, &staging).await
    })
    .await;
    let delete = DeleteRoleBindingRequest {
        name: binding.name,
        ..DeleteRoleBindingRequest::default()
    };
    owner.members().delete_role_binding(delete).await.unwrap();
    until("the group has no role", SOON, async || {
        !may_toggle(&ada, &staging).await
    })
    .await;
}

#[tokio::test]
async fn nobody_gains_by_a_group_what_they_may_not_give() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, production) = server.shop().await;
    let role = CreateRoleRequest {
        role: Some(Role {
            key: "keeper".to_owned(),
            permissions: ["group.read", "group.manage", "role.bind"]
                .map(str::to_owned)
                .into(),
            ..Role::default()
        }),
        ..CreateRoleRequest::default()
    };
    owner.members().create_role(role).await.unwrap();
    let (keeper, member) = owner.person("keeper@example.com", "keeper", "").await;
    let strong = owner.create_group("strong").await;
    owner
        .bind_subject(&strong.name, "developer", &production.name)
        .await
        .unwrap();

    let denied = keeper.add_to_group(&strong.name, &[&member.name]).await;
    assert_eq!(
        reason(&refused(denied, Code::PermissionDenied)),
        "PERMISSION_DENIED"
    );
    let (_, other) = owner.person("other@example.com", "viewer", "").await;
    owner
        .add_to_group(&strong.name, &[&other.name])
        .await
        .unwrap();
    let denied = keeper.remove_from_group(&strong.name, &[&other.name]).await;
    refused(denied, Code::PermissionDenied);
    let update = UpdateGroupRequest {
        group: Some(Group {
            display_name: "mine".to_owned(),
            ..strong.clone()
        }),
        ..UpdateGroupRequest::default()
    };
    refused(
        keeper.members().update_group(update).await,
        Code::PermissionDenied,
    );
    // A group of their own gets no more than they have.
    keeper.create_group("mine").await;
    keeper
        .add_to_group("groups/mine", &[&member.name])
        .await
        .unwrap();
    for (role, scope) in [
        ("viewer", ""),
        ("owner", ""),
        ("developer", production.name.as_str()),
    ] {
        let denied = keeper.bind_subject("groups/mine", role, scope).await;
        refused(denied, Code::PermissionDenied);
    }
    keeper
        .bind_subject("groups/mine", "keeper", "")
        .await
        .unwrap();
    // Whoever is strong by a group is out of a weaker one's reach, too.
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    let owners = owner.create_group("owners").await;
    owner.bind_subject(&owners.name, "owner", "").await.unwrap();
    owner
        .add_to_group(&owners.name, &[&other.name])
        .await
        .unwrap();
    let deactivate = DeactivateMemberRequest {
        name: other.name.clone(),
        ..DeactivateMemberRequest::default()
    };
    refused(
        admin.members().deactivate_member(deactivate).await,
        Code::PermissionDenied,
    );
}

#[tokio::test]
async fn the_last_owner_stays_though_it_is_by_a_group() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let owners = owner.create_group("owners").await;
    let by_group = owner.bind_subject(&owners.name, "owner", "").await.unwrap();
    let machine = subjects(owner, "serviceAccounts/admin", false).await;
    assert_eq!(machine, ["serviceAccounts/admin"]);
    let list = ListRoleBindingsRequest {
        subject: "serviceAccounts/admin".to_owned(),
        ..ListRoleBindingsRequest::default()
    };
    let held = owner.members().list_role_bindings(list).await.unwrap();
    let [machine] = held.into_inner().role_bindings.try_into().unwrap();
    let delete = DeleteRoleBindingRequest {
        name: machine.name,
        ..DeleteRoleBindingRequest::default()
    };
    let is_last = |status: tonic::Status| assert_eq!(reason(&status), "LAST_OWNER");

    // A group without members owns nothing, nor does one of members who are kept out.
    let outcome = owner.members().delete_role_binding(delete.clone()).await;
    is_last(refused(outcome, Code::FailedPrecondition));
    let (ada, member) = owner.person("ada@example.com", "viewer", "").await;
    owner
        .add_to_group(&owners.name, &[&member.name])
        .await
        .unwrap();
    let deactivate = DeactivateMemberRequest {
        name: member.name.clone(),
        ..DeactivateMemberRequest::default()
    };
    let mut people = owner.members();
    people.deactivate_member(deactivate.clone()).await.unwrap();
    let outcome = owner.members().delete_role_binding(delete.clone()).await;
    is_last(refused(outcome, Code::FailedPrecondition));
    let reactivate = ReactivateMemberRequest {
        name: member.name.clone(),
        ..ReactivateMemberRequest::default()
    };
    people.reactivate_member(reactivate).await.unwrap();
    drop(ada);
    let signed_in = server
        .nobody()
        .sign_in("ada@example.com", burgee_tests::people::PASSWORD)
        .await
        .unwrap();
    let ada = server.caller(&signed_in.secret);
    ada.members().delete_role_binding(delete).await.unwrap();

    // Now it is the group alone, and she alone in it.
    let outcome = ada.remove_from_group(&owners.name, &[&member.name]).await;
    is_last(refused(outcome, Code::FailedPrecondition));
    let outcome = ada.members().deactivate_member(deactivate).await;
    is_last(refused(outcome, Code::FailedPrecondition));
    let delete = DeleteRoleBindingRequest {
        name: by_group.name,
        ..DeleteRoleBindingRequest::default()
    };
    let outcome = ada.members().delete_role_binding(delete).await;
    is_last(refused(outcome, Code::FailedPrecondition));
    assert_eq!(members(&ada, &owners.name).await, [member.name.as_str()]);
}

#[tokio::test]
async fn a_group_is_made_changed_and_deleted_when_it_has_no_roles() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, member) = owner.person("ada@example.com", "viewer", "").await;
    let made = owner.create_group("crew").await;
    owner.create_group("another").await;
    owner.add_to_group(CREW, &[&member.name]).await.unwrap();
    let update = UpdateGroupRequest {
        group: Some(Group {
            display_name: "The crew".to_owned(),
            ..made.clone()
        }),
        ..UpdateGroupRequest::default()
    };
    let updated = owner.members().update_group(update.clone()).await.unwrap();
    let updated = updated.into_inner().group.unwrap();
    refused(owner.members().update_group(update).await, Code::Aborted);
    let get = GetGroupRequest {
        name: CREW.to_owned(),
    };
    let got = owner.members().get_group(get.clone()).await.unwrap();
    assert_eq!(got.into_inner().group.as_ref(), Some(&updated));

    let page = |token: String| ListGroupsRequest {
        page_size: 1,
        page_token: token,
        ..ListGroupsRequest::default()
    };
    let first = owner.members().list_groups(page(String::new())).await;
    let first = first.unwrap().into_inner();
    assert_eq!(first.groups[0].key, "another");
    let second = page(first.next_page_token);
    let second = owner.members().list_groups(second).await;
    let second = second.unwrap().into_inner();
    assert_eq!(second.groups, std::slice::from_ref(&updated));
    assert!(second.next_page_token.is_empty());

    let binding = owner.bind_subject(CREW, "viewer", "").await.unwrap();
    let delete = DeleteGroupRequest {
        name: CREW.to_owned(),
        etag: updated.etag,
        ..DeleteGroupRequest::default()
    };
    let outcome = owner.members().delete_group(delete.clone()).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "GROUP_IN_USE");
    let unbind = DeleteRoleBindingRequest {
        name: binding.name,
        ..DeleteRoleBindingRequest::default()
    };
    owner.members().delete_role_binding(unbind).await.unwrap();
    owner.members().delete_group(delete).await.unwrap();
    refused(owner.members().get_group(get).await, Code::NotFound);
    assert!(groups_of(owner, &member.name).await.is_empty());

    let list = ListAuditEntriesRequest {
        filter: Some(AuditFilter {
            resource: CREW.to_owned(),
            ..AuditFilter::default()
        }),
        ..ListAuditEntriesRequest::default()
    };
    let entries = owner.audit().list_audit_entries(list).await.unwrap();
    let entries = entries.into_inner().audit_entries;
    let told: Vec<_> = entries
        .iter()
        .map(|it| (it.method.rsplit('/').next().unwrap(), it.part.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("DeleteGroup", "group"),
            ("UpdateGroup", "group"),
            ("AddGroupMembers", "groupMembers"),
            ("CreateGroup", "group"),
        ]
    );
    let added = format!("{:?}", entries[2].detail);
    assert!(added.contains(&member.name), "{added}");
}

#[tokio::test]
async fn bad_groups_and_members_are_refused_by_field() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let create = |key: &str| CreateGroupRequest {
        group: Some(Group {
            key: key.to_owned(),
            ..Group::default()
        }),
        ..CreateGroupRequest::default()
    };
    let outcome = owner.members().create_group(create("Not A Key")).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["group.key"]);
    owner.create_group("crew").await;
    refused(
        owner.members().create_group(create("crew")).await,
        Code::AlreadyExists,
    );
    let nobody = format!("members/{}", uuid::Uuid::now_v7());
    for (members, code, at) in [
        (vec![], Code::InvalidArgument, "members"),
        (vec!["members/x"; 1], Code::InvalidArgument, "members[0]"),
        (
            vec![nobody.as_str(); 1_001],
            Code::InvalidArgument,
            "members",
        ),
        (vec![nobody.as_str()], Code::NotFound, ""),
    ] {
        let status = refused(owner.add_to_group(CREW, &members).await, code);
        assert!(at.is_empty() || fields(&status) == [at], "{status:?}");
    }
    refused(
        owner.bind_subject("groups/gone", "viewer", "").await,
        Code::NotFound,
    );
    // Only tried: nobody is in.
    let (_, member) = owner.person("ada@example.com", "viewer", "").await;
    let tried = AddGroupMembersRequest {
        name: CREW.to_owned(),
        members: vec![member.name.clone()],
        validate_only: true,
        ..AddGroupMembersRequest::default()
    };
    owner.members().add_group_members(tried).await.unwrap();
    assert!(members(owner, CREW).await.is_empty());
}

#[tokio::test]
async fn a_member_is_in_a_hundred_groups_at_most() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, member) = owner.person("ada@example.com", "viewer", "").await;
    for number in 0..100 {
        let group = owner.create_group(&format!("crew-{number}")).await;
        owner
            .add_to_group(&group.name, &[&member.name])
            .await
            .unwrap();
    }
    owner.create_group("crew").await;
    let outcome = owner.add_to_group(CREW, &[&member.name]).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(
        limit(&status),
        ("member_groups".to_owned(), "100".to_owned())
    );
    assert!(members(owner, CREW).await.is_empty());
}
