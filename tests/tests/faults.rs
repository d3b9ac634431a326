//! What goes on when the database, or the way to it, does not.

use std::sync::Arc;
use std::time::Duration;

use burgee_proto::sync::v1::GetRulesetRequest;
use burgee_proto::types::v1::Position;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::postgres::{Cluster, TestDatabase};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until, within};
use burgee_tests::watcher::RulesetWatcher;
use tonic::Code;

/// News that no notification tells of arrives with the feed's next look, at
/// most a second later; asserted with ten times that.
const NEWS_DEADLINE: Duration = Duration::from_secs(10);
/// Admin calls give up after two seconds without a database; asserted with five
/// times that.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(10);
/// After a fault, everything is well again by then.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(60);

/// A server with a flag, `banner`, whose stream is followed.
struct Followed {
    server: TestServer,
    production: TestEnvironment,
    sdk: Caller,
    watcher: RulesetWatcher,
}

impl Followed {
    async fn by(server: TestServer) -> Self {
        let (shop, production) = server.shop().await;
        shop.create_flag(boolean_flag("banner")).await;
        let sdk = server.caller(&production.server_key().await);
        let watcher = RulesetWatcher::follow(&sdk);
        watcher.synchronised().await;
        sdk.evaluate_for_alice("banner").await.unwrap();
        Self {
            server,
            production,
            sdk,
            watcher,
        }
    }

    /// A change made at `other` reaches the followed stream by the feed alone.
    async fn assert_news_from(&self, other: &TestServer) {
        let production = self.production.through(other);
        let enabled = production.config("banner").await.enabled;
        let changed = production.set_enabled("banner", !enabled).await;
        self.watcher
            .wait_within(NEWS_DEADLINE, "news from the other server", |record| {
                record.ledger.position >= changed
            })
            .await;
    }

    /// The admin plane refuses within its time, and says that nothing changed.
    async fn assert_admin_is_refused(&self) {
        let request = self.production.set_enabled_request("banner", true);
        let mut flags = self.server.admin().flags();
        let call = flags.set_flag_enabled(request);
        let outcome = within("a refusal", REFUSAL_DEADLINE, call).await;
        let status = refused(outcome, Code::Unavailable);
        assert_eq!(reason(&status), "DATABASE_UNAVAILABLE");
    }

    /// The data plane answers as before, to calls and to new streams.
    async fn assert_data_plane_serves(&self, position: Position) {
        let evaluation = self.sdk.evaluate_for_alice("banner").await.unwrap();
        assert_eq!(evaluation.position, Some(position));
        let whole = self
            .sdk
            .sync()
            .get_ruleset(GetRulesetRequest::default())
            .await;
        let mut whole = whole.unwrap().into_inner();
        let first = whole.message().await.unwrap().unwrap().update.unwrap();
        assert_eq!(first.position, Some(position));
        let newcomer = RulesetWatcher::follow(&self.sdk);
        newcomer.reaches(position).await;
    }

    /// Changes work again, and reach the stream.
    async fn assert_recovers(&self) {
        let flags = self.server.admin().flags();
        until(
            "a change is accepted again",
            RECOVERY_DEADLINE,
            async || {
                let request = self.production.set_enabled_request("banner", true);
                flags.clone().set_flag_enabled(request).await.is_ok()
            },
        )
        .await;
        let changed = self.production.disable("banner").await;
        let reached = |record: &burgee_tests::watcher::Record| record.ledger.position >= changed;
        self.watcher
            .wait_within(RECOVERY_DEADLINE, "the change arrives", reached)
            .await;
        let position = self.sdk.position().await.unwrap();
        assert_eq!(position, changed);
    }
}

#[tokio::test]
async fn news_arrives_after_postgres_ended_the_listening_connection() {
    let database = Arc::new(TestDatabase::create().await);
    let followed = Followed::by(TestServer::on(&database).await).await;
    let other = TestServer::on(&database).await;
    let listeners = "select count(*) from pg_stat_activity
        where datname = current_database() and query ilike 'listen%'";
    until("both servers listen", SOON, async || {
        database.number(listeners).await == 2
    })
    .await;

    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and query ilike 'listen%'";
    assert_eq!(database.number(end).await, 2);

    followed.assert_news_from(&other).await;
    until("both servers listen again", RECOVERY_DEADLINE, async || {
        database.number(listeners).await == 2
    })
    .await;
    followed.assert_news_from(&other).await;
}

