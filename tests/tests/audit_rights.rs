//! Who may do what to the audit log, beside adding to it: the role that servers work with
//! nothing, and the operator blank a person's data, without breaking a seal.

use std::str::FromStr as _;
use std::sync::Arc;

use burgee_proto::admin::v1::{AuditFilter, DeactivateMemberRequest, DeleteMemberRequest};
use burgee_server::audit::verify::{Expected, Finding};
use burgee_tests::audit::{key, sealed_with};
use burgee_tests::builders::boolean_flag;
use burgee_tests::postgres::TestDatabase;
use burgee_tests::process::{built, run};
use burgee_tests::server::{Options, TestServer};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::audit::entries;

/// A role that owns nothing, and a database that it may serve from.
struct Served {
    database: Arc<TestDatabase>,
    role: String,
    url: String,
}

impl Served {
    async fn prepare() -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let direct = PgConnectOptions::from_str(database.url()).unwrap();
        // Roles belong to the cluster that the tests share.
        let role = format!("serving \"{}\"", direct.get_database().unwrap());
        let create = format!("create role \"{}\" login", role.replace('"', "\"\""));
        database.execute(create).await.unwrap();
        let url = direct.username(&role).to_url_lossy().to_string();
        let arguments = [
            "migrate",
            "--database-url",
            database.url(),
            "--serving-role",
            &role,
        ];
        let migrated = run(&built("burgee-server"), &arguments);
        let error = String::from_utf8_lossy(&migrated.stderr);
        assert!(migrated.status.success(), "{error}");
        Self {
            database,
            role,
            url,
        }
    }

    async fn serve(&self) -> TestServer {
        let options = Options {
            environment: vec![("BURGEE_AUDIT_KEY".to_owned(), key(1))],
            migrated: true,
        };
        TestServer::start_with(&self.database, self.url.clone(), options).await
    }
}

#[tokio::test]
async fn a_server_works_with_a_role_that_cannot_change_the_log() {
    let served = Served::prepare().await;
    let server = served.serve().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    production.enable("banner").await;
    production.server_key().await;
    shop.archive_flag("banner").await;
    server
        .admin()
        .somebody("ci", "developer", &production.name)
        .await;
    let database = &served.database;
    database.is_sealed().await;
    let report = database.verify_audit(&sealed_with(&key(1))).await.unwrap();

    let mut connection = PgConnection::connect(&served.url).await.unwrap();
    let user: String = sqlx::query_scalar("select current_user::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(user, served.role);
    for forbidden in [
        "update audit_entries set reason = ''",
        "update audit_entries set erased = '{}'",
        "delete from audit_entries",
        "truncate audit_entries",
        "update audit_seals set key_id = ''",
        "delete from audit_seals",
        "truncate audit_seals",
        "alter table audit_entries disable trigger all",
        "drop trigger audit_entries_update on audit_entries",
        "drop table audit_seals",
        "create table audit (it integer)",
        "select audit_erase((select id from organizations), 'x', '', '{reason}', '{1}')",
        "insert into audit_entries (created_at, organization_id, actor, method, request_id,
             resource, part, reason) select now(), id, '', '', '', '', '', '' from organizations",
        "insert into audit_entries (transaction_id, organization_id, actor, method, request_id,
             resource, part, reason) select '1', id, '', '', '', '', '', '' from organizations",
        "delete from _sqlx_migrations",
    ] {
        let refused = sqlx::raw_sql(forbidden).execute(&mut connection).await;
        let error = refused.expect_err(forbidden);
        let code = error.as_database_error().unwrap().code();
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error}");
    }
    let again = database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    assert_eq!(again.entries, report.entries);
}

#[tokio::test]
async fn a_role_that_has_all_rights_anyway_is_no_serving_role() {
    let served = Served::prepare().await;
    let quoted = served.role.replace('"', "\"\"");
    let grant = format!("grant current_user to \"{quoted}\"");
    let grant = grant.replace("current_user", "burgee");
    let owner = "select count(*) from pg_tables where tablename = 'audit_entries'
        and tableowner = 'burgee'";
    assert_eq!(served.database.number(owner).await, 1);
    served.database.execute(grant).await.unwrap();
    for (role, why) in [
        (served.role.as_str(), "may become, the owner"),
        ("burgee", "is, or may become, the owner"),
        ("nobody knows", "there is no role nobody knows"),
    ] {
        let url = served.database.url();
        let arguments = ["migrate", "--database-url", url, "--serving-role", role];
        let refused = run(&built("burgee-server"), &arguments);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(why), "{said}");
    }
    let revoke = format!("revoke burgee from \"{quoted}\"");
    let revoked = sqlx::raw_sql(AssertSqlSafe(revoke)).execute(served.database.pool());
    revoked.await.unwrap();
}

