//! `burgee-server`: reads its options, sets up telemetry, and does what it was
//! asked to. Whatever prevents it is one line on stderr, and exit code 1.

use std::process::ExitCode;

use burgee_runtime::telemetry;
use burgee_server::app::{self, App};
use burgee_server::audit::erase::{self, Erasure};
use burgee_server::audit::verify::{self, Expected};
use burgee_server::config::{
    Audit, Command, Config, CreateAdminToken, CreateOrganization, CreateOwner, Database,
    EraseAudit, Migrate, ResealSecrets, ResetSecondFactor, Serve, VerifyAudit,
};
use burgee_server::failure::Failure;
use burgee_server::keyring::{Key, Purpose};
use burgee_server::sealing::{COLUMNS, reseal};
use burgee_server::serve::{Server, asked_to_end};
use burgee_server::{deployment, dev, first_owner, second_factor};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(config.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("burgee-server: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    // The only provider; the only other outcome is that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = telemetry::Options::from_environment("burgee-server", env!("CARGO_PKG_VERSION"))?;
    let telemetry = telemetry::init(&options)?;
    let outcome = match command {
        Command::Serve(options) => serve(*options).await,
        Command::Dev(options) => dev::run(options).await,
        Command::Migrate(options) => migrate(options).await,
        Command::CreateOrganization(options) => create_organization(&options).await,
        Command::CreateAdminToken(options) => create_admin_token(&options).await,
        Command::CreateOwner(options) => create_owner(&options).await,
        Command::ResetSecondFactor(options) => reset_second_factor(&options).await,
        Command::CreateSecretKey => create_secret_key(),
        Command::ResealSecrets(options) => reseal_secrets(&options).await,
        Command::NewEpoch(database) => new_epoch(&database).await,
        Command::Audit(Audit::Verify(options)) => verify_audit(options).await,
        Command::Audit(Audit::Erase(options)) => erase_audit(options).await,
    };
    telemetry.finish().await;
    outcome
}

async fn migrate(options: Migrate) -> Result<(), Failure> {
    deployment::migrate(&options.database).await?;
    if let Some(role) = options.serving_role {
        deployment::grant_serving_role(&options.database, &role).await?;
    }
    Ok(())
}

async fn serve(options: Serve) -> Result<(), Failure> {
    if options.migrate {
        deployment::migrate(&options.database).await?;
    }
    let keys = options.audit_keys.keys()?;
    let app = App {
        sealing: options.secret_keys.sealing()?,
        outbound: options.outbound.outbound()?,
        ..open(&options.database).await?
    };
    let outbound = app.outbound.clone();
    deployment::ensure_deployment(&app.pools.write).await?;
    let organization = deployment::ensure_organization(&app.pools.write).await?;
    deployment::revoke_dev_keys(&app).await?;
    let owner_link = first_owner::link(&app, organization).await?;
    let (listen, shutdown) = (&options.listen, &options.shutdown);
    let server = Server::bind(app, keys, listen, options.edge, shutdown).await?;
    let public_url = options.public_url.unwrap_or_else(|| server.url());
    let oidc = options.oidc.oidc(outbound, &public_url)?;
    if let Some(link) = owner_link {
        let link = link.url(&public_url);
        println!(
            "nobody can sign in yet; who opens this within 24 hours is the first owner: {link}"
        );
    }
    server.run(oidc, asked_to_end()).await
}

async fn create_organization(options: &CreateOrganization) -> Result<(), Failure> {
    let app = open(&options.database).await?;
    let display_name = options.display_name.as_deref().unwrap_or(&options.key);
    let pool = &app.pools.write;
    let organization = deployment::create_organization(pool, &options.key, display_name).await?;
    let secret = deployment::create_admin_token(pool, organization, false).await?;
    println!("{}", secret.expose());
    Ok(())
}

async fn create_admin_token(options: &CreateAdminToken) -> Result<(), Failure> {
    let app = open(&options.database).await?;
    let pool = &app.pools.write;
    deployment::ensure_organization(pool).await?;
    let organization = deployment::organization(pool, &options.organization).await?;
    let secret = deployment::create_admin_token(pool, organization, false).await?;
    println!("{}", secret.expose());
    Ok(())
}

async fn create_owner(options: &CreateOwner) -> Result<(), Failure> {
    let app = open(&options.database).await?;
    deployment::ensure_organization(&app.pools.write).await?;
    let organization = deployment::organization(&app.pools.write, &options.organization).await?;
    let link = first_owner::link_for(&app, organization, &options.email).await?;
    println!("{}", link.url(&options.public_url));
    Ok(())
}

async fn new_epoch(database: &Database) -> Result<(), Failure> {
    let app = open(database).await?;
    deployment::ensure_deployment(&app.pools.write).await?;
    println!("{}", deployment::new_epoch(&app.pools.write).await?);
    Ok(())
}

async fn reset_second_factor(options: &ResetSecondFactor) -> Result<(), Failure> {
    let app = open(&options.database).await?;
    second_factor::reset::reset(&app, &options.email).await?;
    println!("{} signs in with their password alone", options.email);
    Ok(())
}

fn create_secret_key() -> Result<(), Failure> {
    println!("{}", Key::generate(Purpose::Secrets)?.encoded());
    Ok(())
}

async fn reseal_secrets(options: &ResealSecrets) -> Result<(), Failure> {
    let sealing = options.keys.sealing()?;
    let mut connection = app::connect(&app::options(&options.database)?).await?;
    println!(
        "{}",
        reseal::reseal(&mut connection, &sealing, COLUMNS).await?
    );
    Ok(())
}

async fn verify_audit(options: VerifyAudit) -> Result<(), Failure> {
    let expected = Expected {
        keys: options.keys.keys()?,
        unkeyed_up_to: options.unkeyed_up_to,
        anchor: options.anchor,
    };
    let mut connection = app::connect(&app::options(&options.database)?).await?;
    println!("{}", verify::verify(&mut connection, &expected).await?);
    Ok(())
}

async fn erase_audit(options: EraseAudit) -> Result<(), Failure> {
    let erasure = Erasure {
        organization: options.organization,
        subject: options.subject.name(),
        reason: options.reason,
    };
    let mut connection = app::connect(&app::options(&options.database)?).await?;
    let erased = erase::erase(&mut connection, &erasure).await?;
    println!("{} {}", erasure.subject, erased);
    Ok(())
}

/// A database whose schema is what this program needs.
async fn open(database: &Database) -> Result<App, Failure> {
    let app = App::connect(database, false).await?;
    deployment::check_schema(&app.pools.read).await?;
    Ok(app)
}
