//! What an operator may say: options, each with an environment variable.

mod callers;
mod edge;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

use crate::audit::keys::KeyOptions;
use crate::audit::verify::Anchor;
use crate::names::MemberName;
use crate::oidc::options::OidcOptions;
use crate::outbound::options::OutboundOptions;
use crate::sealing::options::SecretKeyOptions;
pub use callers::Callers;
pub use edge::Edge;

/// Burgee's control plane.
#[derive(Debug, Parser)]
#[command(name = "burgee-server", version, about)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the control plane and the data plane from a Postgres database
    Serve(Box<Serve>),
    /// Try Burgee out: a private Postgres, a demo project, keys, on loopback
    Dev(Dev),
    /// Bring the database's schema up to date
    Migrate(Migrate),
    /// Make an organization with a service account `admin`, and print its token, once
    CreateOrganization(CreateOrganization),
    /// Make a token for the service account `admin` of an organization and print it, once
    CreateAdminToken(CreateAdminToken),
    /// Print a link that makes somebody an owner, once, within 24 hours
    CreateOwner(CreateOwner),
    /// Take away the second factor of a person who lost it, and end their sessions and tokens
    ResetSecondFactor(ResetSecondFactor),
    /// Begin a new epoch, after the database was restored from a backup
    NewEpoch(Database),
    /// Print a new key for --secret-key-file
    CreateSecretKey,
    /// Seal every secret in the database with the newest key, so that older ones can be given up
    ResealSecrets(ResealSecrets),
    /// Look after the audit log
    #[command(subcommand)]
    Audit(Audit),
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// A role that servers work with: grant it what they need, and no way to change the audit log
    #[arg(long, env = "BURGEE_SERVING_ROLE", value_name = "NAME")]
    pub serving_role: Option<String>,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
}

/// `reset-second-factor`.
#[derive(Debug, Args)]
pub struct ResetSecondFactor {
    /// The person's e-mail address
    #[arg(long, env = "BURGEE_PERSON_EMAIL")]
    pub email: String,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
}

/// `reseal-secrets`.
#[derive(Debug, Args)]
pub struct ResealSecrets {
    /// The keys.
    #[command(flatten)]
    pub keys: SecretKeyOptions,
    /// Where the secrets are.
    #[command(flatten)]
    pub database: Database,
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Find the first entry that was altered, removed or reordered since it was sealed
    Verify(VerifyAudit),
    /// Blank what entries hold of a person or another actor; the seals stay whole
    Erase(EraseAudit),
}

/// `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyAudit {
    /// A seal that was written down elsewhere, and must be there still
    #[arg(long, env = "BURGEE_AUDIT_ANCHOR", value_name = "POSITION:MAC")]
    pub anchor: Option<Anchor>,
    /// The position of the last seal that was made before there was a key
    #[arg(
        long,
        env = "BURGEE_AUDIT_UNKEYED_UP_TO",
        value_name = "POSITION",
        default_value_t = 0
    )]
    pub unkeyed_up_to: i64,
    /// With what it was sealed.
    #[command(flatten)]
    pub keys: KeyOptions,
    /// Where the log is.
    #[command(flatten)]
    pub database: Database,
}

/// `audit erase`.
#[derive(Debug, Args)]
pub struct EraseAudit {
    /// The key of the organization
    #[arg(long, env = "BURGEE_ORGANIZATION", default_value = "default")]
    pub organization: String,
    /// Whom to forget.
    #[command(flatten)]
    pub subject: Subject,
    /// Why; kept in the entries that tell of the erasure
    #[arg(long, env = "BURGEE_REASON", default_value = "")]
    pub reason: String,
    /// Where the log is.
    #[command(flatten)]
    pub database: Database,
}

/// Whom `audit erase` forgets.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// The uid of a member, as ListMembers tells it
    #[arg(long, env = "BURGEE_PERSON", value_name = "UID", value_parser = uid)]
    pub person: Option<Uuid>,
    /// An actor as entries name it, such as `serviceAccounts/ci`
    #[arg(long, env = "BURGEE_ACTOR", value_name = "NAME")]
    pub actor: Option<String>,
}

fn uid(text: &str) -> Result<Uuid, &'static str> {
    Uuid::parse_str(text).map_err(|_| "give the uid alone, of a name such as members/{uid}")
}

impl Subject {
    /// What entries call them.
    #[must_use]
    pub fn name(&self) -> String {
        let member = self.person.map(|uid| MemberName { uid }.to_string());
        member.or_else(|| self.actor.clone()).unwrap_or_default()
    }
}

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Bring the database's schema up to date first
    #[arg(long, env = "BURGEE_MIGRATE")]
    pub migrate: bool,
    /// Where links lead to, if not to the address that is listened on: such as https://flags.example.com
    #[arg(long, env = "BURGEE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// The end of it.
    #[command(flatten)]
    pub shutdown: Shutdown,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
    /// The port.
    #[command(flatten)]
    pub listen: Listen,
    /// Who may reach it, and how.
    #[command(flatten)]
    pub edge: Edge,
    /// What the audit log is sealed with.
    #[command(flatten)]
    pub audit_keys: KeyOptions,
    /// What secrets in the database are sealed with.
    #[command(flatten)]
    pub secret_keys: SecretKeyOptions,
    /// Calls to others.
    #[command(flatten)]
    pub outbound: OutboundOptions,
    /// Signing in with identity providers.
    #[command(flatten)]
    pub oidc: OidcOptions,
}

