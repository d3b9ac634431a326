//! Secrets that the database gives back are sealed, and the key that seals them can be changed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::sync::Arc;

use burgee_server::failure::Failure;
use burgee_server::keyring::{Keyring, Purpose};
use burgee_server::sealing::reseal::{missing_keys, reseal};
use burgee_server::sealing::{COLUMNS, Column, Problem, Sealing};
use burgee_tests::postgres::TestDatabase;
use burgee_tests::process::{built, run};
use burgee_tests::secrets::{KeyFile, key};
use burgee_tests::server::{Options, TestServer};
use secrecy::ExposeSecret as _;
use sqlx::PgConnection;
use sqlx::pool::PoolConnection;
use uuid::Uuid;

/// A table that only these tests have.
const VAULT: Column = Column {
    table: "vaults",
    column: "secret",
    row: "id",
    organization: Some("organization_id"),
};
/// More than are resealed at a time.
const ROWS: u128 = 250;

/// A database with a table of sealed secrets.
async fn vaults() -> (Arc<TestDatabase>, PoolConnection<sqlx::Postgres>) {
    let database = Arc::new(TestDatabase::create().await);
    TestServer::on(&database).await.stop().await;
    let table = "create table vaults (id uuid primary key, organization_id uuid, secret sealed)";
    database.execute(table.to_owned()).await.unwrap();
    let connection = database.pool().acquire().await.unwrap();
    (database, connection)
}

fn secret(row: u128) -> String {
    format!("the secret of {row}")
}

fn organization(row: u128) -> Option<Uuid> {
    (!row.is_multiple_of(3)).then(|| Uuid::from_u128(row % 3))
}

async fn put(connection: &mut PgConnection, sealing: &Sealing, row: u128) {
    let id = Uuid::from_u128(row);
    let place = organization(row).map_or(VAULT.of(id), |it| VAULT.within(it, id));
    let sealed = sealing.seal(&place, secret(row).as_bytes()).unwrap();
    sqlx::query("insert into vaults values ($1, $2, $3)")
        .bind(id)
        .bind(organization(row))
        .bind(sealed)
        .execute(connection)
        .await
        .unwrap();
}

async fn get(connection: &mut PgConnection, sealing: &Sealing, row: u128) -> String {
    let id = Uuid::from_u128(row);
    let place = organization(row).map_or(VAULT.of(id), |it| VAULT.within(it, id));
    let sealed: Vec<u8> = sqlx::query_scalar("select secret::bytea from vaults where id = $1")
        .bind(id)
        .fetch_one(connection)
        .await
        .unwrap();
    let opened = sealing.open(&place, &sealed).unwrap();
    String::from_utf8(opened.expose_secret().to_vec()).unwrap()
}

fn reseal_secrets(database: &TestDatabase, keys: Option<&KeyFile>) -> Output {
    let path = keys.map(|keys| keys.path().to_str().unwrap().to_owned());
    let mut command = vec!["reseal-secrets", "--database-url", database.url()];
    command.extend(path.iter().flat_map(|it| ["--secret-key-file", it]));
    run(&built("burgee-server"), &command)
}

#[tokio::test]
async fn every_column_of_sealed_secrets_is_resealed() {
    const SEALED: &str =
        "select table_name::text, column_name::text from information_schema.columns
         where domain_name = 'sealed' order by 1, 2";
    let (database, _) = vaults().await;
    let found: Vec<(String, String)> = sqlx::query_as(SEALED)
        .fetch_all(database.pool())
        .await
        .unwrap();
    let known = COLUMNS.iter().chain(&[VAULT]);
    let known = known.map(|it| (it.table.to_owned(), it.column.to_owned()));
    let mut known: Vec<_> = known.collect();
    known.sort();
    assert_eq!(found, known);
}

