//! An organization without an owner could never have one again.

use burgee_proto::types::v1::ErrorReason;

use super::binding::Binding;
use crate::access::BuiltIn;
use crate::change::Change;
use crate::error::Error;

/// Refuses a change that leaves the organization without an owner who is let in. Asked after
/// what the change does, with the bindings that it takes away or makes worthless.
///
/// # Errors
/// [`ErrorReason::LastOwner`].
pub async fn keep_an_owner(
    change: &mut Change,
    leaving: impl ToString,
    lost: &[Binding],
) -> Result<(), Error> {
    // Where there was none, none is lost.
    if !lost.iter().any(Binding::is_owner) {
        return Ok(());
    }
    let organization = change.authorized.organization();
    // Whoever is kept out owns nothing, nor does a group of such.
    let owned = sqlx::query_scalar!(
        r#"select exists (
               select from role_bindings b
               where b.organization_id = $1 and b.role = $2
                 and b.project_id is null and b.environment_id is null
                 and (exists (
                          select from service_accounts a
                          where a.id = b.service_account_id and not a.disabled)
                      or exists (
                          select from members m where m.id = b.member_id and not m.deactivated)
                      or exists (
                          select from group_members i join members m on m.id = i.member_id
                          where i.group_id = b.group_id and not m.deactivated))
           ) as "owned!""#,
        organization,
        BuiltIn::Owner.key(),
    )
    .fetch_one(change.connection())
    .await?;
    if owned {
        return Ok(());
    }
    let description = "the organization would be left without an owner; make another one first";
    Err(Error::precondition(
        ErrorReason::LastOwner,
        leaving,
        description,
    ))
}