#[tokio::test]
async fn news_arrives_after_the_listening_connection_died_in_silence() {
    let database = Arc::new(TestDatabase::create().await);
    let (proxy, url) = database.proxy().await;
    let behind_proxy = TestServer::connected_through(&database, url).await;
    let followed = Followed::by(behind_proxy).await;
    let other = TestServer::on(&database).await;
    followed.assert_news_from(&other).await;

    proxy.freeze_marked();

    followed.assert_news_from(&other).await;
    followed.assert_news_from(&other).await;
}

#[tokio::test]
async fn news_arrives_after_every_database_connection_was_cut() {
    let database = Arc::new(TestDatabase::create().await);
    let (proxy, url) = database.proxy().await;
    let behind_proxy = TestServer::connected_through(&database, url).await;
    let followed = Followed::by(behind_proxy).await;
    let other = TestServer::on(&database).await;

    proxy.cut();

    followed.assert_news_from(&other).await;
    followed.assert_recovers().await;
}

#[tokio::test]
async fn everything_recovers_after_postgres_restarted() {
    let mut cluster = Cluster::start(true).await;
    let database = Arc::new(TestDatabase::create_on(&cluster).await);
    let followed = Followed::by(TestServer::on(&database).await).await;
    let changed = followed.production.enable("banner").await;
    followed.watcher.reaches(changed).await;

    cluster.stop().await;
    cluster.start_again().await;

    followed.assert_recovers().await;
    assert!(
        followed.watcher.record().ends.is_empty(),
        "the stream went on"
    );
}

#[tokio::test]
async fn without_postgres_admin_calls_are_refused_and_the_data_plane_goes_on() {
    let mut cluster = Cluster::start(true).await;
    let database = Arc::new(TestDatabase::create_on(&cluster).await);
    let followed = Followed::by(TestServer::on(&database).await).await;
    let changed = followed.production.enable("banner").await;
    followed.watcher.reaches(changed).await;

    cluster.stop().await;

    followed.assert_admin_is_refused().await;
    followed.assert_data_plane_serves(changed).await;
    cluster.start_again().await;
    followed.assert_recovers().await;
    assert!(
        followed.watcher.record().ends.is_empty(),
        "the stream went on"
    );
}

#[tokio::test]
async fn a_postgres_that_stalls_is_refused_like_one_that_is_away() {
    let database = Arc::new(TestDatabase::create().await);
    let (proxy, url) = database.proxy().await;
    let behind_proxy = TestServer::connected_through(&database, url).await;
    let followed = Followed::by(behind_proxy).await;
    let changed = followed.production.enable("banner").await;
    followed.watcher.reaches(changed).await;

    proxy.stall();

    let request = followed.production.set_enabled_request("banner", true);
    let mut flags = followed.server.admin().flags();
    let call = flags.set_flag_enabled(request);
    let outcome = within("a refusal", REFUSAL_DEADLINE, call).await;
    refused(outcome, Code::Unavailable);
    followed.assert_data_plane_serves(changed).await;
    proxy.heal();
    followed.assert_recovers().await;
}

#[tokio::test]
async fn an_acknowledged_change_survives_a_crash_of_server_and_postgres() {
    let mut cluster = Cluster::start(true).await;
    let database = Arc::new(TestDatabase::create_on(&cluster).await);
    let mut followed = Followed::by(TestServer::on(&database).await).await;
    let changed = followed.production.enable("banner").await;

    followed.server.kill9();
    cluster.kill9().await;
    cluster.start_again().await;
    followed.server.start_again().await;

    assert_eq!(followed.production.position().await, changed);
    assert!(followed.production.config("banner").await.enabled);
    followed.watcher.reaches(changed).await;
}
