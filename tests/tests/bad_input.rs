//! What cannot be taken is refused with the field named, and nothing of it is
//! stored.

use burgee_proto::admin::v1::{CreateFlagRequest, Flag, FlagConfig};
use burgee_tests::builders::{boolean_flag, segment, string_flag};
use burgee_tests::errors::{fields, limit, reason, refused, subjects};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use tonic::{Code, Response, Status};

mod configurations;
mod definitions;
mod limits;
mod missing;
mod names;
mod segment_limits;
mod states;
mod verbs;

/// A project with a flag of three variants, and everything that could have been
/// stored counted.
struct Desk {
    server: TestServer,
    shop: TestProject,
    production: TestEnvironment,
    rows_before: i64,
}

/// Every row that an accepted change leaves, and where each environment stands.
const ROWS: &str =
    "select (select count(*) from change_sets) + (select count(*) from audit_entries)
    + (select count(*) from outbox) + (select count(*) from idempotency_records)
    + (select count(*) from flags) + (select count(*) from segments)
    + (select count(*) from projects) + (select count(*) from environments)
    + (select count(*) from api_keys) + (select count(*) from environment_changes)
    + (select coalesce(sum(revision), 0) from environment_heads)::bigint
    + (select coalesce(sum(version), 0) from flags)::bigint
    + (select coalesce(sum(version), 0) from flag_configs)::bigint
    + (select coalesce(sum(version), 0) from segment_configs)::bigint";

impl Desk {
    async fn open() -> Self {
        let server = TestServer::start().await;
        let (shop, production) = server.shop().await;
        shop.create_flag(string_flag("theme", &["light", "dark", "sepia"]))
            .await;
        shop.create_flag(boolean_flag("banner")).await;
        shop.create_segment(segment("beta")).await;
        let rows_before = server.database().number(ROWS).await;
        Self {
            server,
            shop,
            production,
            rows_before,
        }
    }

    async fn assert_nothing_stored(&self, what: &str) {
        let rows = self.server.database().number(ROWS).await;
        assert_eq!(rows, self.rows_before, "{what}: something was stored");
    }

    /// `outcome` names the field at the path `field`.
    async fn invalid<T>(&self, what: &str, field: &str, outcome: Result<Response<T>, Status>) {
        let status = outcome.map(drop).expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert_eq!(reason(&status), "INVALID_FIELD", "{what}");
        let named = fields(&status);
        let fits = named.iter().any(|path| path.contains(field));
        assert!(
            fits,
            "{what}: {field} is not among {named:?}: {}",
            status.message()
        );
        self.assert_nothing_stored(what).await;
    }

    /// `outcome` tells of what is not there.
    async fn missing<T>(&self, what: &str, outcome: Result<Response<T>, Status>) {
        let status = outcome.map(drop).expect_err(what);
        assert_eq!(status.code(), Code::NotFound, "{what}: {status:?}");
        assert_eq!(reason(&status), "RESOURCE_NOT_FOUND", "{what}");
        self.assert_nothing_stored(what).await;
    }

    /// Tries to store this as the configuration of `theme`.
    async fn bad_config(&self, what: &str, field: &str, change: FlagConfig) {
        let request = self.production.configure_request("theme", change).await;
        let outcome = self
            .server
            .admin()
            .flags()
            .update_flag_config(request)
            .await;
        self.invalid(what, field, outcome).await;
    }

    /// Tries to make this flag.
    async fn bad_flag(&self, what: &str, field: &str, flag: Flag) {
        let request = CreateFlagRequest {
            parent: self.shop.name(),
            flag: Some(flag),
            ..CreateFlagRequest::default()
        };
        let outcome = self.server.admin().flags().create_flag(request).await;
        self.invalid(what, field, outcome).await;
    }

    /// Takes `at_limit` and refuses `above` as a configuration of `theme`.
    async fn config_edge(&mut self, field: &str, at_limit: FlagConfig, above: FlagConfig) {
        self.bad_config(field, field, above).await;
        self.production.configure("theme", at_limit).await;
        self.accepted().await;
    }

    /// Takes `at_limit` and refuses `above` as new flags.
    async fn flag_edge(&mut self, field: &str, at_limit: Flag, above: Flag) {
        self.bad_flag(field, field, above).await;
        self.shop.create_flag(at_limit).await;
        self.accepted().await;
    }

    /// `outcome` tells which limit would be exceeded, by what.
    async fn over<T>(
        &self,
        (name, maximum): (&str, usize),
        subject: &str,
        outcome: Result<Response<T>, Status>,
    ) {
        let status = refused(outcome.map(drop), Code::FailedPrecondition);
        assert_eq!(reason(&status), "LIMIT_EXCEEDED", "{status:?}");
        assert_eq!(limit(&status), (name.to_owned(), maximum.to_string()));
        assert_eq!(subjects(&status), [subject]);
        self.assert_nothing_stored(name).await;
    }

    /// What is there now is what may be there.
    async fn accepted(&mut self) {
        self.rows_before = self.server.database().number(ROWS).await;
    }
}
