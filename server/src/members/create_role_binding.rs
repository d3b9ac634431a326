//! CreateRoleBinding.

use burgee_proto::admin::v1::{CreateRoleBindingRequest, CreateRoleBindingResponse, RoleBinding};
use uuid::Uuid;

use super::{Binding, BindingPlace, Wanted, allowed_by, bindings, demand_cover, read_role};
use crate::access::BuiltIn;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName, RoleName, ServiceAccountName};
use crate::{environments, projects, service_accounts};

/// The uids of the project and the environment that a role is held in.
type PlaceIds = (Option<Uuid>, Option<Uuid>);

#[tonic::async_trait]
impl Mutation for CreateRoleBindingRequest {
    mutation_fields!(CreateRoleBindingResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateRoleBindingResponse, Error> {
        let given = self.role_binding.clone();
        let given = given.ok_or_else(|| Error::invalid("role_binding", "give the binding"))?;
        let subject = ServiceAccountName::parse("role_binding.subject", &given.subject)?;
        let role = RoleName::parse("role_binding.role", &given.role)?;
        let (place, ids) = find_place(change, &given).await?;
        let account = service_accounts::read(change, &subject).await?.id;
        let organization = change.authorized.organization();
        let made = read_role(change.connection(), organization, &role).await?;
        if made.is_none() && BuiltIn::parse(&role.role).is_none() {
            return Err(Error::not_found(&role));
        }
        let names = made
            .as_ref()
            .map(|role| role.message.permissions.as_slice());
        let binding = Binding {
            id: Uuid::new_v4(),
            subject,
            permissions: allowed_by(&role.role, names),
            role,
            place,
            created_at: change.now(),
            created_by: change.actor().to_owned(),
        };
        demand_cover(change, binding.place(), binding.permissions)?;
        let binding = match insert(change, &binding, account, ids).await? {
            true => {
                record(change, None, Some(&binding))?;
                binding
            }
            // Asking for what is there already is no fault.
            false => existing(change, &binding).await?,
        };
        Ok(CreateRoleBindingResponse {
            role_binding: Some(binding.show()),
            ..CreateRoleBindingResponse::default()
        })
    }
}

/// Finds where the role shall be held, and asks whether the caller may give roles there.
async fn find_place(
    change: &mut Change,
    given: &RoleBinding,
) -> Result<(BindingPlace, PlaceIds), Error> {
    const FIELD: &str = "role_binding.scope";
    let authorized = change.authorized.clone();
    let mut place = BindingPlace::default();
    if given.scope.is_empty() {
        authorized.demand(place.place())?;
        return Ok((place, (None, None)));
    }
    if let Ok(name) = ProjectName::parse(FIELD, &given.scope) {
        let found = projects::id(change.connection(), &authorized, &name).await?;
        let id = found.ok_or_else(|| Error::not_found(&name))?;
        place.project = Some(name.project);
        return Ok((place, (Some(id), None)));
    }
    let name = EnvironmentName::parse(FIELD, &given.scope).map_err(|_| {
        Error::invalid(
            FIELD,
            "give the name of a project or an environment, or nothing",
        )
    })?;
    let found = environments::id(change.connection(), &authorized, &name).await?;
    let (_, id) = found.ok_or_else(|| Error::not_found(&name))?;
    place.project = Some(name.project);
    place.environment = Some(name.environment);
    Ok((place, (None, Some(id))))
}

/// False: the subject has the role there already.
async fn insert(
    change: &mut Change,
    binding: &Binding,
    account: Uuid,
    (project, environment): PlaceIds,
) -> Result<bool, Error> {
    let organization = change.authorized.organization();
    let inserted = sqlx::query!(
        "insert into role_bindings (id, organization_id, service_account_id, role, project_id,
                                    environment_id, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict on constraint role_bindings_once do nothing",
        binding.id,
        organization,
        account,
        binding.role.role,
        project,
        environment,
        binding.created_at,
        binding.created_by,
    )
    .execute(change.connection())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn existing(change: &mut Change, like: &Binding) -> Result<Binding, Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        account: Some(&like.subject.account),
        role: Some(&like.role.role),
        ..Wanted::default()
    };
    let found = bindings(change.connection(), organization, wanted).await?;
    let mut found = found.into_iter();
    let found = found.find(|binding| binding.place == like.place);
    found.ok_or_else(|| Error::internal("a binding that conflicts is not there"))
}

/// Tells the audit log of a binding.
pub(super) fn record(
    change: &mut Change,
    before: Option<&Binding>,
    after: Option<&Binding>,
) -> Result<(), Error> {
    let binding = before.or(after);
    let descriptors = change.app.descriptors.clone();
    let json = |binding: &Binding| descriptors.json(&binding.show());
    change.record_audit(crate::change::commit::AuditEntry {
        resource: binding.map(|it| it.name().to_string()).unwrap_or_default(),
        part: "roleBinding".to_owned(),
        before: before.map(json).transpose()?,
        after: after.map(json).transpose()?,
        ..crate::change::commit::AuditEntry::default()
    });
    Ok(())
}
