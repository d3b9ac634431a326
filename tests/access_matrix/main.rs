//! Every RPC × every way to call it: who is let in, who is refused, and how.
//! `make access-matrix` runs it alone.
//!
//! Generated from the descriptor set: an RPC that is added is asked without
//! anybody writing a line here, and fails until the method table has a row for
//! it. What is expected is worked out from the published roles and from that
//! table's permission and level, never from the code that decides. Closes with
//! `N cells, M wrong`, and fails if one is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod callers;
mod ended;
mod requests;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use burgee_server::access::{METHODS, Rule};
use burgee_tests::callers::{Bearer, channel};
use burgee_tests::server::{TestServer, WITHOUT_RATE_LIMITS};
use burgee_tests::wait::{SOON, eventually};
use prost_reflect::DynamicMessage;
use tonic::service::Interceptor as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::callers::{Expected, strangers};
use crate::requests::{Method, methods};
use crate::world::World;

/// Wrong cells that are printed.
const PRINTED_MAX: usize = 50;

/// What was asked, and what came out wrong.
#[derive(Default)]
struct Matrix {
    cells: usize,
    wrong: Vec<String>,
    /// How many calls of each method were refused for want of a permission or a session, by
    /// somebody who is known.
    refused: BTreeMap<String, i64>,
}

impl Matrix {
    fn cell(&mut self, method: &Method, caller: &str, expected: Expected, status: &Status) {
        self.cells += 1;
        if status.code() == Code::PermissionDenied {
            self.refuse(method);
        }
        if !expected.fits(status) {
            let (path, code) = (&method.path, status.code());
            let message = status.message();
            self.wrong.push(format!(
                "{path} by {caller}: expected {expected:?}, got {code:?} ({message})"
            ));
        }
    }

    fn refuse(&mut self, method: &Method) {
        *self.refused.entry(method.path.clone()).or_default() += 1;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // As other tests: `cargo test NAME` runs what has that name.
    let asked_for = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    if asked_for.is_some_and(|name| !"access_matrix".contains(&name)) {
        return ExitCode::SUCCESS;
    }
    let mut matrix = Matrix::default();
    // Nobody else shows so many bad credentials.
    let server = TestServer::with(WITHOUT_RATE_LIMITS).await;
    let methods = methods();
    let channel = channel(server.address());

    let foreign = foreign_answers(&server, &channel, &methods).await;
    let world = World::new(&server).await;
    for method in &methods {
        if !METHODS.iter().any(|(path, _)| *path == method.path) {
            matrix.cells += 1;
            matrix
                .wrong
                .push(format!("{} has no row in the table", method.path));
            continue;
        }
        for (what, credential) in &strangers(&world) {
            let status = call(&channel, method, &world, credential.as_deref()).await;
            let expected = match method.rule() {
                Rule::Unproven => Expected::Unproven,
                _ => Expected::Unauthenticated,
            };
            matrix.cell(method, what, expected, &status);
        }
        for caller in &world.callers {
            let credential = caller.credential(method);
            let status = call(&channel, method, &world, Some(credential)).await;
            let expected = caller.expected(method);
            matrix.cell(method, &caller.what, expected, &status);
            if caller.lacks_session(method) {
                matrix.refuse(method);
            }
        }
    }
    for foreign in &foreign {
        compare_foreign(&mut matrix, &channel, (&methods, &world), foreign).await;
    }
    compare_told(&mut matrix, &server, &methods).await;

    for wrong in matrix.wrong.iter().take(PRINTED_MAX) {
        println!("{wrong}");
    }
    println!("{} cells, {} wrong", matrix.cells, matrix.wrong.len());
    ExitCode::from(u8::from(!matrix.wrong.is_empty()))
}

/// Calls a method about what is in `world`.
async fn call(
    channel: &Channel,
    method: &Method,
    world: &World,
    credential: Option<&str>,
) -> Status {
    call_with(channel, method, method.request(world), credential).await
}

async fn call_with(
    channel: &Channel,
    method: &Method,
    request: DynamicMessage,
    credential: Option<&str>,
) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut bearer = credential.map_or(Bearer::anonymous(), Bearer::new);
    let metadata = bearer.call(Request::new(())).unwrap();
    let mut request = Request::new(request);
    *request.metadata_mut() = metadata.metadata().clone();
    // Unary or streaming: a refusal looks the same.
    let codec = ProstCodec::<DynamicMessage, ()>::default();
    let path = method.path.parse().unwrap();
    match client.server_streaming(request, path, codec).await {
        Err(status) => status,
        Ok(response) => match response.into_inner().message().await {
            Err(status) => status,
            Ok(_) => Status::ok("answered"),
        },
    }
}

