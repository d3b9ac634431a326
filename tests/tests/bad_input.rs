//! What cannot be taken is refused with the field named, and nothing of it is
//! stored.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, AddTargetKeysRequest, ApiKey, ArchiveFlagRequest, CreateApiKeyRequest,
    CreateEnvironmentRequest, CreateFlagRequest, CreateProjectRequest, CreateSegmentRequest,
    DeleteSegmentRequest, Environment, Flag, FlagConfig, GetApiKeyRequest, GetEnvironmentRequest,
    GetFlagConfigRequest, GetFlagRequest, GetProjectRequest, GetSegmentConfigRequest,
    GetSegmentRequest, ListFlagsRequest, Project, Segment, SegmentConfig, SegmentList,
    SetFlagEnabledRequest, SetRolloutRequest, UpdateFlagConfigRequest, UpdateFlagRequest,
};
use burgee_proto::types::v1::{AccessKeyKind, Condition, FlagType, NotOf, Operator, condition};
use burgee_tests::builders::{
    WHOLE, boolean, boolean_flag, clause, equals, fallthrough, in_segment, number, prerequisite,
    prerequisites, rule, rules, segment, serve, split, split_parts, string_flag, target, text,
    variant,
};
use burgee_tests::errors::{fields, reason, refused, subjects};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use prost_types::FieldMask;
use tonic::{Code, Response, Status};

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
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let desk = Desk::open().await;
    let admin = desk.server.admin();
    let name = "projects/nowhere".to_owned();
    let outcome = admin
        .projects()
        .get_project(GetProjectRequest { name })
        .await;
    desk.missing("a project", outcome).await;
    let name = "projects/shop/environments/nowhere".to_owned();
    let outcome = admin
        .environments()
        .get_environment(GetEnvironmentRequest { name })
        .await;
    desk.missing("an environment", outcome).await;
    let name = desk.shop.flag_name("nothing");
    let outcome = admin.flags().get_flag(GetFlagRequest { name }).await;
    desk.missing("a flag", outcome).await;
    let name = desk.production.flag_name("nothing");
    let outcome = admin
        .flags()
        .get_flag_config(GetFlagConfigRequest { name })
        .await;
    desk.missing("a flag's configuration", outcome).await;
    let name = desk.shop.segment_name("nobody");
    let outcome = admin
        .segments()
        .get_segment(GetSegmentRequest { name })
        .await;
    desk.missing("a segment", outcome).await;
    let name = desk.production.segment_name("nobody");
    let outcome = admin
        .segments()
        .get_segment_config(GetSegmentConfigRequest { name })
        .await;
    desk.missing("a segment's content", outcome).await;
    let name = format!("apiKeys/{}", uuid::Uuid::new_v4());
    let outcome = admin
        .api_keys()
        .get_api_key(GetApiKeyRequest { name })
        .await;
    desk.missing("an API key", outcome).await;

    let request = desk.production.set_enabled_request("nothing", true);
    let outcome = admin.flags().set_flag_enabled(request).await;
    desk.missing("a flag to turn on", outcome).await;
    let request = SetFlagEnabledRequest {
        name: "projects/shop/environments/nowhere/flags/theme".to_owned(),
        enabled: true,
        ..SetFlagEnabledRequest::default()
    };
    let outcome = admin.flags().set_flag_enabled(request).await;
    desk.missing("an environment to turn a flag on in", outcome)
        .await;
    let request = CreateFlagRequest {
        parent: "projects/nowhere".to_owned(),
        flag: Some(boolean_flag("new")),
        ..CreateFlagRequest::default()
    };
    desk.missing(
        "a project for a flag",
        admin.flags().create_flag(request).await,
    )
    .await;
    let request = ListFlagsRequest {
        parent: "projects/nowhere".to_owned(),
        ..ListFlagsRequest::default()
    };
    desk.missing("a project to list", admin.flags().list_flags(request).await)
        .await;
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Server.into(),
            environments: vec!["projects/shop/environments/nowhere".to_owned()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    desk.missing(
        "an environment for a key",
        admin.api_keys().create_api_key(request).await,
    )
    .await;
}