/// What browsers can follow.
fn public_url(text: &str) -> Result<String, &'static str> {
    let is_followed = ["https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    is_followed
        .then(|| text.to_owned())
        .ok_or("give a URL such as https://flags.example.com")
}

/// `create-owner`.
#[derive(Debug, Args)]
pub struct CreateOwner {
    /// The person's e-mail address
    #[arg(long, env = "BURGEE_PERSON_EMAIL")]
    pub email: String,
    /// The organization's key
    #[arg(long, env = "BURGEE_ORGANIZATION", default_value = "default")]
    pub organization: String,
    /// Where the link leads to
    #[arg(
        long,
        env = "BURGEE_PUBLIC_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:4000",
        value_parser = public_url
    )]
    pub public_url: String,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
}

/// `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where Postgres and the keys are kept between starts
    #[arg(long, env = "BURGEE_DATA_DIR", default_value = ".burgee")]
    pub data_dir: PathBuf,
    /// The loopback address and port to listen on; port 0 takes a free one
    #[arg(long, env = "BURGEE_LISTEN", default_value = "127.0.0.1:4000")]
    pub listen: SocketAddr,
    /// The end of it.
    #[command(flatten)]
    pub shutdown: Shutdown,
}

/// `create-organization`.
#[derive(Debug, Args)]
pub struct CreateOrganization {
    /// What it is known by: [a-z0-9][a-z0-9-]{0,62}
    #[arg(long, env = "BURGEE_ORGANIZATION")]
    pub key: String,
    /// What people call it; the key, if not given
    #[arg(long, env = "BURGEE_ORGANIZATION_NAME")]
    pub display_name: Option<String>,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
}

/// `create-admin-token`.
#[derive(Debug, Args)]
pub struct CreateAdminToken {
    /// The organization's key
    #[arg(long, env = "BURGEE_ORGANIZATION", default_value = "default")]
    pub organization: String,
    /// Where the data is.
    #[command(flatten)]
    pub database: Database,
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// The database, as postgres://user:password@host:port/database
    #[arg(
        long,
        env = "BURGEE_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: String,
    /// Connections by purpose.
    #[command(flatten)]
    pub pools: PoolSizes,
}

/// The most connections of each pool. Together they must fit into what the
/// database grants this replica.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct PoolSizes {
    /// Connections for changes
    #[arg(long, env = "BURGEE_WRITE_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub write_connections: u32,
    /// Connections for lists and reads
    #[arg(long, env = "BURGEE_READ_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub read_connections: u32,
    /// Connections for following changes: one listens, one reads heads, four load
    #[arg(long, env = "BURGEE_FEED_CONNECTIONS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..))]
    pub feed_connections: u32,
    /// Connections for looking up credentials
    #[arg(long, env = "BURGEE_AUTHENTICATION_CONNECTIONS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub authentication_connections: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self {
            write_connections: 16,
            read_connections: 8,
            feed_connections: 6,
            authentication_connections: 4,
        }
    }
}

impl Database {
    /// A database with pools of the usual size.
    #[must_use]
    pub fn at(url: String) -> Self {
        Self {
            database_url: url,
            pools: PoolSizes::default(),
        }
    }
}

/// The port.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The port")]
pub struct Listen {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "BURGEE_LISTEN", default_value = "127.0.0.1:4000")]
    pub listen: SocketAddr,
    /// The file of a certificate chain (PEM): serve over TLS only
    #[arg(
        long,
        env = "BURGEE_TLS_CERT_FILE",
        value_name = "FILE",
        requires = "tls_key_file"
    )]
    pub tls_cert_file: Option<PathBuf>,
    /// The file of the certificate's private key (PEM)
    #[arg(
        long,
        env = "BURGEE_TLS_KEY_FILE",
        value_name = "FILE",
        requires = "tls_cert_file"
    )]
    pub tls_key_file: Option<PathBuf>,
}

/// How the process ends.
#[derive(Debug, Clone, Args)]
pub struct Shutdown {
    /// Over how long streams are told to go elsewhere when the process is asked to end, in seconds
    #[arg(
        long,
        env = "BURGEE_DRAIN_SECONDS",
        default_value_t = 10,
        value_name = "SECONDS"
    )]
    pub drain_seconds: u64,
}

impl Shutdown {
    /// Over how long streams are told to go elsewhere.
    #[must_use]
    pub fn drain_window(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_options_fit_together() {
        Config::command().debug_assert();
    }

    #[test]
    fn every_option_has_an_environment_variable() {
        let all = Config::command();
        let nested = all
            .get_subcommands()
            .flat_map(clap::Command::get_subcommands);
        for command in all.get_subcommands().chain(nested) {
            for option in command
                .get_opts()
                .filter(|option| option.get_id() != "help")
            {
                let variable = option.get_env().and_then(|name| name.to_str());
                let name = variable.unwrap_or_default();
                assert!(
                    name.starts_with("BURGEE_"),
                    "{} {}",
                    command.get_name(),
                    option.get_id()
                );
            }
        }
    }

    #[test]
    fn the_usual_sizes_are_those_of_the_options() {
        let parsed =
            Config::try_parse_from(["burgee-server", "migrate", "--database-url", "x"]).unwrap();
        let Command::Migrate(migrate) = parsed.command else {
            panic!("another command")
        };
        assert_eq!(
            format!("{:?}", migrate.database),
            format!("{:?}", Database::at("x".to_owned()))
        );
    }
}
