//! The first owner of an organization, by a one-time link that the program prints: there is no
//! password that anybody could know before.

use burgee_hub::credential::{self, Kind, Secret};
use serde_json::json;
use uuid::Uuid;

use crate::access::{BuiltIn, Origin};
use crate::app::App;
use crate::audit::append::{Event, append};
use crate::deployment::ACTOR;
use crate::error::Error;
use crate::members::{email, member};
use crate::names::{InvitationName, MemberName};
use crate::random;

/// How long a link can be used, in hours.
const LIFETIME_HOURS: i32 = 24;
/// Where a link leads. The secret follows after a `#`, which browsers send to nobody.
pub const PATH: &str = "/accept-invitation";

/// The secret of an invitation, on its way into a URL.
#[derive(Debug)]
pub struct Link(Secret);

impl Link {
    /// The link to a server that people know by this URL.
    #[must_use]
    pub fn url(&self, public_url: &str) -> String {
        let base = public_url.trim_end_matches('/');
        format!("{base}{PATH}#{}", self.0.expose())
    }
}

/// A link for whoever reads it, as long as nobody is a member. None: somebody is.
///
/// # Errors
/// Those of the database.
pub async fn link(app: &App, organization: Uuid) -> Result<Option<Link>, Error> {
    invite(app, organization, None, "serve").await
}

/// A link that makes an owner of the person with that e-mail address, whoever is there already.
///
/// # Errors
/// [`Error::Invalid`] for what is no e-mail address, or that of a member without a password, and
/// those of the database.
pub async fn link_for(app: &App, organization: Uuid, email: &str) -> Result<Link, Error> {
    let email = email::parse("email", email)?;
    let mut connection = app.pools.write.acquire().await?;
    let member = member::find_by_email(&mut connection, organization, &email).await?;
    if let Some(member) = member.filter(|member| member.message.managed) {
        let name = MemberName { uid: member.id };
        let description = format!(
            "{name} has this address, and signs in by an identity provider: give them the role, \
             or give another address"
        );
        return Err(Error::invalid("email", description));
    }
    drop(connection);
    let link = invite(app, organization, Some(&email), "create-owner").await?;
    link.ok_or_else(|| Error::internal("an invitation was not made"))
}

async fn invite(
    app: &App,
    organization: Uuid,
    email: Option<&str>,
    how: &str,
) -> Result<Option<Link>, Error> {
    let secret = credential::generate(Kind::Link, random::bytes()?);
    let hash = secret.hash();
    let mut transaction = app.begin().await?;
    let uid = sqlx::query_scalar!(
        "insert into invitations (id, organization_id, email, hash, role, first_owner,
                                  created_by, expires_at)
         select $1, $2, $3, $4, $5, $3::text is null, $6,
                clock_timestamp() + make_interval(hours => $7)
         where $3::text is not null
            or not exists (select from members where organization_id = $2)
         returning id",
        Uuid::now_v7(),
        organization,
        email,
        hash.as_slice(),
        BuiltIn::Owner.key(),
        ACTOR,
        LIFETIME_HOURS,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(uid) = uid else {
        return Ok(None);
    };
    let event = Event {
        organization,
        actor: ACTOR,
        method: how,
        resource: &InvitationName { uid }.to_string(),
        part: "invitation",
        origin: &Origin::default(),
        denied: false,
        detail: json!({"email": email, "role": format!("roles/{}", BuiltIn::Owner.key())}),
    };
    append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(Some(Link(secret)))
}
