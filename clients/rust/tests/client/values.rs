//! Values, details and explanations.

use std::fmt::Debug;
use std::time::Duration;

use burgee::proto::sync::v1::{Item, ItemKind};
use burgee::proto::types::v1::{Flag, FlagType, Serve, Variant, serve};
use burgee::{Client, Context, Details, ErrorCode, Position, Reason};
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::scripted::{Scripted, at, flag, item, state};
use super::{alice, builder, connected};

fn json_value(value: &Json) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.iter().map(json_value).collect(),
        }),
        other => panic!("not needed here: {other}"),
    };
    prost_types::Value { kind: Some(kind) }
}

/// A flag that has one value for everybody.
fn constant(key: &str, flag_type: FlagType, value: &Json) -> Item {
    let flag = Flag {
        key: key.into(),
        r#type: flag_type.into(),
        variants: vec![Variant {
            key: "only".into(),
            value: Some(json_value(value)),
            ..Variant::default()
        }],
        enabled: true,
        fallthrough: Some(Serve {
            kind: Some(serve::Kind::Variant("only".into())),
        }),
        ..Flag::default()
    };
    item(ItemKind::Flag, key, 1, flag.encode_to_vec())
}

#[tokio::test]
async fn values_are_typed_and_details_tell_how_they_came_about() {
    let upstream = Scripted::start().await;
    let ruleset = state(
        3,
        &[
            flag("on", true, 1),
            constant("text", FlagType::String, &"hello".into()),
            constant("third", FlagType::Number, &(1.0 / 3.0).into()),
            constant("dozen", FlagType::Number, &12.into()),
            constant("list", FlagType::Json, &json!([1, "two"])),
        ],
    );
    let (client, _stream) = connected(&upstream, &ruleset).await;
    let alice = alice();

    assert!(client.bool("on", &alice, false));
    assert_eq!(client.string("text", &alice, ""), "hello");
    assert_eq!(client.number("third", &alice, 0.0), 1.0 / 3.0);
    assert_eq!(client.integer("dozen", &alice, 0), 12);
    assert_eq!(client.json("list", &alice, Json::Null), json!([1, "two"]));

    let details = client.bool_details("on", &alice, false);
    assert_eq!(details.variant.as_deref(), Some("on"));
    assert_eq!(details.reason, Reason::Static);
    assert_eq!((details.rule_id, details.error_code), (None, None));
    assert_eq!(details.position, Some(at(3)));
}