/// Whoever may do everything in another organization, and what they are told of things that
/// exist nowhere.
struct Foreign {
    what: &'static str,
    credential: String,
    /// A person's.
    is_session: bool,
    /// By method.
    answers: Vec<Vec<u8>>,
}

/// Before this organization has anything.
async fn foreign_answers(
    server: &TestServer,
    channel: &Channel,
    methods: &[Method],
) -> Vec<Foreign> {
    let [token, session] = world::other_organization(server).await;
    let nothing = World::imagined();
    let mut all = Vec::new();
    for (what, credential, is_session) in [
        ("a token of the owner of another organization", token, false),
        (
            "a session of an owner of another organization",
            session,
            true,
        ),
    ] {
        let mut answers = Vec::new();
        for method in methods {
            let status = foreign_call(channel, method, &nothing, &credential).await;
            answers.push(world::bytes(&status, &nothing));
        }
        all.push(Foreign {
            what,
            credential,
            is_session,
            answers,
        });
    }
    all
}

/// Whoever signed out would be told the same of everything.
async fn foreign_call(
    channel: &Channel,
    method: &Method,
    world: &World,
    credential: &str,
) -> Status {
    match method.name.as_str() {
        "SignOut" => Status::ok("not asked"),
        _ => call(channel, method, world, Some(credential)).await,
    }
}

/// Whoever belongs to another organization is told of a thing exactly what they
/// were told before it was there.
async fn compare_foreign(
    matrix: &mut Matrix,
    channel: &Channel,
    (methods, world): (&[Method], &World),
    foreign: &Foreign,
) {
    let what = foreign.what;
    for (method, before) in methods.iter().zip(&foreign.answers) {
        let status = foreign_call(channel, method, world, &foreign.credential).await;
        matrix.cells += 1;
        // Whoever has no session has none to name.
        let takes_session = matches!(method.rule(), Rule::Session | Rule::Person);
        let names_something = method.names_something() && (foreign.is_session || !takes_session);
        if world::bytes(&status, world) != *before {
            let path = &method.path;
            matrix.wrong.push(format!(
                "{path} by {what} differs from what is absent: {status:?}"
            ));
        } else if names_something && status.code() != Code::NotFound {
            let (path, code) = (&method.path, status.code());
            matrix
                .wrong
                .push(format!("{path} by {what}: expected NotFound, got {code:?}"));
        }
    }
}

/// Every refusal of a known caller is told to the audit log, by its method.
async fn compare_told(matrix: &mut Matrix, server: &TestServer, methods: &[Method]) {
    let admin = methods.iter().map(|method| &method.path);
    let admin = admin.filter(|path| path.starts_with("/burgee.admin."));
    let refused = |path: &String| matrix.refused.get(path).copied().unwrap_or_default();
    let expected: BTreeMap<String, i64> = admin
        .map(|path| (path.clone(), refused(path)))
        .filter(|(_, refused)| *refused > 0)
        .collect();
    // Each is by somebody who did not try the method before: it is told at once.
    let end = Instant::now() + SOON;
    let told = eventually("refusals are read", 2 * SOON, async || {
        let told = told_refusals(server).await;
        (told == expected || Instant::now() > end).then_some(told)
    })
    .await;
    matrix.cells += expected.len();
    for (path, expected) in expected {
        let told = told.get(&path).copied().unwrap_or_default();
        if told != expected {
            matrix.wrong.push(format!(
                "{path}: {expected} attempts were refused, and the audit log tells of {told}"
            ));
        }
    }
}

async fn told_refusals(server: &TestServer) -> BTreeMap<String, i64> {
    let told: Vec<(String, i64)> = sqlx::query_as(
        "select method, sum(denied) from audit_entries
         join organizations o on o.id = organization_id
         where denied > 0 and o.key = 'default' group by method",
    )
    .fetch_all(server.database().pool())
    .await
    .unwrap();
    told.into_iter().collect()
}
