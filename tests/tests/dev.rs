//! Trying Burgee out: one command, and lines that work as pasted.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use burgee_proto::admin::v1::{ListEnvironmentsRequest, ListFlagsRequest, ListProjectsRequest};
use burgee_tests::callers::Caller;
use burgee_tests::dev_server::{DevServer, scripts, shell};
use burgee_tests::errors::refused;
use burgee_tests::people::PASSWORD;
use burgee_tests::process::{Running, built};
use burgee_tests::server::TestServer;
use burgee_tests::wait::within;
use tempfile::TempDir;
use tonic::Code;

/// The longest that a script takes.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(120);
/// How long a pasted line that watches is watched.
const WATCHED_SECONDS: u32 = 5;
/// What `timeout` ends with when it had to end the command.
const TIMED_OUT: i32 = 124;

struct Desk {
    folder: TempDir,
    dev: DevServer,
}

impl Desk {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dev = DevServer::start(folder.path(), "127.0.0.1:0").await;
        Self { folder, dev }
    }

    /// Starts it again at the same address.
    async fn start_again(&mut self) {
        let listen = self.dev.authority().to_owned();
        self.dev = DevServer::start(self.folder.path(), &listen).await;
    }

    fn admin(&self) -> Caller {
        Caller::new(self.dev.address(), &self.dev.credential("burgee_svc_"))
    }

    fn sdk(&self) -> Caller {
        Caller::new(self.dev.address(), &self.dev.credential("burgee_srv_"))
    }

    /// The demo project's name, and the keys of its flags.
    async fn demo(&self) -> (String, Vec<String>) {
        let admin = self.admin();
        let projects = admin
            .projects()
            .list_projects(ListProjectsRequest::default())
            .await;
        let [project] = &projects.unwrap().into_inner().projects[..] else {
            panic!("not one project");
        };
        let request = ListFlagsRequest {
            parent: project.name.clone(),
            ..ListFlagsRequest::default()
        };
        let flags = admin
            .flags()
            .list_flags(request)
            .await
            .unwrap()
            .into_inner()
            .flags;
        let keys = flags.into_iter().map(|summary| summary.flag.unwrap().key);
        (project.name.clone(), keys.collect())
    }
}

#[tokio::test]
async fn the_demo_project_has_three_environments_and_flags_of_every_type() {
    let desk = Desk::start().await;
    let (project, keys) = desk.demo().await;
    let request = ListEnvironmentsRequest {
        parent: project,
        ..ListEnvironmentsRequest::default()
    };
    let environments = desk.admin().environments().list_environments(request).await;
    assert_eq!(environments.unwrap().into_inner().environments.len(), 3);
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        let evaluation = desk.sdk().evaluate_for_alice(&key).await.unwrap();
        assert_eq!(evaluation.error_code, 0, "{key}: {evaluation:?}");
    }
}

#[tokio::test]
async fn whoever_tries_it_out_can_have_a_second_factor_that_outlives_a_restart() {
    const ADA: &str = "ada@example.com";
    let mut desk = Desk::start().await;
    let (ada, _) = desk.admin().person(ADA, "viewer", "").await;
    let app = ada.begin_second_factor().await.unwrap();
    ada.confirm_second_factor(&app.code()).await.unwrap();
    let keys = desk.folder.path().join("secret-keys");
    let mode = std::fs::metadata(keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.dev.stop().await;
    desk.start_again().await;
    let nobody = Caller::anonymous(desk.dev.address());
    nobody.sign_in(ADA, PASSWORD).await.unwrap_err();
    // The one that confirmed it was used by that.
    nobody.sign_in_with(ADA, &app.code_in(1)).await.unwrap();
}

#[tokio::test]
async fn the_printed_lines_work_as_pasted() {
    let desk = Desk::start().await;
    let commands = desk.dev.commands();
    for needed in ["ListFlags", "SetFlagEnabled", "Evaluat", "WatchRuleset"] {
        let found = commands.iter().any(|command| command.contains(needed));
        assert!(found, "no line with {needed} in:\n{}", desk.dev.printed());
    }
    for command in commands {
        let watches = command.contains("Watch");
        let quoted = command.replace('\'', "'\\''");
        let run = format!("timeout {WATCHED_SECONDS} bash -c '{quoted}'");
        let output = within(&command, SCRIPT_DEADLINE, shell(&run, &[])).await;
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let ended = output.status.success() || (watches && output.status.code() == Some(TIMED_OUT));
        assert!(ended, "{command}\n{out}\n{error}");
        assert!(
            out.contains('{'),
            "{command} answers nothing:\n{out}\n{error}"
        );
    }
}

#[tokio::test]
async fn the_scripts_under_grpcurl_work() {
    let desk = Desk::start().await;
    let token = desk.dev.credential("burgee_svc_");
    let sdk_key = desk.dev.credential("burgee_srv_");
    let environment = [
        ("BURGEE_ADDRESS", desk.dev.authority()),
        ("BURGEE_TOKEN", &token),
        ("BURGEE_SDK_KEY", &sdk_key),
    ];
    let entries = std::fs::read_dir(scripts()).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|it| it == "sh"));
    found.retain(|path| path.file_name().is_some_and(|it| it != "common.sh"));
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    for script in found {
        let name = script.display().to_string();
        let run = shell(&name, &environment);
        let output = within(&name, SCRIPT_DEADLINE, run).await;
        let (out, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name}\n{out}\n{error}");
    }
}

