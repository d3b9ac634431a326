//! How many evaluations a second are answered, beside a bare echo.

use burgee_proto::evaluation::v1::EvaluateRequest;
use burgee_proto::evaluation::v1::evaluation_service_client::EvaluationServiceClient;
use burgee_tests::builders::{boolean_flag, context, equals, rule, rules, serve};
use burgee_tests::callers::{Authenticated, Caller};
use burgee_tests::process::Running;
use burgee_tests::server::TestServer;

use crate::echo::READY;
use crate::rate::{AsyncRepeat, ROUNDS, median, per_second};

/// Connections, and calls at once on each.
const CONNECTIONS: usize = 4;
const CALLS_A_CONNECTION: usize = 16;
/// The environment holds so many flags.
const FLAGS: usize = 100;

/// Prints the table.
pub(crate) async fn measure(server: &TestServer) {
    let (shop, production) = server.shop().await;
    for flag in 0..FLAGS {
        shop.create_flag(boolean_flag(&format!("flag-{flag}")))
            .await;
    }
    let pro = rule("pro", equals("plan", &["pro", "enterprise"]), serve("on"));
    production.configure("flag-7", rules(vec![pro])).await;
    production.enable("flag-7").await;
    let key = production.server_key().await;

    let this = std::env::current_exe().unwrap();
    let mut echo = Running::start(&this, &["echo".to_owned()], &[]);
    let line = echo.line_with(READY).await;
    let echo_address = line.split_once(READY).unwrap().1;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with.push(per_second(callers(server.address(), &key)).await);
        without.push(per_second(callers(echo_address, &key)).await);
    }
    let (with, without) = (median(with), median(without));
    println!("| evaluations a second | Burgee | bare echo | share |\n|---|---:|---:|---:|");
    let what = format!("{CONNECTIONS} connections, {CALLS_A_CONNECTION} calls at once on each");
    println!(
        "| {what} | {with:.0} | {without:.0} | {:.2} |\n",
        with / without
    );
}

fn callers(address: &str, key: &str) -> Vec<Evaluate> {
    let connections = (0..CONNECTIONS).map(|_| Caller::new(address, key));
    let connections = connections.collect::<Vec<_>>();
    let calls = connections
        .iter()
        .cycle()
        .take(CONNECTIONS * CALLS_A_CONNECTION);
    calls.map(|caller| Evaluate(caller.evaluation())).collect()
}

/// A caller who evaluates a flag for Alice.
struct Evaluate(EvaluationServiceClient<Authenticated>);

impl AsyncRepeat for Evaluate {
    async fn once(&mut self) {
        let request = EvaluateRequest {
            flag_key: "flag-7".to_owned(),
            context: Some(context("alice", &[("plan", "pro"), ("country", "NL")])),
            ..EvaluateRequest::default()
        };
        let response = self.0.evaluate(request).await.unwrap();
        assert_eq!(response.into_inner().evaluation.unwrap().variant, "on");
    }
}
