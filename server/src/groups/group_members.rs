//! AddGroupMembers and RemoveGroupMembers.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::{
    AddGroupMembersRequest, AddGroupMembersResponse, Group, RemoveGroupMembersRequest,
    RemoveGroupMembersResponse,
};
use serde_json::json;
use uuid::Uuid;

use super::{read, show};
use crate::change::commit::AuditEntry;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::{Binding, demand_cover_of, keep_an_owner};
use crate::names::{GroupName, MemberName};
use crate::stored::Stored;

/// The most members that a request names.
const NAMED_MAX: usize = 1_000;
/// The most members of a group.
const MEMBERS_MAX: i64 = 10_000;
/// The most groups that a member is in: what they may do is worked out of all of them, often.
const GROUPS_OF_MEMBER_MAX: i64 = 100;

/// What a request is about: a group that may do no more than the caller, and members.
struct Named {
    name: GroupName,
    group: Stored<Group>,
    /// What the group has.
    held: Vec<Binding>,
    members: Vec<Uuid>,
}

#[tonic::async_trait]
impl Mutation for AddGroupMembersRequest {
    mutation_fields!(AddGroupMembersResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<AddGroupMembersResponse, Error> {
        let named = Named::find(change, &self.name, &self.members).await?;
        refuse_strangers(change, &named.members).await?;
        let added = sqlx::query_scalar!(
            "insert into group_members (group_id, member_id)
             select $1, member from unnest($2::uuid[]) as given(member)
             on conflict do nothing returning member_id",
            named.group.id,
            &named.members,
        )
        .fetch_all(change.connection())
        .await?;
        keep_limits(change, &named, &added).await?;
        named.record(change, "added", added);
        Ok(AddGroupMembersResponse {
            group: Some(show(&named.group)),
            ..AddGroupMembersResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for RemoveGroupMembersRequest {
    mutation_fields!(RemoveGroupMembersResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RemoveGroupMembersResponse, Error> {
        let named = Named::find(change, &self.name, &self.members).await?;
        let removed = sqlx::query_scalar!(
            "delete from group_members where group_id = $1 and member_id = any($2)
             returning member_id",
            named.group.id,
            &named.members,
        )
        .fetch_all(change.connection())
        .await?;
        if !removed.is_empty() {
            keep_an_owner(change, &named.name, &named.held).await?;
        }
        named.record(change, "removed", removed);
        Ok(RemoveGroupMembersResponse {
            group: Some(show(&named.group)),
            ..RemoveGroupMembersResponse::default()
        })
    }
}

impl Named {
    async fn find(change: &mut Change, name: &str, members: &[String]) -> Result<Self, Error> {
        let name = GroupName::parse("name", name)?;
        if !(1..=NAMED_MAX).contains(&members.len()) {
            let description = format!("give 1 to {NAMED_MAX} members");
            return Err(Error::invalid("members", description));
        }
        let members = members.iter().enumerate().map(|(at, member)| {
            let member = MemberName::parse(&format!("members[{at}]"), member)?;
            Ok(member.uid)
        });
        let members = members.collect::<Result<BTreeSet<_>, Error>>()?;
        let group = read(change, &name).await?;
        let held = demand_cover_of(change, &name.clone().into()).await?;
        Ok(Self {
            name,
            group,
            held,
            members: members.into_iter().collect(),
        })
    }

    /// Tells the audit log whom a group gained or lost, if anybody.
    fn record(&self, change: &mut Change, how: &str, mut members: Vec<Uuid>) {
        if members.is_empty() {
            return;
        }
        members.sort_unstable();
        let names = members
            .into_iter()
            .map(|uid| MemberName { uid }.to_string());
        let names: Vec<String> = names.collect();
        change.record_audit(AuditEntry {
            resource: self.name.to_string(),
            part: "groupMembers".to_owned(),
            detail: Some(json!({how: names}).to_string()),
            ..AuditEntry::default()
        });
    }
}

/// Refuses whoever is no member of the organization.
async fn refuse_strangers(change: &mut Change, members: &[Uuid]) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let stranger = sqlx::query_scalar!(
        r#"select given.member as "member!" from unnest($2::uuid[]) as given(member)
           where not exists (
               select from members m where m.id = given.member and m.organization_id = $1)
           limit 1"#,
        organization,
        members,
    )
    .fetch_optional(change.connection())
    .await?;
    stranger.map_or(Ok(()), |uid| Err(Error::not_found(MemberName { uid })))
}

/// Refuses a group that has become too large, and members who are in too many.
async fn keep_limits(change: &mut Change, named: &Named, added: &[Uuid]) -> Result<(), Error> {
    let found = sqlx::query!(
        r#"select (select count(*) from group_members where group_id = $1) as "members!",
                  (select m.member_id from group_members m where m.member_id = any($2)
                   group by m.member_id having count(*) > $3 limit 1) as "overfull?""#,
        named.group.id,
        added,
        GROUPS_OF_MEMBER_MAX,
    )
    .fetch_one(change.connection())
    .await?;
    if found.members > MEMBERS_MAX {
        let description = format!("a group has at most {MEMBERS_MAX} members");
        return Err(Error::limit(
            "members",
            MEMBERS_MAX,
            &named.name,
            description,
        ));
    }
    if let Some(uid) = found.overfull {
        let description = format!("a member is in at most {GROUPS_OF_MEMBER_MAX} groups");
        let (maximum, name) = (GROUPS_OF_MEMBER_MAX, MemberName { uid });
        return Err(Error::limit("member_groups", maximum, name, description));
    }
    Ok(())
}
