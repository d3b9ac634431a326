//! `burgee-server serve`, as an operator starts it.

use std::sync::Arc;
use std::time::Duration;

use crate::callers::Caller;
use crate::postgres::TestDatabase;
use crate::process::{Running, built};
use crate::secrets::KeyFile;

/// What the server prints when it takes calls.
const READY: &str = "burgee-server listening on ";
/// A server that is asked to end has ended by then, streams or not.
pub const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// A running server on a database of its own, or beside others on theirs.
pub struct TestServer {
    process: Running,
    database: Arc<TestDatabase>,
    /// What the server connects to: the database, or a proxy before it.
    database_url: String,
    /// What it is told beside that.
    options: Options,
    address: String,
    admin: Caller,
}

/// For whoever calls more often than any caller should.
pub const WITHOUT_RATE_LIMITS: &[(&str, &str)] = &[
    ("BURGEE_CREDENTIAL_RATE", "off"),
    ("BURGEE_ACCOUNT_RATE", "off"),
    ("BURGEE_ADDRESS_RATE", "off"),
    ("BURGEE_SERVER_KEY_RATE", "off"),
    ("BURGEE_CLIENT_KEY_RATE", "off"),
    ("BURGEE_CLIENT_ADDRESS_RATE", "off"),
];

/// How a server is started, beside the usual way.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// The database has its tables already, and the server may not make them.
    pub migrated: bool,
}

impl TestServer {
    /// On a new database.
    pub async fn start() -> Self {
        Self::on(&Arc::new(TestDatabase::create().await)).await
    }

    /// On a new database, with these environment variables.
    pub async fn with(environment: &[(&str, &str)]) -> Self {
        Self::on_with(&Arc::new(TestDatabase::create().await), environment).await
    }

    /// On this database, with these environment variables.
    pub async fn on_with(database: &Arc<TestDatabase>, environment: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options = Options {
            environment: environment.iter().map(own).collect(),
            ..Options::default()
        };
        let url = database.url().to_owned();
        Self::start_with(database, url, options).await
    }

    /// On this database, perhaps beside others.
    pub async fn on(database: &Arc<TestDatabase>) -> Self {
        let url = database.url().to_owned();
        Self::connected_through(database, url).await
    }

    /// On this database, by another way to it.
    pub async fn connected_through(database: &Arc<TestDatabase>, database_url: String) -> Self {
        Self::start_with(database, database_url, Options::default()).await
    }

    /// On this database, sealing the audit log with these keys.
    pub async fn sealing_with(database: &Arc<TestDatabase>, keys: &str) -> Self {
        let options = Options {
            environment: vec![("BURGEE_AUDIT_KEY".to_owned(), keys.to_owned())],
            ..Options::default()
        };
        let url = database.url().to_owned();
        Self::start_with(database, url, options).await
    }

    /// On a new database, sealing secrets with these keys.
    pub async fn with_secret_keys(keys: &KeyFile) -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let options = Options {
            environment: vec![keys.variable()],
            ..Options::default()
        };
        let url = database.url().to_owned();
        Self::start_with(&database, url, options).await
    }

    /// On this database, by this way to it, with these options.
    pub async fn start_with(
        database: &Arc<TestDatabase>,
        database_url: String,
        options: Options,
    ) -> Self {
        let (process, address) = start(&database_url, "127.0.0.1:0", &options).await;
        let token = database.admin_token().await;
        Self {
            process,
            database: Arc::clone(database),
            database_url,
            options,
            admin: Caller::new(&address, &token),
            address,
        }
    }

    /// Such as `http://127.0.0.1:4000`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Arc<TestDatabase> {
        &self.database
    }

    /// Whoever may do everything.
    #[must_use]
    pub fn admin(&self) -> &Caller {
        &self.admin
    }

    /// Whoever has no credential (yet).
    #[must_use]
    pub fn nobody(&self) -> Caller {
        Caller::anonymous(&self.address)
    }

    /// All that it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Whoever holds `credential`.
    #[must_use]
    pub fn caller(&self, credential: &str) -> Caller {
        Caller::new(&self.address, credential)
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The most memory that it has held so far, in bytes.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.process.peak_memory_bytes()
    }

    /// The memory that its process holds now, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.process.memory_bytes()
    }

    /// kill −9.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again where it was, after [`TestServer::kill9`] or
    /// [`TestServer::stop`].
    pub async fn start_again(&mut self) {
        let listen = self.address.trim_start_matches("http://").to_owned();
        let (process, address) = start(&self.database_url, &listen, &self.options).await;
        assert_eq!(address, self.address);
        self.process = process;
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    ///
    /// When it does not end in time, or not in peace.
    pub async fn stop(&mut self) {
        let status = self.process.stop(STOP_DEADLINE).await;
        assert!(status.success(), "{status}");
    }
}

async fn start(database_url: &str, listen: &str, options: &Options) -> (Running, String) {
    let migrate = (!options.migrated).then_some("--migrate");
    let arguments = ["serve", "--listen", listen].into_iter().chain(migrate);
    let arguments: Vec<String> = arguments.map(str::to_owned).collect();
    let mut environment = options.environment.clone();
    environment.push(("BURGEE_DATABASE_URL".to_owned(), database_url.to_owned()));
    let mut process = Running::start(&built("burgee-server"), &arguments, &environment);
    let line = process.line_with(READY).await;
    let address = line.split_once(READY).unwrap().1.trim().to_owned();
    (process, address)
}
