//! Each limit at its edge: what is at it is taken, what is one above is refused.

use burgee_proto::admin::v1::{
    AddTargetKeysRequest, CreateFlagRequest, CreateFlagResponse, CreateRoleRequest, Flag,
    FlagConfig, ListFlagsRequest, RestoreFlagRequest, Role, UpdateFlagRequest,
};
use burgee_proto::types::v1::{
    AllOf, Condition, NotOf, Operator, SegmentMatch, Variant, condition,
};
use burgee_tests::builders::{
    boolean_flag, clause, equals, prerequisite, prerequisites, rule, rules, serve, string_flag,
    target, text, variant,
};
use burgee_tests::errors::{fields, refused, subjects};
use burgee_tests::server::TestServer;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tonic::{Code, Response, Status};

use super::Desk;

/// Flags of a project, and bytes of an item and of a ruleset.
const FLAGS_MAX: usize = 5_000;
pub(super) const ITEM_BYTES_MAX: usize = 256 * 1024;
const RULESET_BYTES_MAX: i64 = 20 * 1024 * 1024;

/// `rules` of one rule that serves `dark` where `condition` holds.
fn one(condition: Condition) -> FlagConfig {
    rules(vec![rule("r", condition, serve("dark"))])
}

pub(super) fn all(leaves: usize) -> Condition {
    let conditions = vec![equals("plan", &["pro"]); leaves];
    Condition {
        kind: Some(condition::Kind::All(AllOf { conditions })),
    }
}

pub(super) fn nested(depth: usize) -> Condition {
    (1..depth).fold(equals("plan", &["pro"]), |inner, _| {
        let condition = Some(Box::new(inner));
        Condition {
            kind: Some(condition::Kind::Not(Box::new(NotOf { condition }))),
        }
    })
}

fn segments(count: usize) -> Condition {
    let keys = vec!["beta".to_owned(); count];
    Condition {
        kind: Some(condition::Kind::Segment(SegmentMatch { keys })),
    }
}

pub(super) fn values(count: usize) -> Condition {
    let numbered: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    equals("plan", &numbered)
}

