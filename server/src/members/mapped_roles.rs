//! Roles that the groups of an identity provider give, and take away again. What somebody gave by
//! hand is beside them, and stays.

use burgee_proto::admin::v1::RoleMapping;
use burgee_proto::types::v1::ErrorReason;
use uuid::Uuid;

use super::binding::{Binding, Wanted, bindings};
use super::give_role::{Fields, RoleAt, give, put_back, record};
use super::keep_an_owner;
use crate::change::Change;
use crate::error::Error;
use crate::names::{IdentityProviderName, MemberName, SubjectName};

const FIELDS: Fields = Fields {
    role: "identity_provider.role_mappings.role",
    scope: "identity_provider.role_mappings.scope",
};

/// The identity provider whose groups give a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapper {
    /// Its uid.
    pub id: Uuid,
    /// Its name.
    pub name: IdentityProviderName,
}

/// Whether there is such a role, and such a place to hold it.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotFound`].
pub async fn check(change: &mut Change, mapping: &RoleMapping) -> Result<(), Error> {
    let given = (mapping.role.as_str(), mapping.scope.as_str());
    RoleAt::find(change, FIELDS, given).await.map(drop)
}

/// Gives a member what these mappings give, and takes away what a provider's gave before. A role
/// or a place that is gone gives nothing. The organization's last owner stays one.
///
/// # Errors
/// Those of the database.
pub async fn sync(
    change: &mut Change,
    mapper: &Mapper,
    member: MemberName,
    mappings: &[RoleMapping],
) -> Result<(), Error> {
    let subject = SubjectName::from(member);
    for binding in given_by(change, mapper, Some(&subject)).await? {
        if !mappings.iter().any(|mapping| binding.is_of(mapping)) {
            take_away_unless_last(change, &binding).await?;
        }
    }
    for mapping in mappings {
        let given = (mapping.role.as_str(), mapping.scope.as_str());
        let role = match RoleAt::find(change, FIELDS, given).await {
            Err(Error::NotFound { .. } | Error::Invalid(_)) => continue,
            found => found?,
        };
        let role = role.mapped_by(mapper);
        give(change, (subject.clone(), member.uid), role).await?;
    }
    Ok(())
}

/// Takes away what a provider gave, to everybody or one member, but what these mappings give.
///
/// # Errors
/// [`ErrorReason::LastOwner`].
pub async fn withdraw(
    change: &mut Change,
    mapper: &Mapper,
    member: Option<MemberName>,
    staying: &[RoleMapping],
) -> Result<(), Error> {
    let subject = member.map(SubjectName::from);
    let mut leaving = given_by(change, mapper, subject.as_ref()).await?;
    leaving.retain(|binding| !staying.iter().any(|mapping| binding.is_of(mapping)));
    for binding in &leaving {
        delete(change, binding).await?;
    }
    keep_an_owner(change, &mapper.name, &leaving).await?;
    for binding in &leaving {
        record(change, Some(binding), None)?;
    }
    Ok(())
}

/// Refuses to take by hand what would be given again.
///
/// # Errors
/// [`ErrorReason::RoleBindingMapped`].
pub(super) fn refuse_mapped(binding: &Binding) -> Result<(), Error> {
    let Some(mapper) = &binding.mapped_by else {
        return Ok(());
    };
    let description = format!(
        "{} gives the role to a group of theirs; change the group or the mapping",
        mapper.name
    );
    let reason = ErrorReason::RoleBindingMapped;
    Err(Error::precondition(reason, binding.name(), description))
}

async fn given_by(
    change: &mut Change,
    mapper: &Mapper,
    subject: Option<&SubjectName>,
) -> Result<Vec<Binding>, Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        subject,
        identity_provider: Some(mapper.id),
        ..Wanted::default()
    };
    bindings(change.connection(), organization, wanted).await
}

async fn take_away_unless_last(change: &mut Change, binding: &Binding) -> Result<(), Error> {
    delete(change, binding).await?;
    let name = binding.name();
    match keep_an_owner(change, name, std::slice::from_ref(binding)).await {
        Err(Error::Precondition { .. }) => put_back(change, binding).await,
        kept => {
            kept?;
            record(change, Some(binding), None)
        }
    }
}

async fn delete(change: &mut Change, binding: &Binding) -> Result<(), Error> {
    sqlx::query!("delete from role_bindings where id = $1", binding.id)
        .execute(change.connection())
        .await?;
    Ok(())
}

impl Binding {
    fn is_of(&self, mapping: &RoleMapping) -> bool {
        self.role.to_string() == mapping.role && self.place.name() == mapping.scope
    }
}
