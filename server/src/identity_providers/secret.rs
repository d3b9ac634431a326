//! What Burgee proves to a provider to be itself with: kept sealed, and never shown.

use openidconnect::ClientSecret;
use prost_types::FieldMask;
use secrecy::ExposeSecret as _;
use sqlx::PgConnection;
use uuid::Uuid;

use burgee_proto::admin::v1::IdentityProvider;

use crate::app::App;
use crate::change::Change;
use crate::error::Error;
use crate::sealing::Column;

/// Where it is kept.
pub const CLIENT_SECRET: Column = Column {
    table: "identity_providers",
    column: "client_secret",
    row: "id",
    organization: Some("organization_id"),
};

/// What becomes of a provider's secret.
#[derive(Debug)]
pub(super) enum NewSecret {
    /// What it is.
    Keep,
    /// Nothing.
    Remove,
    /// This, sealed.
    Set(Vec<u8>),
}

impl NewSecret {
    /// Takes the secret out of a message that was given for the provider of this uid.
    pub(super) fn take(
        change: &Change,
        id: Uuid,
        given: &mut IdentityProvider,
        mask: Option<&FieldMask>,
    ) -> Result<Self, Error> {
        let secret = std::mem::take(&mut given.client_secret);
        if !secret.is_empty() {
            let place = CLIENT_SECRET.within(change.authorized.organization(), id);
            let sealed = change.app.sealing.seal(&place, secret.as_bytes())?;
            given.has_client_secret = true;
            return Ok(Self::Set(sealed));
        }
        let is_named = mask.is_some_and(|mask| mask.paths.iter().any(|it| it == "client_secret"));
        if is_named && given.has_client_secret {
            given.has_client_secret = false;
            return Ok(Self::Remove);
        }
        Ok(Self::Keep)
    }

    pub(super) fn is_changed(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    pub(super) async fn write(self, change: &mut Change, id: Uuid) -> Result<(), Error> {
        let sealed = match self {
            Self::Keep => return Ok(()),
            Self::Remove => None,
            Self::Set(sealed) => Some(sealed),
        };
        sqlx::query!(
            "update identity_providers set client_secret = $2::bytea where id = $1",
            id,
            sealed,
        )
        .execute(change.connection())
        .await?;
        Ok(())
    }
}

/// The secret of a provider. None: it asks for none.
///
/// # Errors
/// Those of [`crate::sealing::Problem`].
pub async fn open(
    app: &App,
    connection: &mut PgConnection,
    (organization, id): (Uuid, Uuid),
) -> Result<Option<ClientSecret>, Error> {
    let sealed = sqlx::query_scalar!(
        r#"select client_secret::bytea as "sealed" from identity_providers where id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    let Some(sealed) = sealed.flatten() else {
        return Ok(None);
    };
    let place = CLIENT_SECRET.within(organization, id);
    let secret = app.sealing.open(&place, &sealed)?;
    let text = std::str::from_utf8(secret.expose_secret()).map_err(Error::internal)?;
    Ok(Some(ClientSecret::new(text.to_owned())))
}
