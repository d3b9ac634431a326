//! Nobody gains by what they write. Whoever may write something about who may do
//! what tries every such write on whatever could give them more: their own roles
//! and groups, an accomplice whose token they hold, people and accounts who may
//! do more, and whatever is minted on the way. Afterwards all of them together
//! may do no more than before.
//!
//! Generated from the contract: an RPC that takes a `request_id` is tried
//! without anybody writing a line here, and one that names a new kind of thing
//! fails until `world.rs` says which of these are worth having.

mod attempts;
mod gains;
mod keys;
mod world;

use burgee_server::access::Permission;
use burgee_tests::contract::Contract;
use tonic::Code;

use self::attempts::{Attempt, takes_away};
use self::world::{Attacker, PRODUCTION, World};

/// Roles that every organization has, whose holders try.
const BUILT_IN: [&str; 4] = ["viewer", "developer", "reviewer", "admin"];

#[tokio::test]
async fn nobody_gains_by_writes_who_may_write_in_the_organization() {
    everybody_tries("").await;
}

#[tokio::test]
async fn nobody_gains_by_writes_who_may_write_in_a_project() {
    everybody_tries("projects/shop").await;
}

#[tokio::test]
async fn nobody_gains_by_writes_who_may_write_in_an_environment() {
    everybody_tries(PRODUCTION).await;
}

/// All who hold a built-in role there, or a role with one permission to write.
async fn everybody_tries(scope: &str) {
    let world = World::new().await;
    let contract = Contract::load();
    let mut roles: Vec<String> = BUILT_IN.map(str::to_owned).into();
    for permission in Permission::ALL.iter().filter(|it| !it.is_read()) {
        roles.push(world.role_of_one(permission.name()).await);
    }
    let (mut tried, mut let_in) = (0, 0);
    for role in &roles {
        let attacker = world.attacker(role, scope).await;
        let outcome = try_everything(&world, &contract, &attacker).await;
        tried += outcome.0;
        let_in += outcome.1;
    }
    println!(
        "at {scope:?}: {tried} writes tried by {}, {let_in} let in",
        roles.len()
    );
    // A test whose requests are all malformed would find nothing.
    assert!(
        tried > 1_000 && let_in > 100,
        "{tried} tried, {let_in} let in"
    );
}

/// How many writes were tried, and how many let in.
async fn try_everything(world: &World, contract: &Contract, attacker: &Attacker) -> (usize, usize) {
    let before = gains::held(&attacker.caller).await.unwrap();
    let mut minted = Vec::new();
    let mut untouched = world.server.database().digest().await;
    let attempts = attempts::all(contract, world, (attacker, &before));
    let (tried, mut let_in) = (attempts.len(), 0);
    for attempt in attempts {
        let etag = world.etag(attempt.about().as_deref()).await;
        let attempt = attempt.with(etag);
        let outcome = attempt.run(&attacker.caller, true).await;
        if let Err(status) = outcome {
            let again = attempt.run(&attacker.caller, false).await;
            let again = again.expect_err(&attempt.tell(attacker));
            assert_eq!(again.code(), status.code(), "{}", attempt.tell(attacker));
            let expected = !matches!(status.code(), Code::Internal | Code::Unavailable);
            assert!(expected, "{}: {status:?}", attempt.tell(attacker));
            continue;
        }
        let now = world.server.database().digest().await;
        assert_eq!(now, untouched, "before {}", attempt.tell(attacker));
        let_in += 1;
        // To take away what one holds oneself is no gain, and would leave less to try.
        if takes_away(&attempt.method) {
            continue;
        }
        let answer = attempt.run(&attacker.caller, false).await;
        let answer = answer.unwrap_or_else(|status| panic!("{}: {status}", attempt.tell(attacker)));
        minted.extend(gains::minted(&attempt, answer, &before));
        untouched = world.server.database().digest().await;
    }
    assert_eq!(
        world.server.database().digest().await,
        untouched,
        "by {}",
        attacker.what
    );
    gains::none(world, attacker, &before, minted).await;
    (tried, let_in)
}

#[tokio::test]
async fn what_is_the_servers_to_say_nobody_else_does() {
    let world = World::new().await;
    let contract = Contract::load();
    let attacker = world.attacker("owner", "").await;
    let mut seen = 0;
    for (path, method) in attempts::writes(&contract) {
        let Some(mut attempt) = Attempt::first(&contract, &world, &attacker, (&path, &method))
        else {
            continue;
        };
        if attempt.makes() {
            let hostile = attempt.say_what_is_the_servers(&contract);
            let answer = attempt.run(&attacker.caller, false).await;
            let answer = answer.unwrap_or_else(|status| panic!("{path}: {status:?}"));
            attempt.assert_unsaid(&hostile, answer);
            seen += hostile.len();
        }
        for mask in attempt.masks_of_what_is_the_servers(&contract) {
            let etag = world.etag(attempt.about().as_deref()).await;
            let masked = attempt.masked(&mask).with(etag);
            let refused = masked.run(&attacker.caller, false).await;
            let status = refused.expect_err(&format!("{path}: {mask}"));
            assert_eq!(
                status.code(),
                Code::InvalidArgument,
                "{path}: {mask}: {status:?}"
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} fields are the server's");
}
