//! The private cluster: it starts, keeps what it was given, and survives what happens
//! to its process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may stop at the first thing that is not as it should be"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use burgee_server::private_postgres::{Error, Options, PrivatePostgres};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// Longer than anything here takes; a wait that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// The data directory of the process that is to hold a cluster until it is killed.
const HOLD: &str = "BURGEE_TEST_HOLD";

fn options(data_dir: &Path) -> Options {
    Options {
        durable: false,
        max_connections: 10,
        ..Options::new(data_dir)
    }
}

async fn start(data_dir: &Path) -> PrivatePostgres {
    PrivatePostgres::start(options(data_dir)).await.unwrap()
}

/// A folder that nobody but its maker may pass through.
fn closed_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn read(url: &str, query: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_restart_keeps_the_data() {
    let data_dir = tempfile::tempdir().unwrap();
    let postgres = start(data_dir.path()).await;
    run(
        &postgres.url(),
        "create table kept as select 'this' as value",
    )
    .await;
    run(&postgres.url(), "create database another").await;
    postgres.stop().await;

    let postgres = start(data_dir.path()).await;
    assert_eq!(
        read(&postgres.url(), "select value from kept").await,
        "this"
    );
    let another = postgres.url_of("another");
    assert_eq!(
        read(&another, "select current_database()::text").await,
        "another"
    );
    postgres.stop().await;
}

#[tokio::test]
async fn it_is_durable_unless_told_otherwise() {
    let data_dir = tempfile::tempdir().unwrap();
    let postgres = PrivatePostgres::start(Options::new(data_dir.path()))
        .await
        .unwrap();
    assert_eq!(read(&postgres.url(), "show fsync").await, "on");
    assert_eq!(read(&postgres.url(), "show synchronous_commit").await, "on");
    postgres.stop().await;
    let postgres = start(data_dir.path()).await;
    assert_eq!(read(&postgres.url(), "show fsync").await, "off");
    postgres.stop().await;
}

#[tokio::test]
async fn nobody_else_can_connect() {
    let data_dir = tempfile::tempdir().unwrap();
    let postgres = start(data_dir.path()).await;
    assert_eq!(read(&postgres.url(), "show listen_addresses").await, "");
    let socket_dir = fs::metadata(data_dir.path().join("socket")).unwrap();
    assert_eq!(socket_dir.mode() & 0o777, 0o700);
    let process = format!("/proc/{}", postgres.process_id());
    let runs_as = fs::metadata(process).unwrap().uid();
    assert_ne!(runs_as, 0);
    assert_eq!(runs_as, socket_dir.uid());
    postgres.stop().await;
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data_dir = folder
        .path()
        .join("a b,\"c%/".to_owned() + &"long/".repeat(30));
    let postgres = start(&data_dir).await;
    assert_eq!(read(&postgres.url(), "select 'up'").await, "up");
    let socket_dir = read(&postgres.url(), "show unix_socket_directories").await;
    postgres.stop().await;
    // It had to be elsewhere, and is cleared away.
    assert!(
        !Path::new(socket_dir.trim_matches('"')).exists(),
        "{socket_dir}"
    );

    let data_dir = folder.path().join("a b,\"c%");
    let postgres = start(&data_dir).await;
    assert_eq!(read(&postgres.url(), "select 'up'").await, "up");
    postgres.stop().await;
}

#[tokio::test]
async fn a_closed_data_directory_lets_postgres_through() {
    let closed = closed_folder();
    let postgres = start(closed.path()).await;
    let cluster = closed.path().join("cluster");
    assert_eq!(fs::canonicalize(&cluster).unwrap(), cluster);
    postgres.stop().await;
}

/// Only root runs Postgres as somebody else.
#[tokio::test]
async fn a_closed_parent_moves_the_cluster_of_root_and_no_other() {
    let closed = closed_folder();
    let data_dir = closed.path().join("data");
    let postgres = start(&data_dir).await;
    run(
        &postgres.url(),
        "create table kept as select 'this' as value",
    )
    .await;
    postgres.stop().await;
    assert_eq!(fs::metadata(closed.path()).unwrap().mode() & 0o777, 0o700);

    let cluster = data_dir.join("cluster");
    let place = fs::canonicalize(&cluster).unwrap();
    assert_eq!(place != cluster, geteuid().is_root());
    let postgres = start(&data_dir).await;
    assert_eq!(
        read(&postgres.url(), "select value from kept").await,
        "this"
    );
    postgres.stop().await;

    // Deleted is deleted, whichever end of the link it was.
    fs::remove_dir_all(&place).unwrap();
    let postgres = start(&data_dir).await;
    let query = "select count(*)::text from pg_tables where tablename = 'kept'";
    assert_eq!(read(&postgres.url(), query).await, "0");
    postgres.stop().await;
    fs::remove_dir_all(fs::canonicalize(&cluster).unwrap()).unwrap();
}

#[tokio::test]
async fn a_data_directory_has_one_holder() {
    let data_dir = tempfile::tempdir().unwrap();
    let first = start(data_dir.path()).await;
    let second = PrivatePostgres::start(options(data_dir.path())).await;
    let Err(Error::InUse { holder, .. }) = second else {
        panic!("started twice: {second:?}");
    };
    assert_eq!(holder, std::process::id().to_string());
    first.stop().await;
    start(data_dir.path()).await.stop().await;
}

#[tokio::test]
async fn an_interrupted_initdb_is_begun_again() {
    let data_dir = tempfile::tempdir().unwrap();
    let unfinished = data_dir.path().join("cluster.unfinished/base");
    fs::create_dir_all(unfinished).unwrap();
    start(data_dir.path()).await.stop().await;
    assert!(!data_dir.path().join("cluster.unfinished").exists());
}

#[tokio::test]
async fn a_pid_file_whose_number_is_somebody_elses_does_not_hinder() {
    let data_dir = tempfile::tempdir().unwrap();
    start(data_dir.path()).await.stop().await;
    let file = data_dir.path().join("cluster/postmaster.pid");
    let cluster = fs::canonicalize(data_dir.path().join("cluster")).unwrap();
    // A process that Postgres could take for another postmaster: its own user's.
    let owner = fs::metadata(&cluster).unwrap();
    let mut sleeper = Command::new("sleep");
    sleeper.arg("600");
    if geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        sleeper.uid(owner.uid()).gid(owner.gid());
    }
    let mut sleeper = sleeper.spawn().unwrap();
    fs::write(&file, format!("{}\n{}\n", sleeper.id(), cluster.display())).unwrap();

    start(data_dir.path()).await.stop().await;
    assert!(
        sleeper.try_wait().unwrap().is_none(),
        "it was not ours to end"
    );
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let data_dir = tempfile::tempdir().unwrap();
    let nowhere = data_dir.path().join("nowhere");
    let options = Options {
        binaries: Some(nowhere.clone()),
        ..Options::new(data_dir.path())
    };
    let error = PrivatePostgres::start(options.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound { .. }), "{error}");
    assert!(
        error.to_string().contains(nowhere.to_str().unwrap()),
        "{error}"
    );

    start(data_dir.path()).await.stop().await;
    fs::write(data_dir.path().join("cluster/PG_VERSION"), "14\n").unwrap();
    let error = PrivatePostgres::start(options).await.unwrap_err();
    assert!(
        matches!(&error, Error::OtherVersion { made_by: 14, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_postgres_that_cannot_start_tells_why() {
    let data_dir = tempfile::tempdir().unwrap();
    start(data_dir.path()).await.stop().await;
    let settings = data_dir.path().join("cluster/postgresql.conf");
    fs::write(settings, "no_such_setting = 1\n").unwrap();
    let error = PrivatePostgres::start(options(data_dir.path()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_told() {
    let data_dir = tempfile::tempdir().unwrap();
    let postgres = start(data_dir.path()).await;
    kill(
        Pid::from_raw(postgres.process_id().cast_signed()),
        Signal::SIGKILL,
    )
    .unwrap();
    let outcome = tokio::time::timeout(DEADLINE, postgres.ended())
        .await
        .unwrap();
    assert!(outcome.contains("SIGKILL"), "{outcome}");
    postgres.stop().await;
    // Its backends may still be ending.
    start(data_dir.path()).await.stop().await;
}

/// Plays two parts: the process that holds a cluster, and the one that kills it.
#[tokio::test]
async fn a_killed_process_leaves_nothing_that_hinders_the_next() {
    if let Some(data_dir) = std::env::var_os(HOLD) {
        let postgres = PrivatePostgres::start(Options::new(data_dir))
            .await
            .unwrap();
        println!("\nHELD {} {}", postgres.process_id(), postgres.url());
        std::future::pending::<()>().await;
    }
    let data_dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let (mut holder, process_id, url) = hold(data_dir.path());
        if round == 0 {
            run(&url, "create table kept as select 'this' as value").await;
        }
        assert_eq!(read(&url, "select value from kept").await, "this");
        if round == 1 {
            // It cannot hear that its parent has died.
            kill(process_id, Signal::SIGSTOP).unwrap();
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        if round == 0 {
            ended(process_id);
        }
        if round == 1 {
            kill(process_id, Signal::SIGCONT).unwrap();
        }
    }
    let postgres = start(data_dir.path()).await;
    assert_eq!(
        read(&postgres.url(), "select value from kept").await,
        "this"
    );
    postgres.stop().await;
}

/// A process of its own that holds the cluster, its postmaster, and its URL.
fn hold(data_dir: &Path) -> (Child, Pid, String) {
    let test = "a_killed_process_leaves_nothing_that_hinders_the_next";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(HOLD, data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = lines
        .find_map(|line| line.unwrap().strip_prefix("HELD ").map(str::to_owned))
        .unwrap();
    let (process_id, url) = held.split_once(' ').unwrap();
    (
        holder,
        Pid::from_raw(process_id.parse().unwrap()),
        url.to_owned(),
    )
}

/// Waits until the process has ended by itself.
fn ended(process_id: Pid) {
    let state = format!("/proc/{process_id}/stat");
    let begun = Instant::now();
    loop {
        // Whoever is to reap it may not be interested.
        match fs::read_to_string(&state) {
            Err(_) => return,
            Ok(state) if state.contains(") Z ") => return,
            Ok(_) => std::thread::yield_now(),
        }
        assert!(begun.elapsed() < DEADLINE, "it outlives its parent");
    }
}