#[tokio::test]
async fn a_key_can_be_given_up_once_all_is_under_the_newest() {
    let (_database, mut connection) = vaults().await;
    let keys = KeyFile::with(&[1]);
    for row in 1..=ROWS {
        put(&mut connection, &keys.sealing(), row).await;
    }
    sqlx::query("insert into vaults (id) values ($1)")
        .bind(Uuid::from_u128(ROWS + 1))
        .execute(&mut *connection)
        .await
        .unwrap();
    keys.rewrite(&[2, 1]);
    put(&mut connection, &keys.sealing(), ROWS + 2).await;
    let report = reseal(&mut connection, &keys.sealing(), &[VAULT])
        .await
        .unwrap();
    assert_eq!(u128::from(report.resealed), ROWS);
    assert_eq!(report.key_id, key(2).id());
    keys.rewrite(&[2]);
    for row in (1..=ROWS).chain([ROWS + 2]) {
        assert_eq!(
            get(&mut connection, &keys.sealing(), row).await,
            secret(row)
        );
    }
    let again = reseal(&mut connection, &keys.sealing(), &[VAULT])
        .await
        .unwrap();
    assert_eq!(again.resealed, 0);
}

#[tokio::test]
async fn resealing_goes_on_where_it_was_interrupted() {
    let (database, mut connection) = vaults().await;
    let keys = KeyFile::with(&[1]);
    for row in 1..=ROWS {
        put(&mut connection, &keys.sealing(), row).await;
    }
    keys.rewrite(&[2, 1]);
    let move_to = |from: u128, to: u128| {
        let [from, to] = [from, to].map(Uuid::from_u128);
        database.execute(format!("update vaults set id = '{to}' where id = '{from}'"))
    };
    let elsewhere = ROWS + 1;
    move_to(ROWS, elsewhere).await.unwrap();
    let failure = reseal(&mut connection, &keys.sealing(), &[VAULT])
        .await
        .unwrap_err();
    let named = format!("vaults/{}", Uuid::from_u128(elsewhere));
    assert!(failure.to_string().contains(&named), "{failure}");
    let left = missing_keys(&mut connection, &sealing_of(&[2]), &[VAULT])
        .await
        .unwrap();
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [(key(1).id().to_owned(), 50)]
    );

    move_to(elsewhere, ROWS).await.unwrap();
    let report = reseal(&mut connection, &keys.sealing(), &[VAULT])
        .await
        .unwrap();
    assert_eq!(report.resealed, 50);
    assert_eq!(
        get(&mut connection, &sealing_of(&[2]), ROWS).await,
        secret(ROWS)
    );
}

fn sealing_of(bytes: &[u8]) -> Sealing {
    KeyFile::with(bytes).sealing()
}

#[tokio::test]
async fn a_key_that_is_missing_is_named_after_all_else_is_done() {
    let (_database, mut connection) = vaults().await;
    for (byte, row) in [(1, 1), (2, 2)] {
        put(&mut connection, &sealing_of(&[byte]), row).await;
    }
    let rotated = sealing_of(&[3, 1]);
    let failure = reseal(&mut connection, &rotated, &[VAULT])
        .await
        .unwrap_err();
    let key_id = key(2).id().to_owned();
    assert!(failure.to_string().contains(&key_id), "{failure}");
    assert!(
        matches!(failure, Failure::Secret(Problem::KeyMissing { .. })),
        "{failure:?}"
    );
    assert_eq!(get(&mut connection, &sealing_of(&[3]), 1).await, secret(1));
}

#[tokio::test]
async fn operators_make_keys_and_are_told_what_is_wrong_with_them() {
    let made = run(&built("burgee-server"), &["create-secret-key"]);
    let made = String::from_utf8(made.stdout).unwrap();
    Keyring::parse(Purpose::Secrets, &made).unwrap();

    let database = Arc::new(TestDatabase::create().await);
    let keys = KeyFile::with(&[1]);
    let readable = Permissions::from_mode(0o644);
    std::fs::set_permissions(keys.path(), readable).unwrap();
    let options = Options {
        environment: vec![keys.variable()],
        ..Options::default()
    };
    let url = database.url().to_owned();
    let server = TestServer::start_with(&database, url, options).await;
    assert!(
        server.log().contains("every user of this machine"),
        "{}",
        server.log()
    );
    assert!(!server.log().contains(&key(1).encoded()));

    let output = reseal_secrets(&database, None);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("--secret-key-file"),
        "{error}"
    );
    let output = reseal_secrets(&database, Some(&keys));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        text.trim(),
        format!(
            "0 secrets resealed; all are sealed with the key {} now",
            key(1).id()
        )
    );
    std::fs::write(keys.path(), "no key").unwrap();
    let output = reseal_secrets(&database, Some(&keys));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("key 1 of --secret-key-file"), "{error}");
}