#[tokio::test]
async fn malformed_names_and_keys_are_refused() {
    let desk = Desk::open().await;
    let admin = desk.server.admin();
    for name in [
        "",
        "theme",
        "projects/shop/flags/",
        "projects/Shop!/flags/theme",
        "flags/theme",
    ] {
        let request = GetFlagRequest {
            name: name.to_owned(),
        };
        desk.invalid(name, "name", admin.flags().get_flag(request).await)
            .await;
        let request = SetFlagEnabledRequest {
            name: name.to_owned(),
            ..SetFlagEnabledRequest::default()
        };
        desk.invalid(name, "name", admin.flags().set_flag_enabled(request).await)
            .await;
    }
    let long = "x".repeat(300);
    for key in [
        "",
        "-dash",
        ".dot",
        "two words",
        "späti",
        "a/b",
        long.as_str(),
    ] {
        desk.bad_flag(key, "flag.key", boolean_flag(key)).await;
        let request = CreateSegmentRequest {
            parent: desk.shop.name(),
            segment: Some(segment(key)),
            ..CreateSegmentRequest::default()
        };
        let outcome = admin.segments().create_segment(request).await;
        desk.invalid(key, "segment.key", outcome).await;
    }
    for key in ["", "Upper", "under_score", "-dash", "a.b", long.as_str()] {
        let request = CreateProjectRequest {
            project: Some(Project {
                key: key.to_owned(),
                ..Project::default()
            }),
            ..CreateProjectRequest::default()
        };
        let outcome = admin.projects().create_project(request).await;
        desk.invalid(key, "project.key", outcome).await;
        let request = CreateEnvironmentRequest {
            parent: desk.shop.name(),
            environment: Some(Environment {
                key: key.to_owned(),
                ..Environment::default()
            }),
            ..CreateEnvironmentRequest::default()
        };
        let outcome = admin.environments().create_environment(request).await;
        desk.invalid(key, "environment.key", outcome).await;
    }
    let request = CreateFlagRequest {
        parent: desk.shop.name(),
        ..CreateFlagRequest::default()
    };
    desk.invalid("no flag", "flag", admin.flags().create_flag(request).await)
        .await;
}

#[tokio::test]
async fn a_flag_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let flag = |variants| Flag {
        key: "new".to_owned(),
        r#type: FlagType::String.into(),
        variants,
        ..Flag::default()
    };
    desk.bad_flag(
        "no type",
        "flag.type",
        Flag {
            key: "new".to_owned(),
            ..Flag::default()
        },
    )
    .await;
    let wrong = flag(vec![variant("a", text("a")), variant("b", number(1.0))]);
    desk.bad_flag("a value of another type", "flag.variants[1].value", wrong)
        .await;
    let wrong = flag(vec![variant("a", text("a")), variant("a", text("b"))]);
    desk.bad_flag("a variant twice", "flag.variants", wrong)
        .await;
    let wrong = flag(vec![variant("", text("a"))]);
    desk.bad_flag("a variant without a key", "flag.variants[0].key", wrong)
        .await;
    let many = (0..101)
        .map(|n| variant(&format!("v{n}"), text("v")))
        .collect();
    desk.bad_flag("too many variants", "flag.variants", flag(many))
        .await;
    let wrong = Flag {
        variants: vec![variant("on", boolean(true)), variant("off", text("no"))],
        ..boolean_flag("new")
    };
    desk.bad_flag("a boolean that is text", "flag.variants[1].value", wrong)
        .await;
    let large = flag(vec![variant("a", text(&"x".repeat(70 * 1024)))]);
    desk.bad_flag("a value over its limit", "flag.variants[0].value", large)
        .await;
    let wrong = Flag {
        display_name: "x".repeat(257),
        ..boolean_flag("new")
    };
    desk.bad_flag("a long display name", "flag.display_name", wrong)
        .await;
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let to = |serve| fallthrough(serve);
    desk.bad_config("a variant that is none", "fallthrough", to(serve("neon")))
        .await;
    let short = split(&[("light", 60_000), ("dark", 39_999)]);
    desk.bad_config("weights below the whole", "fallthrough.split", to(short))
        .await;
    let long = split(&[("light", 60_000), ("dark", 60_000)]);
    desk.bad_config("weights above the whole", "fallthrough.split", to(long))
        .await;
    let negative = split(&[("light", -1), ("dark", WHOLE + 1)]);
    desk.bad_config(
        "a negative weight",
        "fallthrough.split.parts[0].weight",
        to(negative),
    )
    .await;
    let unknown = split(&[("light", 50_000), ("neon", 50_000)]);
    desk.bad_config(
        "a split over what is none",
        "fallthrough.split.parts[1]",
        to(unknown),
    )
    .await;
    let wrong = FlagConfig {
        off_variant: "neon".to_owned(),
        ..FlagConfig::default()
    };
    desk.bad_config("an off variant that is none", "off_variant", wrong)
        .await;
    let wrong = FlagConfig {
        targets: vec![target("light", &["alice"]), target("neon", &["bob"])],
        ..FlagConfig::default()
    };
    desk.bad_config("a target of what is none", "targets[1].variant", wrong)
        .await;

    let one = |condition: Condition| rules(vec![rule("r", condition, serve("dark"))]);
    let wrong = one(Condition { kind: None });
    desk.bad_config("an empty condition", "rules[0].rule.condition", wrong)
        .await;
    let wrong = one(clause("plan", Operator::Unspecified, vec![text("pro")]));
    desk.bad_config("no operator", "operator", wrong).await;
    let wrong = one(clause("name", Operator::Matches, vec![text("(unclosed")]));
    desk.bad_config("a pattern that is none", "values[0]", wrong)
        .await;
    let mut deep = equals("plan", &["pro"]);
    for _ in 0..8 {
        let kind = condition::Kind::Not(Box::new(NotOf {
            condition: Some(Box::new(deep)),
        }));
        deep = Condition { kind: Some(kind) };
    }
    desk.bad_config("a condition too deep", "rules[0].rule.condition", one(deep))
        .await;
    let wrong = rules(vec![rule("r", equals("a", &["1"]), serve("neon"))]);
    desk.bad_config(
        "a rule that serves what is none",
        "rules[0].rule.serve",
        wrong,
    )
    .await;
    let same = || rule("r", equals("a", &["1"]), serve("dark"));
    desk.bad_config(
        "a rule's id twice",
        "rules[1].rule.id",
        rules(vec![same(), same()]),
    )
    .await;
    let many = (0..201).map(|n| rule(&format!("r{n}"), equals("a", &["1"]), serve("dark")));
    desk.bad_config("too many rules", "rules", rules(many.collect()))
        .await;
    let keys: Vec<String> = (0..5_001).map(|n| format!("user-{n}")).collect();
    let wrong = FlagConfig {
        targets: vec![target(
            "dark",
            &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        )],
        ..FlagConfig::default()
    };
    desk.bad_config("too many target keys", "targets", wrong)
        .await;
}