#[tokio::test]
async fn a_persons_data_is_blanked_and_the_log_stays_whole() {
    let database = Arc::new(TestDatabase::create().await);
    let server = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin();
    let leaving = owner.somebody("leaving", "developer", "").await;
    let mut request = production.set_enabled_request("banner", true);
    request.reason = "because I say so".to_owned();
    leaving.flags().set_flag_enabled(request).await.unwrap();
    database.is_sealed().await;
    let before = database.verify_audit(&sealed_with(&key(1))).await.unwrap();

    let erase = |actor: &str| {
        let url = database.url();
        let arguments = ["audit", "erase", "--database-url", url, "--actor", actor];
        let done = run(&built("burgee-server"), &arguments);
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{error}");
        String::from_utf8(done.stdout).unwrap()
    };
    let said = erase("serviceAccounts/leaving");
    assert!(
        said.contains("in 1 entries by it and 2 about it, and in 1 change sets"),
        "{said}"
    );

    let of = async |filter: AuditFilter| entries(owner, filter).await;
    let by = AuditFilter {
        actor: "serviceAccounts/leaving".to_owned(),
        ..AuditFilter::default()
    };
    let [entry] = of(by).await.try_into().unwrap();
    assert_eq!(
        (&*entry.reason, &*entry.address, &*entry.user_agent),
        ("", "", "")
    );
    assert_eq!(entry.erased, ["address", "reason", "user_agent"]);
    assert!(entry.after.is_some(), "what was done stays told");
    let about = AuditFilter {
        resource: "serviceAccounts/leaving".to_owned(),
        ..AuditFilter::default()
    };
    let about = of(about).await;
    let (erasures, blanked): (Vec<_>, Vec<_>) =
        about.into_iter().partition(|it| it.method == "audit-erase");
    assert_eq!((erasures.len(), blanked.len()), (2, 2));
    assert!(
        blanked
            .iter()
            .all(|it| it.after.is_none() && it.detail.is_none())
    );
    assert!(
        blanked.iter().all(|it| it.address == "127.0.0.1"),
        "the owner's stays"
    );
    let said = erase("serviceAccounts/leaving");
    assert!(
        said.contains("in 0 entries by it and 0 about it"),
        "once is enough: {said}"
    );

    // Before and after the erasure itself is sealed.
    database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    database.is_sealed().await;
    let after = database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    assert_eq!(after.entries, before.entries + 2);
    let expected = Expected {
        anchor: before.anchor,
        ..sealed_with(&key(1))
    };
    database.verify_audit(&expected).await.unwrap();

    // An erasure that is taken away leaves what it blanked unexplained.
    let forged = "alter table audit_entries disable trigger all;
        update audit_entries set reason = '', erased = '{reason}' where actor = 'burgee-server';
        alter table audit_seals disable trigger all;
        update audit_seals set salts[4] = null where audit_id = (
            select min(id) from audit_entries where actor = 'burgee-server')";
    database.execute(forged.to_owned()).await.unwrap();
    let found = database.verify_audit(&expected).await.unwrap_err();
    let part = "reason";
    assert!(
        matches!(found, Finding::Blanked { part: named, .. } if named == part),
        "{found}"
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_person_who_was_deleted_and_erased() {
    const EMAIL: &str = "leaving@example.com";
    let database = Arc::new(TestDatabase::create().await);
    let server = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin();
    let (leaving, member) = owner.person(EMAIL, "developer", "").await;
    let mut request = production.set_enabled_request("banner", true);
    request.reason = "because Leaving says so".to_owned();
    leaving.flags().set_flag_enabled(request).await.unwrap();
    let request = DeactivateMemberRequest {
        name: member.name.clone(),
        ..DeactivateMemberRequest::default()
    };
    let deactivated = owner.members().deactivate_member(request).await.unwrap();
    let request = DeleteMemberRequest {
        name: member.name,
        etag: deactivated.into_inner().member.unwrap().etag,
        ..DeleteMemberRequest::default()
    };
    owner.members().delete_member(request).await.unwrap();
    database.is_sealed().await;

    let left = async || {
        let entries = "select count(*) from audit_entries e where e::text like '%eaving%'";
        let change_sets = "select count(*) from change_sets
                           where encode(body, 'escape') like '%eaving%'";
        let (entries, change_sets) = (entries, change_sets);
        database.number(entries).await + database.number(change_sets).await
    };
    assert!(left().await > 3, "there is nothing to forget");
    let erase = |uid: &str| {
        let url = database.url();
        let arguments = ["audit", "erase", "--database-url", url, "--person", uid];
        run(&built("burgee-server"), &arguments)
    };
    let stranger = uuid::Uuid::now_v7().to_string();
    let nobody = erase(&stranger);
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(
        !nobody.status.success() && said.contains(&stranger),
        "{said}"
    );
    let done = erase(&member.uid);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(left().await, 0);
    database.is_sealed().await;
    database.verify_audit(&sealed_with(&key(1))).await.unwrap();
}