fn targets(keys: usize) -> FlagConfig {
    let numbered: Vec<String> = (0..keys).map(|number| format!("user-{number}")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let (some, others) = numbered.split_at(keys / 2);
    FlagConfig {
        targets: vec![target("light", some), target("dark", others)],
        ..FlagConfig::default()
    }
}

#[tokio::test]
async fn limits_of_a_configuration() {
    let mut desk = Desk::open().await;
    let many = |count: usize| {
        let plain = |n: usize| rule(&format!("r{n}"), equals("plan", &["pro"]), serve("dark"));
        rules((0..count).map(plain).collect())
    };
    desk.config_edge("flag_config.rules", many(200), many(201))
        .await;
    let path = "flag_config.rules[0].rule.condition";
    let last = format!("{path}.all.conditions[63]");
    desk.config_edge(&last, one(all(63)), one(all(64))).await;
    let innermost = format!("{path}{}", ".not.condition".repeat(8));
    desk.config_edge(&innermost, one(nested(8)), one(nested(9)))
        .await;
    let field = format!("{path}.clause.values");
    desk.config_edge(&field, one(values(1_000)), one(values(1_001)))
        .await;
    let field = format!("{path}.segment.keys");
    desk.config_edge(&field, one(segments(1_000)), one(segments(1_001)))
        .await;
    desk.config_edge("flag_config.targets", targets(5_000), targets(5_001))
        .await;
    let key = |bytes: usize| FlagConfig {
        targets: vec![target("dark", &["short", &"k".repeat(bytes)])],
        ..FlagConfig::default()
    };
    desk.config_edge("flag_config.targets[0].keys[1]", key(256), key(257))
        .await;
    let id = |bytes: usize| {
        let id = "i".repeat(bytes);
        rules(vec![rule(&id, equals("plan", &["pro"]), serve("dark"))])
    };
    desk.config_edge("flag_config.rules[0].rule.id", id(256), id(257))
        .await;
    let empty = key(0);
    desk.bad_config("an empty key", "flag_config.targets[0].keys[1]", empty)
        .await;
}

#[tokio::test]
async fn limits_of_patterns() {
    let mut desk = Desk::open().await;
    let matches = |pattern: &str| one(clause("name", Operator::Matches, vec![text(pattern)]));
    let field = "flag_config.rules[0].rule.condition.clause.values[0]";
    let written = |bytes: usize| matches(&"a".repeat(bytes));
    desk.config_edge(field, written(256), written(257)).await;
    desk.config_edge(field, matches("a{1000}"), matches("a{1000}b"))
        .await;
    // The longest normal form of so many bytes: `\w` is `[0-9A-Za-z_]`.
    let words = |count: usize| matches(&r"\w".repeat(count));
    desk.config_edge(field, words(128), words(129)).await;
    desk.bad_config("no pattern", field, matches("")).await;
}

#[tokio::test]
async fn limits_of_a_definition() {
    let mut desk = Desk::open().await;
    let flag = |key: &str, variants: Vec<Variant>| Flag {
        variants,
        ..string_flag(key, &[])
    };
    let many = |count: usize| {
        let numbered = (0..count).map(|n| variant(&format!("v{n}"), text("v")));
        flag("many", numbered.collect())
    };
    desk.flag_edge("flag.variants", many(100), many(101)).await;
    // As a protobuf message: a tag, a length of three bytes, the text.
    let value = |bytes: usize| flag("large", vec![variant("a", text(&"x".repeat(bytes - 4)))]);
    let limit = 64 * 1024;
    desk.flag_edge("flag.variants[0].value", value(limit), value(limit + 1))
        .await;
    let json = |key: &str, value: Value| Flag {
        key: key.to_owned(),
        r#type: burgee_proto::types::v1::FlagType::Json.into(),
        variants: vec![variant("a", value)],
        ..Flag::default()
    };
    let (deep, deeper) = (json("deep", lists(24)), json("deep", lists(25)));
    desk.flag_edge("flag.variants[0].value", deep, deeper).await;
    let metadata = |depth: usize| Flag {
        metadata: Some(Struct {
            fields: [("a".to_owned(), lists(depth - 1))].into(),
        }),
        ..boolean_flag("described")
    };
    desk.flag_edge("flag.metadata", metadata(24), metadata(25))
        .await;
    // A field of the map (3 bytes of its own, with its length), its key of one
    // byte (3), its value (4), the text's tag and length (4).
    let metadata = |bytes: usize| Flag {
        metadata: Some(Struct {
            fields: [("a".to_owned(), text(&"x".repeat(bytes - 15)))].into(),
        }),
        ..boolean_flag("described-at-length")
    };
    desk.flag_edge("flag.metadata", metadata(limit), metadata(limit + 1))
        .await;
    let salt = |bytes: usize| Flag {
        salt: "s".repeat(bytes),
        ..boolean_flag("salted")
    };
    desk.flag_edge("flag.salt", salt(256), salt(257)).await;
    let key = |bytes: usize| boolean_flag(&"k".repeat(bytes));
    desk.flag_edge("flag.key", key(128), key(129)).await;
}

/// Lists in lists.
fn lists(depth: usize) -> Value {
    (0..depth).fold(text("x"), |inner, _| {
        let values = vec![inner];
        Value::from(Kind::ListValue(ListValue { values }))
    })
}

#[tokio::test]
async fn limits_of_prerequisites() {
    let mut desk = Desk::open().await;
    let key = |n: usize| format!("flag-{n:02}");
    for n in 0..=18 {
        desk.shop.create_flag(boolean_flag(&key(n))).await;
    }
    desk.accepted().await;
    let on = |n: usize| prerequisite(&key(n), &["on"]);
    let many = |count: usize| prerequisites((2..count + 2).map(on).collect());
    desk.config_edge("flag_config.prerequisites", many(16), many(17))
        .await;

    // A chain from flag-01 to flag-17 is of 16; one from flag-00 is of 17. It is
    // grown in its middle last.
    for n in (0..=16).filter(|n| *n != 8) {
        let next = prerequisites(vec![on(n + 1)]);
        desk.production.configure(&key(n), next).await;
    }
    desk.accepted().await;
    let next = prerequisites(vec![on(9)]);
    let next_of_8 = next.clone();
    let request = desk.production.configure_request(&key(8), next_of_8).await;
    let mut flags = desk.server.admin().flags();
    let outcome = flags.update_flag_config(request).await;
    let middle = desk.production.flag_name(&key(8));
    desk.over(("prerequisite_chain", 16), &middle, outcome)
        .await;

    // Out of sight while it is archived, and in the way when it comes back.
    desk.shop.archive_flag(&key(0)).await;
    desk.production.configure(&key(8), next).await;
    desk.accepted().await;
    let request = RestoreFlagRequest {
        name: desk.shop.flag_name(&key(0)),
        ..RestoreFlagRequest::default()
    };
    let outcome = desk.server.admin().flags().restore_flag(request).await;
    let first = desk.production.flag_name(&key(0));
    desk.over(("prerequisite_chain", 16), &first, outcome).await;
}

#[tokio::test]
async fn limits_of_an_item_and_of_a_ruleset() {
    let mut desk = Desk::open().await;
    let padded = |bytes: usize| one(equals("plan", &["pro", &"x".repeat(bytes)]));
    // It is measured as if it were on, so that it can always be turned on.
    desk.production.enable("theme").await;
    // Long enough that lengths take as many bytes as at the limit.
    let first = ITEM_BYTES_MAX - 4_096;
    desk.production.configure("theme", padded(first)).await;
    let item = "select length(body)::bigint from environment_items where key = 'theme'";
    let shipped = desk.server.database().number(item).await;
    let fitting = first + ITEM_BYTES_MAX - usize::try_from(shipped).unwrap();
    desk.accepted().await;
    desk.config_edge("flag_config", padded(fitting), padded(fitting + 1))
        .await;
    let limit = i64::try_from(ITEM_BYTES_MAX).unwrap();
    assert_eq!(desk.server.database().number(item).await, limit);
    desk.production.disable("theme").await;
    desk.accepted().await;
    let above = padded(fitting + 1);
    desk.bad_config("too long, though off", "flag_config", above)
        .await;
    desk.production.enable("theme").await;
    desk.accepted().await;

    // A definition that makes it too long is refused for the configuration.
    let mut change = desk.shop.flag("theme").await;
    change.variants.push(variant("neon", text("neon")));
    let request = UpdateFlagRequest {
        etag: change.etag.clone(),
        flag: Some(change),
        ..UpdateFlagRequest::default()
    };
    let outcome = desk.server.admin().flags().update_flag(request).await;
    let status = refused(outcome.map(drop), Code::FailedPrecondition);
    assert_eq!(subjects(&status), [desk.production.flag_name("theme")]);
    desk.assert_nothing_stored("a definition that is too long")
        .await;

    // As if there were so many flags that four more bytes fit.
    let rule_of = |id: &str| rules(vec![rule(id, equals("plan", &["pro"]), serve("dark"))]);
    desk.production.configure("theme", rule_of("r")).await;
    sqlx::query("update environment_heads set item_bytes = $1")
        .bind(RULESET_BYTES_MAX - 4)
        .execute(desk.server.database().pool())
        .await
        .unwrap();
    desk.accepted().await;
    let longer = rule_of("r12345");
    let request = desk.production.configure_request("theme", longer).await;
    let mut flags = desk.server.admin().flags();
    let outcome = flags.update_flag_config(request).await;
    let maximum = usize::try_from(RULESET_BYTES_MAX).unwrap();
    desk.over(("ruleset_bytes", maximum), &desk.production.name, outcome)
        .await;
    desk.production.configure("theme", rule_of("r1234")).await;
    let bytes = "select item_bytes from environment_heads";
    let bytes = desk.server.database().number(bytes).await;
    assert_eq!(bytes, RULESET_BYTES_MAX);
    desk.production.configure("theme", rule_of("r")).await;
}

#[tokio::test]
async fn limits_of_a_project() {
    let mut desk = Desk::open().await;
    // What counts, without what it would ship.
    let others = "insert into flags (id, project_id, key, type, display_name, description, tags,
                       owner, version, body, created_at, updated_at, changed_by)
        select gen_random_uuid(), f.project_id, 'other-' || n, f.type, '', '', '{}', '', 1, f.body,
               now(), now(), ''
        from flags f, generate_series(3, $1) n where f.key = 'banner'";
    sqlx::query(others)
        .bind(i32::try_from(FLAGS_MAX - 1).unwrap())
        .execute(desk.server.database().pool())
        .await
        .unwrap();
    desk.shop.create_flag(boolean_flag("last")).await;
    desk.accepted().await;
    let project = desk.shop.name();
    let outcome = create(&desk, "one-more").await;
    desk.over(("flags", FLAGS_MAX), &project, outcome).await;

    desk.shop.archive_flag("last").await;
    create(&desk, "one-more").await.unwrap();
    desk.accepted().await;
    let request = RestoreFlagRequest {
        name: desk.shop.flag_name("last"),
        ..RestoreFlagRequest::default()
    };
    let outcome = desk.server.admin().flags().restore_flag(request).await;
    desk.over(("flags", FLAGS_MAX), &project, outcome).await;
}

