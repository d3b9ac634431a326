use proptest::prelude::*;
use regex::Regex;

use super::*;

#[test]
fn the_normal_form_reads_the_same_everywhere() {
    for (written, normal) in [
        ("abc", "abc"),
        ("^a.c$", "^a.c$"),
        ("(a|b)(?:c)", "(?:a|b)(?:c)"),
        ("a*b+c?d{2}e{2,}f{2,3}g{0}", "a*b+c?d{2}e{2,}f{2,3}g{0}"),
        (r"\d\w\s", r"[0-9][0-9A-Za-z_][\t\n\f\r ]"),
        (r"[\d.x-z]", "[0-9.x-z]"),
        ("[-a]", r"[\-a]"),
        ("[a-]", r"[a\-]"),
        ("[^-a]", r"[^\-a]"),
        ("[-]", r"[\-]"),
        (r"[a\-z]", r"[a\-z]"),
        (r"[\]\[\^&~^]", r"[\]\[\^\&\~\^]"),
        ("(?i)aB1", "[aA][Bb]1"),
        ("(?i)[a-c_]", "[a-cA-C_]"),
        ("(?i)[^Z-b]", "[^Z-bz-zA-B]"),
        (r"(?i)\w", "[0-9A-Za-z_]"),
        ("a}b]", r"a\}b\]"),
        (r"\.\/\@\-", r"\./@-"),
        ("\t\\t", r"\t\t"),
        ("é日", "é日"),
        ("(?i)é", "é"),
    ] {
        let normal = normal.replace("z-zA-B", "zA-B");
        assert_eq!(normalise(written).as_deref(), Ok(&*normal), "{written}");
        assert!(Regex::new(&normal).is_ok(), "{normal}");
    }
}

#[test]
fn what_engines_read_differently_is_refused() {
    for pattern in [
        "",
        "()",
        "(?:)",
        "a|",
        "|a",
        "(a|)",
        "(?i)",
        "a||b", // nothing to match
        "*a",
        "a**",
        "a+?",
        "a*?",
        "a??",
        "a{2}{3}",
        "a{2}?",
        "^*",
        "$+",
        "^{2}", // quantifiers
        "a{",
        "{",
        "a{,2}",
        "a{02}",
        "a{ 2}",
        "a{2",
        "a{3,2}",
        "a{x}",
        "a{1001}",
        "a{2,x}",
        "(a",
        "a)",
        "(?<n>a)",
        "(?P<n>a)",
        "(?=a)",
        "(?!a)",
        "a(?i)b",
        "(?s)a",
        "(?", // groups
        r"\D",
        r"\W",
        r"\S",
        r"\b",
        r"\B",
        r"\A",
        r"\z",
        r"\p{L}",
        r"\1",
        r"\x41",
        r"\u0041",
        r"\<",
        r"\>",
        r"\",
        r"\é",
        r"\a",
        r"\v",
        r"\Q", // escapes
        "[",
        "[]",
        "[]a]",
        "[^]",
        "[a",
        "[a[b]",
        "[[:alpha:]]",
        "[a&&b]",
        "[a--b]",
        "[a~~b]",
        "[--a]",
        "[a-c-e]",
        "[z-a]",
        r"[a-\d]",
        r"[\d-a]",
        r"[\b]", // classes
    ] {
        assert!(
            normalise(pattern).is_err(),
            "{pattern:?} {:?}",
            normalise(pattern)
        );
    }
}

#[test]
fn each_limit_holds_at_its_edge() {
    assert!(normalise(&"a".repeat(PATTERN_BYTES_MAX)).is_ok());
    assert!(normalise(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    assert!(normalise("a{1000}").is_ok());
    assert!(normalise("a{1000}b").is_err());
    assert!(normalise("(a{10}){100}").is_ok());
    assert!(normalise("(a{10}b){100}").is_err());
    assert!(normalise("((((a{1000}){1000}){1000}){1000}){1000}").is_err());
    assert!(normalise(&r"\w".repeat(128)).is_ok());
    let wide = "\\s".repeat(125);
    assert!(normalise(&format!("(?i){wide}")).is_ok());
    let wider = format!("(?i)[{}]", "A-z".repeat(80));
    assert!(normalise(&wider).is_ok());
    assert!(normalise(&"(".repeat(128)).is_err());
}

#[test]
fn the_heaviest_patterns_still_compile() {
    let scattered: String = ('\u{100}'..).step_by(7).take(100).collect();
    for pattern in [
        "[^a]{1000}",
        "(.{10}[^é]?){90}",
        &format!("[^{scattered}]{{1000}}"),
    ] {
        let normal = normalise(pattern).unwrap();
        assert!(Regex::new(&normal).is_ok(), "{pattern}");
    }
}

/// Text made of what matters to the grammar.
fn pattern() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a", "B", "é", "0", ".", "^", "$", "|", "(", ")", "(?:", "[", "]", "[^", "-", "&", "~",
        "{", "}", "{2}", "{1,2}", ",", "*", "+", "?", "\\", "\\d", "\\w", "\\s", "\\-", "\\.",
        "\\]", "\\t", "a-z", " ", "\n",
    ]);
    let body = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    (any::<bool>(), body).prop_map(|(fold, body)| if fold { format!("(?i){body}") } else { body })
}

proptest! {
    #[test]
    fn a_normal_form_compiles_and_is_its_own_normal_form(pattern in pattern()) {
        if let Ok(normal) = normalise(&pattern) {
            prop_assert!(Regex::new(&normal).is_ok(), "{}", normal);
            if normal.len() <= PATTERN_BYTES_MAX {
                prop_assert_eq!(normalise(&normal), Ok(normal));
            }
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(pattern in any::<String>()) {
        if let Ok(normal) = normalise(&pattern) {
            prop_assert!(Regex::new(&normal).is_ok(), "{}", normal);
        }
    }

    #[test]
    fn the_normal_form_finds_what_was_written(pattern in pattern(), text in "[a-cA-C0é.\\- \n]{0,6}") {
        // Rust reads the grammar itself alike, but for Unicode in the shorthands
        // and in (?i), which the text here does not have.
        if let (Ok(normal), Ok(written)) = (normalise(&pattern), Regex::new(&pattern)) {
            let normal = Regex::new(&normal).unwrap();
            let ascii: String = text.chars().filter(char::is_ascii).collect();
            prop_assert_eq!(normal.is_match(&ascii), written.is_match(&ascii), "{}", pattern);
        }
    }
}
