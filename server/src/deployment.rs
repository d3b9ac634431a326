//! What must be there before anything is served: the tables, the epoch, the
//! organization, and its first credential.

use burgee_hub::credential::{self, Kind, Secret};
use burgee_proto::admin::v1::{RevokeApiKeyRequest, ServiceAccount};
use prost::Message as _;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgPool};
use uuid::Uuid;

use crate::access::{BuiltIn, vouch};
use crate::app::{self, App};
use crate::change;
use crate::config::Database;
use crate::error::Error;
use crate::failure::Failure;
use crate::names::{self, ApiKeyName};
use crate::texts::Violations;
use crate::{credentials, random};

/// Every step from an empty database to what this program needs. A database
/// that is ahead is fine: during an upgrade two versions run side by side.
static MIGRATIONS: Migrator = Migrator {
    ignore_missing: true,
    ..sqlx::migrate!("../migrations")
};

/// The key of the organization that is always there.
const ORGANIZATION: &str = "default";
/// The key of its first service account, which may do everything.
const ADMIN: &str = "admin";
/// Who history says did what the program does by itself.
pub const ACTOR: &str = "burgee-server";

/// Brings the schema up to date. Replicas that start at once wait for each
/// other.
///
/// # Errors
/// [`Failure::Migrate`], and those of connecting.
pub async fn migrate(database: &Database) -> Result<(), Failure> {
    let mut connection = app::connect(&app::options(database)?).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Grants a role, other than the one that migrates, what servers need: above all, no way to
/// change what the audit log holds. To be repeated after each migration.
///
/// # Errors
/// [`Failure::Database`] if there is no such role, or it has all rights anyway; those of
/// connecting.
pub async fn grant_serving_role(database: &Database, role: &str) -> Result<(), Failure> {
    let mut connection = app::connect(&app::options(database)?).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query_scalar!("select set_config('burgee.serving_role', $1, true)", role)
        .fetch_one(&mut *transaction)
        .await?;
    sqlx::raw_sql(include_str!("deployment/serving_role.sql"))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

/// Whether the schema is what this program needs, or newer.
///
/// # Errors
/// [`Failure::Schema`].
pub async fn check_schema(pool: &PgPool) -> Result<(), Failure> {
    let wanted = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default();
    // Not checked when this is compiled: sqlx makes the table when it migrates.
    let applied =
        sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations where success");
    let found: i64 = match applied.fetch_one(pool).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => 0,
        other => other?,
    };
    if found < wanted {
        return Err(Failure::Schema { found, wanted });
    }
    Ok(())
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const UNDEFINED_TABLE: &str = "42P01";

/// Sees to it that there is an epoch, and a new one if this is another cluster,
/// or another timeline of it, than the one that the epoch was made on: what was
/// told of the old one may then be lost.
///
/// # Errors
/// Those of the database.
pub async fn ensure_deployment(pool: &PgPool) -> Result<(), Error> {
    sqlx::query!(
        "insert into deployment (epoch, system_identifier, timeline)
         select floor(extract(epoch from clock_timestamp()) * 1000)::bigint, system_identifier,
                left(pg_walfile_name(pg_current_wal_lsn()), 8)
         from pg_control_system()
         on conflict (only_row) do nothing"
    )
    .execute(pool)
    .await?;
    // Of replicas that see it at once one makes the epoch: the others find the
    // row as it should be once they have its lock.
    let moved = sqlx::query_scalar!(
        "update deployment d
         set epoch = greatest(d.epoch + 1, floor(extract(epoch from clock_timestamp()) * 1000)::bigint),
             system_identifier = here.system_identifier, timeline = here.timeline
         from (select system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline
               from pg_control_system()) as here
         where (d.system_identifier, d.timeline) is distinct from (here.system_identifier, here.timeline)
         returning d.epoch"
    )
    .fetch_optional(pool)
    .await?;
    if let Some(epoch) = moved {
        tracing::warn!(
            epoch,
            "this is another Postgres cluster or timeline than before: a new epoch began"
        );
    }
    Ok(())
}

/// Begins a new epoch, and tells it: every receiver then takes a snapshot.
///
/// # Errors
/// Those of the database.
pub async fn new_epoch(pool: &PgPool) -> Result<u64, Error> {
    let epoch = sqlx::query_scalar!(
        "update deployment
         set epoch = greatest(epoch + 1, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
         returning epoch"
    )
    .fetch_one(pool)
    .await?;
    Ok(epoch.cast_unsigned())
}

/// Whether this is another cluster or timeline than the one that the epoch was
/// made on: then [`ensure_deployment`] is due. Writes nothing.
///
/// # Errors
/// Those of the database.
pub async fn has_moved(pool: &PgPool) -> Result<bool, Error> {
    // A standby writes no timeline of its own, and tells of the old one's changes.
    let moved = sqlx::query_scalar!(
        r#"select case when pg_is_in_recovery() then false
               else (d.system_identifier, d.timeline) is distinct from
                    (c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8))
               end as "moved!"
           from deployment d cross join pg_control_system() c"#
    )
    .fetch_optional(pool)
    .await?;
    Ok(moved.unwrap_or(true))
}

/// Begins a new epoch above `seen`, unless somebody began one since `old`.
///
/// # Errors
/// Those of the database.
pub async fn new_epoch_after(pool: &PgPool, old: u64, seen: u64) -> Result<(), Error> {
    sqlx::query!(
        "update deployment
         set epoch = greatest(epoch + 1, $2::bigint + 1, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
         where epoch = $1",
        old.cast_signed(),
        seen.cast_signed(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Sees to it that there is an organization with its first service account, and
/// gives the organization's uid. Any number of replicas may do so at once.
///
/// # Errors
/// Those of the database.
pub async fn ensure_organization(pool: &PgPool) -> Result<Uuid, Error> {
    insert_organization(pool, ORGANIZATION, "Default").await?;
    let organization = organization(pool, ORGANIZATION).await?;
    insert_admin(pool, organization).await?;
    Ok(organization)
}

/// Makes another organization with its first service account, and gives its uid.
///
/// # Errors
/// [`Error::Invalid`] for a key that is none, [`Error::Exists`] for one that is taken; those
/// of the database.
pub async fn create_organization(
    pool: &PgPool,
    key: &str,
    display_name: &str,
) -> Result<Uuid, Error> {
    names::check_slug("key", key)?;
    let mut violations = Violations::default();
    violations.display_name("display_name", display_name);
    violations.finish()?;
    if !insert_organization(pool, key, display_name).await? {
        return Err(Error::Exists {
            resource: format!("organizations/{key}"),
        });
    }
    let organization = organization(pool, key).await?;
    insert_admin(pool, organization).await?;
    Ok(organization)
}

/// The uid of an organization.
///
/// # Errors
/// [`Error::NotFound`]; those of the database.
pub async fn organization(pool: &PgPool, key: &str) -> Result<Uuid, Error> {
    let id = sqlx::query_scalar!("select id from organizations where key = $1", key)
        .fetch_optional(pool)
        .await?;
    id.ok_or_else(|| Error::not_found(format!("organizations/{key}")))
}

/// False: there is one of that key.
async fn insert_organization(pool: &PgPool, key: &str, display_name: &str) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into organizations (id, key, display_name) values (gen_random_uuid(), $1, $2)
         on conflict (key) do nothing",
        key,
        display_name,
    )
    .execute(pool)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The first service account, which may do everything.
async fn insert_admin(pool: &PgPool, organization: Uuid) -> Result<(), Error> {
    let account = ServiceAccount {
        key: ADMIN.to_owned(),
        display_name: "The first account".to_owned(),
        ..ServiceAccount::default()
    };
    sqlx::query!(
        "with account as (
             insert into service_accounts (id, organization_id, key, body)
             values (gen_random_uuid(), $1, $2, $5)
             on conflict (organization_id, key) do nothing
             returning id
         )
         insert into role_bindings (id, organization_id, service_account_id, role, created_by)
         select gen_random_uuid(), $1, id, $3, $4 from account",
        organization,
        ADMIN,
        BuiltIn::Owner.key(),
        ACTOR,
        account.encode_to_vec(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Makes a token for an organization's service account `admin`. `dev` marks it
/// as one that `serve` refuses.
///
/// # Errors
/// Those of the database.
pub async fn create_admin_token(
    pool: &PgPool,
    organization: Uuid,
    dev: bool,
) -> Result<Secret, Error> {
    let secret = credential::generate(Kind::ServiceAccount, random::bytes()?);
    let prefix = credentials::prefix(&secret);
    let hash = secret.hash();
    sqlx::query!(
        "with token as (
             insert into tokens (id, service_account_id, hash, secret_prefix, dev)
             select gen_random_uuid(), id, $3, $4, $5
             from service_accounts where organization_id = $1 and key = $2
             returning secret_prefix
         )
         insert into audit_entries (organization_id, actor, method, request_id, resource, part, reason, after)
         select $1, $6, 'create-admin-token', '', 'serviceAccounts/' || $2::text, 'token', '',
                json_build_object('secretPrefix', secret_prefix, 'dev', $5::boolean)
         from token",
        organization,
        ADMIN,
        hash.as_slice(),
        prefix,
        dev,
        ACTOR,
    )
    .execute(pool)
    .await?;
    Ok(secret)
}

/// Ends every API key that `burgee-server dev` made: development keys end where
/// development ends. (Its tokens are refused by the authentication layer.) Any
/// number of replicas may do so at once.
///
/// # Errors
/// Those of the database.
pub async fn revoke_dev_keys(app: &App) -> Result<(), Error> {
    const METHOD: &str = "/burgee.admin.v1.ApiKeyService/RevokeApiKey";
    let keys =
        sqlx::query!("select id, organization_id from api_keys where dev and revoked_at is null")
            .fetch_all(&app.pools.read)
            .await?;
    for key in keys {
        let request = RevokeApiKeyRequest {
            name: ApiKeyName { uid: key.id }.to_string(),
            reason: "development keys end where development ends".to_owned(),
            ..RevokeApiKeyRequest::default()
        };
        let authorized = vouch(key.organization_id, ACTOR, METHOD);
        change::perform(app, authorized, request).await?;
    }
    Ok(())
}