/// What each accessor gives in JSON, with its details, and the caller's default:
/// a value that no flag has.
fn by_every_accessor(
    client: &Client,
    flag: &str,
    context: &Context,
) -> [(&'static str, Details<Json>, Json); 5] {
    let it = client;
    let object = json!({"default": true});
    let plain = it.json(flag, context, object.clone());
    let text = it.string(flag, context, "default");
    [
        (
            "bool",
            both(
                it.bool(flag, context, true),
                it.bool_details(flag, context, true),
            ),
            true.into(),
        ),
        (
            "string",
            both(text, it.string_details(flag, context, "default")),
            "default".into(),
        ),
        (
            "number",
            both(
                it.number(flag, context, -7.5),
                it.number_details(flag, context, -7.5),
            ),
            (-7.5).into(),
        ),
        (
            "integer",
            both(
                it.integer(flag, context, -7),
                it.integer_details(flag, context, -7),
            ),
            (-7).into(),
        ),
        (
            "json",
            both(plain, it.json_details(flag, context, object.clone())),
            object,
        ),
    ]
}

/// An accessor gives what its details give.
fn both<T: Into<Json> + PartialEq + Debug>(plain: T, details: Details<T>) -> Details<Json> {
    assert_eq!(plain, details.value);
    Details {
        value: details.value.into(),
        variant: details.variant,
        reason: details.reason,
        rule_id: details.rule_id,
        error_code: details.error_code,
        position: details.position,
    }
}

#[tokio::test]
async fn whatever_is_wrong_every_accessor_gives_the_callers_default() {
    let upstream = Scripted::start().await;
    let flags = [
        item(ItemKind::Flag, "broken", 1, b"\xff\xff".to_vec()),
        flag("bool", false, 1),
        constant("string", FlagType::String, &"hello".into()),
        constant("number", FlagType::Number, &(1.0 / 3.0).into()),
        constant("integer", FlagType::Number, &9_007_199_254_740_992.0.into()),
        constant("json", FlagType::Json, &json!([1])),
    ];
    let (client, _stream) = connected(&upstream, &state(3, &flags)).await;
    let too_long = Context::new("x".repeat(2_000));
    assert!(too_long.problem().is_some());

    let demand = |flag: &str, context: &Context, code: ErrorCode, of: &dyn Fn(&str) -> bool| {
        let given = by_every_accessor(&client, flag, context);
        for (accessor, details, default) in given.iter().filter(|(name, ..)| of(name)) {
            let what = format!("{accessor} of {flag}");
            assert_eq!(details.error_code, Some(code), "{what}");
            assert_eq!(details.reason, Reason::Error, "{what}");
            assert_eq!(
                (&details.value, &details.variant),
                (default, &None),
                "{what}"
            );
            assert_eq!(details.position, Some(at(3)), "{what}");
        }
    };
    demand("none", &alice(), ErrorCode::FlagNotFound, &|_| true);
    demand("broken", &alice(), ErrorCode::ParseError, &|_| true);
    for flag in ["bool", "string", "number", "integer", "json", "none"] {
        demand(flag, &too_long, ErrorCode::InvalidContext, &|_| true);
    }
    // 2^53 and 1/3 are numbers, and no integers.
    let fits = |flag: &str, accessor: &str| match flag {
        "number" | "integer" => accessor == "number",
        _ => accessor == flag,
    };
    for flag in ["bool", "string", "number", "integer", "json"] {
        let mismatched = |accessor: &str| !fits(flag, accessor);
        demand(flag, &alice(), ErrorCode::TypeMismatch, &mismatched);
        let given = by_every_accessor(&client, flag, &alice());
        for (accessor, details, default) in given.iter().filter(|(it, ..)| fits(flag, it)) {
            assert_eq!(details.error_code, None, "{accessor} of {flag}");
            assert_ne!(details.value, *default, "{accessor} of {flag}");
        }
    }
}

#[tokio::test]
async fn an_explanation_tells_what_the_accessors_give_and_why() {
    let upstream = Scripted::start().await;
    let (client, _stream) = connected(&upstream, &state(3, &[flag("on", true, 1)])).await;

    let told = client.explain("on", &alice());

    let evaluation = told.evaluation.clone().unwrap();
    assert_eq!(evaluation.variant, "on");
    assert_eq!(evaluation.position, Some(at(3)));
    let Position { epoch, revision } = at(3);
    assert_eq!(
        told.to_string(),
        format!(
            "on = true (variant on): STATIC, at ({epoch}, {revision})\n  fallthrough serves on"
        )
    );

    let told = client.explain("on", &Context::new("x".repeat(2_000)));
    let evaluation = told.evaluation.unwrap();
    assert_eq!(evaluation.error_code(), ErrorCode::InvalidContext);
    assert_eq!(evaluation.position, Some(at(3)));
    assert!(told.problem.contains("1024"), "{}", told.problem);

    let told = client.explain("none", &alice());
    let evaluation = told.evaluation.unwrap();
    assert_eq!(evaluation.error_code(), ErrorCode::FlagNotFound);
    assert!(!told.problem.is_empty() && told.flag.is_none());
}

#[tokio::test]
async fn without_a_ruleset_every_accessor_gives_the_callers_default() {
    let upstream = Scripted::start().await;
    let unready = builder(&upstream.url()).init_timeout(Duration::from_millis(1));
    let client = unready.connect().await.unwrap();
    for context in [alice(), Context::new("x".repeat(2_000))] {
        for (accessor, details, default) in by_every_accessor(&client, "on", &context) {
            let code = Some(ErrorCode::ProviderNotReady);
            assert_eq!(
                (details.value, details.error_code),
                (default, code),
                "{accessor}"
            );
            assert_eq!((details.reason, details.position), (Reason::Error, None));
        }
        assert_eq!(
            client.explain("on", &context).to_string(),
            "on: ERROR PROVIDER_NOT_READY: there is no ruleset yet"
        );
    }
}
