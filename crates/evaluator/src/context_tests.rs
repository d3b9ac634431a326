use prost_types::{ListValue, Struct};

use super::*;
use crate::condition::Names;

fn text(text: &str) -> Value {
    Kind::StringValue(text.to_owned()).into()
}

fn number(number: f64) -> Value {
    Kind::NumberValue(number).into()
}

fn object(fields: &[(&str, Value)]) -> Value {
    Kind::StructValue(fields_of(fields)).into()
}

fn list(values: Vec<Value>) -> Value {
    Kind::ListValue(ListValue { values }).into()
}

fn fields_of(fields: &[(&str, Value)]) -> Struct {
    Struct {
        fields: fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    }
}

fn flatten(fields: &[(&str, Value)]) -> Result<Context, InvalidContext> {
    Context::new(&EvaluationContext {
        targeting_key: String::new(),
        attributes: Some(fields_of(fields)),
    })
}

fn read(context: &Context, name: &str) -> Option<Attribute> {
    context.get(&Names::default().name(name)).cloned()
}

fn one(scalar: Scalar) -> Option<Attribute> {
    Some(Attribute::One(scalar))
}

#[test]
fn nested_objects_become_dotted_names_and_are_no_attributes() {
    let context = flatten(&[("user", object(&[("plan", text("pro"))]))]).unwrap();
    assert_eq!(read(&context, "user.plan"), one(Scalar::text("pro")));
    assert_eq!(read(&context, "user"), None);
}

#[test]
fn names_of_one_hash_are_told_apart() {
    let (name, other) = ("name-34583", "name-68122");
    assert_eq!(hash_of_name(name), hash_of_name(other));
    let both = flatten(&[(name, number(1.0)), (other, number(2.0))]).unwrap();
    assert_eq!(read(&both, name), one(Scalar::number(1.0)));
    assert_eq!(read(&both, other), one(Scalar::number(2.0)));
    let one_of_them = flatten(&[(other, number(2.0))]).unwrap();
    assert_eq!(read(&one_of_them, name), None);
}

#[test]
fn a_key_written_with_dots_beats_a_nested_one() {
    let context = flatten(&[
        (
            "a",
            object(&[("b", object(&[("c", number(1.0))])), ("b.c", number(2.0))]),
        ),
        ("a.b", object(&[("c", number(3.0))])),
    ])
    .unwrap();
    assert_eq!(read(&context, "a.b.c"), one(Scalar::number(3.0)));

    let null_is_not_written = flatten(&[
        ("a", object(&[("b", number(1.0))])),
        ("a.b", Kind::NullValue(0).into()),
    ])
    .unwrap();
    assert_eq!(read(&null_is_not_written, "a.b"), one(Scalar::number(1.0)));
}

#[test]
fn lists_drop_what_is_no_scalar_and_may_end_empty() {
    let context = flatten(&[
        (
            "kept",
            list(vec![
                text("a"),
                list(vec![]),
                number(f64::NAN),
                object(&[("x", text("y"))]),
            ]),
        ),
        ("empty", list(vec![Kind::NullValue(0).into()])),
    ])
    .unwrap();
    let kept = Attribute::List([Scalar::text("a")].into());
    assert_eq!(read(&context, "kept"), Some(kept));
    assert_eq!(read(&context, "empty"), Some(Attribute::List([].into())));
}

#[test]
fn nan_and_infinities_are_absent() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let context = flatten(&[("a", number(odd))]).unwrap();
        assert_eq!(read(&context, "a"), None);
    }
}

#[test]
fn key_texts_are_strings_and_integral_numbers() {
    for (value, wanted) in [
        (text("a"), Some("a")),
        (text(""), None),
        (number(-7.0), Some("-7")),
        (number(-0.0), Some("0")),
        (number(1e15), Some("1000000000000000")),
        (number(9_007_199_254_740_991.0), Some("9007199254740991")),
        (number(9_007_199_254_740_992.0), None),
        (number(0.5), None),
        (Kind::BoolValue(true).into(), None),
    ] {
        let context = flatten(&[("a", value.clone())]).unwrap();
        let attribute = read(&context, "a").unwrap();
        assert_eq!(attribute.key_text(), wanted, "{value:?}");
        assert_eq!(attribute.key_texts().next(), wanted, "{value:?}");
    }
    let context = flatten(&[("a", list(vec![text("x"), number(2.0)]))]).unwrap();
    let attribute = read(&context, "a").unwrap();
    assert_eq!(attribute.key_text(), None);
    assert_eq!(attribute.key_texts().collect::<Vec<_>>(), ["x", "2"]);
}

#[test]
fn the_targeting_key_has_a_name_and_an_attribute_of_that_name_steps_in() {
    let attributes = fields_of(&[("targetingKey", text("attribute"))]);
    let mut message = EvaluationContext {
        targeting_key: String::new(),
        attributes: Some(attributes),
    };
    let without = Context::new(&message).unwrap();
    assert_eq!(without.get(&Name::TargetingKey), None);
    let either = Names::default().name(Name::TARGETING_KEY);
    let attribute = without.get(&either);
    assert_eq!(attribute.cloned(), one(Scalar::text("attribute")));
    message.targeting_key = "alice".into();
    let with = Context::new(&message).unwrap();
    let key = with.get(&either);
    assert_eq!(key.cloned(), one(Scalar::text("alice")));
}