async fn create(desk: &Desk, key: &str) -> Result<Response<CreateFlagResponse>, Status> {
    let request = CreateFlagRequest {
        parent: desk.shop.name(),
        flag: Some(boolean_flag(key)),
        ..CreateFlagRequest::default()
    };
    desk.server.admin().flags().create_flag(request).await
}

#[tokio::test]
async fn limits_of_target_keys_are_named_by_the_request() {
    let mut desk = Desk::open().await;
    let add = |keys: Vec<String>| AddTargetKeysRequest {
        name: desk.production.flag_name("theme"),
        variant: "dark".to_owned(),
        keys,
        ..AddTargetKeysRequest::default()
    };
    let numbered = |from: usize, to: usize| (from..to).map(|n| format!("u{n}")).collect();
    let mut flags = desk.server.admin().flags();
    let outcome = flags.add_target_keys(add(numbered(0, 5_001))).await;
    desk.invalid("too many at once", "keys", outcome).await;
    let long = vec!["short".to_owned(), "k".repeat(257)];
    let outcome = flags.add_target_keys(add(long)).await;
    desk.invalid("a long one", "keys[1]", outcome).await;
    let full = add(numbered(0, 5_000));
    let one_more = add(numbered(5_000, 5_001));
    flags.add_target_keys(full).await.unwrap();
    desk.accepted().await;
    let outcome = flags.add_target_keys(one_more).await;
    let status = outcome.as_ref().map(drop).unwrap_err().clone();
    assert_eq!(fields(&status), ["keys"]);
    desk.invalid("one above", "keys", outcome).await;
}

#[tokio::test]
async fn what_is_named_too_often_is_refused_in_few_words() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let request = ListFlagsRequest {
        parent: shop.name(),
        environments: vec![production.name.clone(), production.name.clone()],
        ..ListFlagsRequest::default()
    };
    let listed = server.admin().flags().list_flags(request).await;
    let status = refused(listed, Code::InvalidArgument);
    assert_eq!(fields(&status), ["environments[1]"]);

    let request = CreateRoleRequest {
        role: Some(Role {
            key: "everything".to_owned(),
            permissions: vec!["flag.read".to_owned(); 100_000],
            ..Role::default()
        }),
        ..CreateRoleRequest::default()
    };
    let made = server.admin().members().create_role(request).await;
    let status = refused(made, Code::InvalidArgument);
    assert_eq!(fields(&status), ["role.permissions"]);
}