#[tokio::test]
async fn what_a_configuration_refers_to_must_be_there() {
    let desk = Desk::open().await;
    let change = rules(vec![rule("r", in_segment("nobody"), serve("dark"))]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = outcome.map(drop).expect_err("a segment that is none");
    let codes = [Code::InvalidArgument, Code::FailedPrecondition];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a segment that is none").await;

    let change = prerequisites(vec![prerequisite("nothing", &["on"])]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = outcome.map(drop).expect_err("a prerequisite that is none");
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a prerequisite that is none")
        .await;

    let change = prerequisites(vec![prerequisite("theme", &["dark"])]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "PREREQUISITE_CYCLE");
    assert!(!subjects(&status).is_empty(), "the flag is named");
    desk.assert_nothing_stored("a flag that needs itself").await;
}

#[tokio::test]
async fn the_small_verbs_check_what_they_bring() {
    let desk = Desk::open().await;
    let mut flags = desk.server.admin().flags();
    let rollout = |rule_id: &str, parts: &[(&str, i32)]| SetRolloutRequest {
        name: desk.production.flag_name("theme"),
        rule_id: rule_id.to_owned(),
        parts: split_parts(parts),
        ..SetRolloutRequest::default()
    };
    let outcome = flags.set_rollout(rollout("", &[("light", 99_999)])).await;
    desk.invalid("weights that do not sum", "parts", outcome)
        .await;
    let outcome = flags.set_rollout(rollout("", &[("neon", WHOLE)])).await;
    desk.invalid("a part that is none", "parts[0]", outcome)
        .await;
    let outcome = flags
        .set_rollout(rollout("nothing", &[("light", WHOLE)]))
        .await;
    let status = outcome.map(drop).expect_err("a rule that is none");
    let codes = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::FailedPrecondition,
    ];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a rule that is none").await;

    let add = |variant: &str, keys: &[&str]| AddTargetKeysRequest {
        name: desk.production.flag_name("theme"),
        variant: variant.to_owned(),
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        ..AddTargetKeysRequest::default()
    };
    let outcome = flags.add_target_keys(add("neon", &["alice"])).await;
    desk.invalid("targets of what is none", "variant", outcome)
        .await;
    let outcome = flags.add_target_keys(add("dark", &[""])).await;
    desk.invalid("an empty target key", "keys[0]", outcome)
        .await;
    let outcome = flags
        .add_target_keys(add("dark", &[&"x".repeat(257)]))
        .await;
    desk.invalid("a long target key", "keys[0]", outcome).await;

    let mut segments = desk.server.admin().segments();
    let add = |list: SegmentList, key: &str| AddSegmentKeysRequest {
        name: desk.production.segment_name("beta"),
        list: list.into(),
        keys: vec![key.to_owned()],
        ..AddSegmentKeysRequest::default()
    };
    let outcome = segments
        .add_segment_keys(add(SegmentList::Unspecified, "alice"))
        .await;
    desk.invalid("no list", "list", outcome).await;
    let outcome = segments
        .add_segment_keys(add(SegmentList::Included, ""))
        .await;
    desk.invalid("an empty segment key", "keys[0]", outcome)
        .await;
}

#[tokio::test]
async fn masks_etags_and_pages_are_checked() {
    let desk = Desk::open().await;
    let mut flags = desk.server.admin().flags();
    let masked = |path: &str, etag: String| UpdateFlagConfigRequest {
        flag_config: Some(FlagConfig {
            name: desk.production.flag_name("theme"),
            ..FlagConfig::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec![path.to_owned()],
        }),
        etag,
        ..UpdateFlagConfigRequest::default()
    };
    let etag = desk.production.config("theme").await.etag;
    for path in ["enabled", "nothing", "fallthrough.split.nothing", "etag"] {
        let outcome = flags.update_flag_config(masked(path, etag.clone())).await;
        desk.invalid(path, "update_mask", outcome).await;
    }
    let outcome = flags
        .update_flag_config(masked("rules", String::new()))
        .await;
    desk.invalid("no etag", "etag", outcome).await;
    let outcome = flags
        .update_flag_config(masked("rules", "stale".to_owned()))
        .await;
    let status = outcome.map(drop).expect_err("a strange etag");
    let codes = [Code::Aborted, Code::InvalidArgument];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a strange etag").await;

    let list = |page_size: i32, page_token: &str, order_by: &str| ListFlagsRequest {
        parent: desk.shop.name(),
        page_size,
        page_token: page_token.to_owned(),
        order_by: order_by.to_owned(),
        ..ListFlagsRequest::default()
    };
    let outcome = flags.list_flags(list(-1, "", "")).await;
    desk.invalid("a negative page", "page_size", outcome).await;
    let outcome = flags.list_flags(list(0, "not a token", "")).await;
    desk.invalid("a token that is none", "page_token", outcome)
        .await;
    let outcome = flags.list_flags(list(0, "", "colour")).await;
    desk.invalid("an order that is none", "order_by", outcome)
        .await;
}

#[tokio::test]
async fn what_the_state_of_things_forbids_is_refused_with_the_reason() {
    let mut desk = Desk::open().await;
    let change = rules(vec![rule("r", in_segment("beta"), serve("dark"))]);
    desk.production.configure("theme", change).await;
    let change = prerequisites(vec![prerequisite("banner", &["on"])]);
    desk.production.configure("theme", change).await;
    desk.rows_before = desk.server.database().number(ROWS).await;
    let admin = desk.server.admin();
    let demand = async |what: &str, expected: &str, outcome: Result<(), Status>| {
        let status = refused(outcome, Code::FailedPrecondition);
        assert_eq!(reason(&status), expected, "{what}");
        assert!(
            !subjects(&status).is_empty(),
            "{what}: the subject is named"
        );
        desk.assert_nothing_stored(what).await;
    };

    let request = ArchiveFlagRequest {
        name: desk.shop.flag_name("banner"),
        ..ArchiveFlagRequest::default()
    };
    let outcome = admin.flags().archive_flag(request).await.map(drop);
    demand("archiving a prerequisite", "PREREQUISITE_IN_USE", outcome).await;

    let definition = desk.shop.flag("theme").await;
    let request = UpdateFlagRequest {
        flag: Some(Flag {
            name: desk.shop.flag_name("theme"),
            variants: vec![variant("light", text("light"))],
            ..Flag::default()
        }),
        etag: definition.etag,
        ..UpdateFlagRequest::default()
    };
    let outcome = admin.flags().update_flag(request).await.map(drop);
    demand("removing a variant in use", "VARIANT_IN_USE", outcome).await;

    let name = desk.shop.segment_name("beta");
    let current = admin
        .segments()
        .get_segment(GetSegmentRequest { name: name.clone() })
        .await;
    let request = DeleteSegmentRequest {
        name,
        etag: current.unwrap().into_inner().segment.unwrap().etag,
        ..DeleteSegmentRequest::default()
    };
    let outcome = admin.segments().delete_segment(request).await.map(drop);
    demand("deleting a segment in use", "SEGMENT_IN_USE", outcome).await;
}

#[tokio::test]
async fn a_key_that_differs_by_case_alone_is_taken() {
    let desk = Desk::open().await;
    let request = CreateFlagRequest {
        parent: desk.shop.name(),
        flag: Some(boolean_flag("Theme")),
        ..CreateFlagRequest::default()
    };
    let outcome = desk.server.admin().flags().create_flag(request).await;
    let status = refused(outcome, Code::AlreadyExists);
    assert_eq!(reason(&status), "RESOURCE_EXISTS");
    desk.assert_nothing_stored("a key that is taken").await;
    let request = CreateSegmentRequest {
        parent: desk.shop.name(),
        segment: Some(Segment {
            key: "BETA".to_owned(),
            ..Segment::default()
        }),
        ..CreateSegmentRequest::default()
    };
    let outcome = desk.server.admin().segments().create_segment(request).await;
    refused(outcome, Code::AlreadyExists);
    desk.assert_nothing_stored("a segment's key that is taken")
        .await;
}

#[tokio::test]
async fn an_item_over_its_limit_is_refused() {
    let desk = Desk::open().await;
    // 64 conditions of 1,000 long values: within each single limit, but the
    // item as a whole is over its own.
    let values: Vec<String> = (0..1_000).map(|n| format!("{n:0>200}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let large = |n: usize| rule(&format!("r{n}"), equals("a", &values), serve("dark"));
    let change = rules((0..3).map(large).collect());
    let request = desk.production.configure_request("theme", change).await;

    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;

    let status = outcome.map(drop).expect_err("an item of 600 KB");
    let codes = [Code::InvalidArgument, Code::FailedPrecondition];
    assert!(codes.contains(&status.code()), "{status:?}");
    let named = !fields(&status).is_empty() || !subjects(&status).is_empty();
    assert!(named, "what is too large is named: {status:?}");
    desk.assert_nothing_stored("an item over its limit").await;
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let desk = Desk::open().await;
    let create = |kind: AccessKeyKind, environments: &[&str]| CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: kind.into(),
            environments: environments.iter().map(|&name| name.to_owned()).collect(),
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let mut keys = desk.server.admin().api_keys();
    let production = desk.production.name.as_str();
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Unspecified, &[production]))
        .await;
    desk.invalid("no kind", "api_key.kind", outcome).await;
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Server, &[]))
        .await;
    desk.invalid("no environment", "api_key.environments", outcome)
        .await;
    let twice = create(
        AccessKeyKind::Server,
        &[production, "projects/shop/environments/b"],
    );
    let outcome = keys.create_api_key(twice).await;
    desk.invalid(
        "a server key of two environments",
        "api_key.environments",
        outcome,
    )
    .await;
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Relay, &["production"]))
        .await;
    desk.invalid("a malformed environment", "api_key.environments", outcome)
        .await;
}

#[tokio::test]
async fn a_segment_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let mut segments = desk.server.admin().segments();
    let name = desk.production.segment_name("beta");
    let current = segments
        .get_segment_config(GetSegmentConfigRequest { name: name.clone() })
        .await;
    let etag = current.unwrap().into_inner().segment_config.unwrap().etag;
    let update = |condition| burgee_proto::admin::v1::UpdateSegmentConfigRequest {
        segment_config: Some(SegmentConfig {
            name: name.clone(),
            condition: Some(condition),
            ..SegmentConfig::default()
        }),
        etag: etag.clone(),
        ..Default::default()
    };
    let nested = update(in_segment("beta"));
    let outcome = segments.update_segment_config(nested).await;
    desk.invalid("a segment in a segment", "condition", outcome)
        .await;
    let empty = update(Condition { kind: None });
    let outcome = segments.update_segment_config(empty).await;
    desk.invalid("an empty condition", "condition", outcome)
        .await;
}
