//! Patterns, against the crate `regex`.

use burgee_evaluator::pattern::{NORMAL_FORM_BYTES_MAX, PATTERN_BYTES_MAX, normalise};
use regex::{Error, Regex};

/// The first line is a pattern, the rest is text to find it in.
pub fn patterns(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    let (pattern, haystack) = input.split_once('\n').unwrap_or((input, ""));
    let Ok(normal) = normalise(pattern) else {
        return;
    };
    assert!(pattern.len() <= PATTERN_BYTES_MAX);
    assert!(normal.len() <= NORMAL_FORM_BYTES_MAX);
    let compiled = Regex::new(&normal).expect("a normal form compiles");
    assert_eq!(
        compiled.captures_len(),
        1,
        "{normal} has groups that capture"
    );
    if normal.len() <= PATTERN_BYTES_MAX {
        assert_eq!(normalise(&normal).as_ref(), Ok(&normal));
    }
    match Regex::new(pattern) {
        Ok(written) => {
            if reads_alike(pattern, haystack) {
                let (found, wanted) = (compiled.find(haystack), written.find(haystack));
                assert_eq!(
                    found.map(|it| it.range()),
                    wanted.map(|it| it.range()),
                    "{pattern} {normal}"
                );
            }
        }
        // With all of Unicode in each `\w` it may be.
        Err(Error::CompiledTooBig(_)) => {}
        Err(error) => panic!("{pattern} is no pattern: {error}"),
    }
}

/// Whether the crate `regex` means what Burgee does. It knows more letters,
/// digits and blanks in `\w \d \s`, and folds more than A to Z.
fn reads_alike(pattern: &str, haystack: &str) -> bool {
    let folds = pattern.starts_with("(?i)");
    let shorthands = ["\\w", "\\d", "\\s"];
    let may_have_shorthand = shorthands.iter().any(|it| pattern.contains(it));
    if !folds && !may_have_shorthand {
        return true;
    }
    let is_plain = |text: &str| text.is_ascii() && !text.contains('\u{b}');
    is_plain(haystack) && (!folds || pattern.is_ascii())
}