fn nested(depth: usize, innermost: Value) -> Value {
    (1..depth).fold(innermost, |inner, _| object(&[("k", inner)]))
}

#[test]
fn each_limit_holds_at_its_edge() {
    use InvalidContext::*;
    let names = |count: usize| -> Vec<(String, Value)> {
        (0..count)
            .map(|index| (index.to_string(), number(1.0)))
            .collect()
    };
    let many = |count: usize| {
        let named = names(count);
        let borrowed: Vec<_> = named
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        flatten(&borrowed).err()
    };
    assert_eq!(many(NAMES_MAX), None);
    assert_eq!(many(NAMES_MAX + 1), Some(TooManyNames));

    let name = |bytes: usize| flatten(&[(&"n".repeat(bytes), number(1.0))]).err();
    assert_eq!(name(NAME_BYTES_MAX), None);
    assert_eq!(name(NAME_BYTES_MAX + 1), Some(NameTooLong));

    let string = |bytes: usize| flatten(&[("a", list(vec![text(&"s".repeat(bytes))]))]).err();
    assert_eq!(string(STRING_BYTES_MAX), None);
    assert_eq!(string(STRING_BYTES_MAX + 1), Some(StringTooLong));

    let elements = |count: usize| flatten(&[("a", list(vec![number(1.0); count]))]).err();
    assert_eq!(elements(LIST_ELEMENTS_MAX), None);
    assert_eq!(elements(LIST_ELEMENTS_MAX + 1), Some(ListTooLong));

    let total = |last: usize| {
        let mut values = vec![text(&"s".repeat(STRING_BYTES_MAX)); 7];
        values.push(text(&"s".repeat(last)));
        flatten(&[("a", list(values))]).err()
    };
    assert_eq!(total(STRING_BYTES_MAX - 1), None);
    assert_eq!(total(STRING_BYTES_MAX), Some(TooLarge));

    let depth = |keys: usize, innermost: Value| flatten(&[("k", nested(keys, innermost))]).err();
    assert_eq!(depth(PATH_KEYS_MAX, number(1.0)), None);
    assert_eq!(depth(PATH_KEYS_MAX, object(&[])), None);
    assert_eq!(
        depth(PATH_KEYS_MAX + 1, Kind::NullValue(0).into()),
        Some(TooDeep)
    );
    assert_eq!(depth(PATH_KEYS_MAX + 1, object(&[])), Some(TooDeep));
    assert_eq!(depth(90, number(1.0)), Some(TooDeep));

    let key = |bytes: usize| {
        let message = EvaluationContext {
            targeting_key: "k".repeat(bytes),
            attributes: None,
        };
        Context::new(&message).err()
    };
    assert_eq!(key(TARGETING_KEY_BYTES_MAX), None);
    assert_eq!(key(TARGETING_KEY_BYTES_MAX + 1), Some(TargetingKeyTooLong));
}

#[test]
fn a_fingerprint_names_what_was_flattened_and_not_how_it_was_written() {
    let nested = [(
        "user",
        object(&[("plan", text("pro")), ("age", number(7.0))]),
    )];
    let dotted = [
        ("user.age", number(7.0)),
        ("user.plan", text("pro")),
        ("nothing", Value::default()),
    ];
    let fingerprint = |fields: &[(&str, Value)]| flatten(fields).unwrap().fingerprint();
    assert_eq!(fingerprint(&nested), fingerprint(&dotted));
    let contexts: [&[(&str, Value)]; 12] = [
        &[],
        &[("a", text("b"))],
        &[("b", text("a"))],
        &[("ab", text(""))],
        &[("a", text("1"))],
        &[("a", number(1.0))],
        &[("a", Kind::BoolValue(true).into())],
        &[("a", list(vec![]))],
        &[("a", list(vec![text("b")]))],
        &[("a", list(vec![text("b"), text("c")]))],
        &[("a", list(vec![text("b")])), ("c", text(""))],
        &[("a", text("b")), ("c", text("d"))],
    ];
    let mut fingerprints: Vec<_> = contexts.into_iter().map(fingerprint).collect();
    let keyed = |key: &str| {
        let context = EvaluationContext {
            targeting_key: key.to_owned(),
            attributes: None,
        };
        Context::new(&context).unwrap().fingerprint()
    };
    fingerprints.extend([keyed("a"), keyed("b")]);
    fingerprints.push(fingerprint(&[("", text("a"))]));
    fingerprints.push(fingerprint(&[("targetingKey", text("a"))]));
    fingerprints.sort_unstable();
    assert_eq!(keyed(""), fingerprint(&[]));
    assert!(fingerprints.windows(2).all(|pair| pair[0] != pair[1]));
}
