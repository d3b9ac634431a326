//! `burgee-server dev`: Burgee with nothing to set up. A private Postgres, a
//! demo project, keys that are printed at every start, on loopback only.
//!
//! Everything lives in one folder. Deleting it is how to begin anew; deleting
//! `dev-keys.json` in it makes new keys, and puts the demo project back.

pub mod credentials;
mod demo_flags;
mod kept;
pub mod printout;
pub mod seed;
mod variables;

use burgee_runtime::Listening;

use crate::app::App;
use crate::config::{Database, Dev, Edge};
use crate::deployment;
use crate::error::Error;
use crate::failure::Failure;
use crate::first_owner;
use crate::keyring::{Keyring, Purpose};
use crate::oidc::options::OidcOptions;
use crate::outbound::{Allowed, Outbound};
use crate::private_postgres::{Options, PrivatePostgres};
use crate::sealing::Sealing;
use crate::serve::{Server, asked_to_end};
use credentials::Credentials;

/// The file of the keys that seal the audit log, in the data directory.
const AUDIT_KEYS: &str = "audit-keys";
/// The file of the keys that seal secrets.
const SECRET_KEYS: &str = "secret-keys";

/// Runs until somebody asks the process to end, or Postgres does so by itself.
///
/// # Errors
/// [`Failure::NotLoopback`], and whatever prevents the start.
pub async fn run(options: Dev) -> Result<(), Failure> {
    if !options.listen.ip().is_loopback() {
        return Err(Failure::NotLoopback(options.listen));
    }
    // Before anything is started: that the port is taken is the usual mistake.
    let listening = Listening::bind(options.listen).await?;
    let postgres = PrivatePostgres::start(Options::new(&options.data_dir)).await?;
    let outcome = serve(&options, listening, &postgres).await;
    postgres.stop().await;
    outcome
}

async fn serve(
    options: &Dev,
    listening: Listening,
    postgres: &PrivatePostgres,
) -> Result<(), Failure> {
    let database = Database::at(postgres.url());
    deployment::migrate(&database).await?;
    let secret_keys = options.data_dir.join(SECRET_KEYS);
    let secret_keys = Keyring::read_or_make(Purpose::Secrets, &secret_keys)?;
    let app = App {
        sealing: Sealing::new(secret_keys),
        // An identity provider to try things out with is on this machine.
        outbound: Outbound::new(Allowed::loopback(), Vec::new()).map_err(Error::internal)?,
        ..App::connect(&database, true).await?
    };
    deployment::ensure_deployment(&app.pools.write).await?;
    let organization = deployment::ensure_organization(&app.pools.write).await?;
    let kept = Credentials::read(&options.data_dir)?;
    if kept.is_none() || !seed::is_there(&app, organization).await? {
        seed::demo(&app, organization).await?;
    }
    let credentials = kept
        .unwrap_or_default()
        .complete(&app, organization)
        .await?;
    credentials.write(&options.data_dir)?;

    let audit_keys = options.data_dir.join(AUDIT_KEYS);
    let audit_keys = Keyring::read_or_make(Purpose::AuditLog, &audit_keys)?;
    let owner_link = first_owner::link(&app, organization).await?;
    let outbound = app.outbound.clone();
    let server = Server::on(listening, app, audit_keys, Edge::dev(), &options.shutdown);
    let oidc = OidcOptions::default().oidc(outbound, &server.url())?;
    let owner_link = owner_link.map(|link| link.url(&server.url()));
    let address = server.local_addr();
    let variables = variables::write(&options.data_dir, address, &postgres.url(), &credentials)?;
    let lines = printout::lines(address, &credentials, owner_link.as_deref(), &variables);
    print!("{lines}");
    let mut lost = None;
    let stop = async {
        tokio::select! {
            () = asked_to_end() => {}
            how = postgres.ended() => lost = Some(how),
        }
    };
    server.run(oidc, stop).await?;
    lost.map_or(Ok(()), |how| Err(Failure::PostgresEnded(how)))
}