#[tokio::test]
async fn a_shell_that_reads_what_a_start_left_for_it_has_all_that_the_scripts_and_programs_need() {
    let desk = Desk::start().await;
    let read = format!(". {}/env", desk.folder.path().display());
    assert!(
        desk.dev.printed().contains("/env'\n"),
        "{}",
        desk.dev.printed()
    );
    for command in [
        format!("{}/toggle_flag.sh", scripts().display()),
        "burgee-server create-owner --email ada@example.com".to_owned(),
    ] {
        let both = format!("{read} && {command}");
        let output = within(&command, SCRIPT_DEADLINE, shell(&both, &[])).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {error}");
    }
    let mode = std::fs::metadata(desk.folder.path().join("env"));
    assert_eq!(mode.unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_start_keeps_the_data_and_prints_the_same_lines() {
    let mut desk = Desk::start().await;
    let (project, keys) = desk.demo().await;
    let (lines, token) = (desk.dev.commands(), desk.dev.credential("burgee_svc_"));
    let mut flag = burgee_tests::builders::boolean_flag("kept");
    flag.display_name = "Kept".to_owned();
    let request = burgee_proto::admin::v1::CreateFlagRequest {
        parent: project,
        flag: Some(flag),
        ..Default::default()
    };
    desk.admin().flags().create_flag(request).await.unwrap();

    desk.dev.stop().await;
    desk.start_again().await;

    assert_eq!(desk.dev.commands(), lines);
    assert_eq!(desk.dev.credential("burgee_svc_"), token);
    let (_, kept) = desk.demo().await;
    assert_eq!(kept.len(), keys.len() + 1);
    assert!(kept.contains(&"kept".to_owned()));
}

#[tokio::test]
async fn a_killed_development_server_hinders_no_next_start() {
    let mut desk = Desk::start().await;
    let (_, keys) = desk.demo().await;
    let lines = desk.dev.commands();
    for _ in 0..2 {
        desk.dev.kill9();
        desk.start_again().await;
    }
    assert_eq!(desk.dev.commands(), lines);
    assert_eq!(desk.demo().await.1, keys);
}

#[tokio::test]
async fn a_development_server_takes_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["dev", "--listen", "0.0.0.0:0", "--data-dir"].map(str::to_owned);
    let mut arguments = arguments.to_vec();
    arguments.push(folder.path().display().to_string());
    let mut process = Running::start(&built("burgee-server"), &arguments, &[]);
    let status = process.ended(SCRIPT_DEADLINE).await;
    assert!(!status.success());
    let said = process.stderr();
    assert!(said.contains("loopback"), "{said}");
}

#[tokio::test]
async fn what_a_development_server_gave_out_is_refused_by_serve() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let secret = production.server_key().await;
    let sdk = server.caller(&secret);
    sdk.position().await.unwrap();
    let token = server.database().admin_token().await;

    // As `dev` marks what it makes.
    for table in ["api_keys", "tokens"] {
        let mark = sqlx::AssertSqlSafe(format!("update {table} set dev = true"));
        sqlx::query(mark)
            .execute(server.database().pool())
            .await
            .unwrap();
    }
    let other = TestServer::on(server.database()).await;

    let outcome = other.caller(&secret).position().await;
    refused(outcome, Code::Unauthenticated);
    let admin = Caller::new(other.address(), &token);
    let outcome = admin
        .projects()
        .list_projects(ListProjectsRequest::default())
        .await;
    refused(outcome, Code::Unauthenticated);
}
