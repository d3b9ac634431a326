//! Patterns as people write them, and the normal form that is shipped.
//!
//! Regular expression engines differ at the edges, so this small parser takes
//! only what reads the same in all of them, and writes it in one way: groups
//! that do not capture, ASCII classes for `\d \w \s` and `(?i)`, and every
//! literal metacharacter escaped.

use crate::problem::Problem;

/// Bytes of a pattern as it is written.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a pattern in normal form.
pub const NORMAL_FORM_BYTES_MAX: usize = 2048;
/// Literals, classes, points and anchors once counted repeats are unrolled.
pub const ATOMS_MAX: usize = 1000;

const METACHARACTERS: &[char] = &[
    '\\', '.', '^', '$', '|', '(', ')', '[', ']', '{', '}', '*', '+', '?',
];
const CLASS_METACHARACTERS: &[char] = &['\\', '[', ']', '^', '-', '&', '~'];
const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')];
const SPACE: &[(char, char)] = &[
    ('\t', '\t'),
    ('\n', '\n'),
    ('\u{c}', '\u{c}'),
    ('\r', '\r'),
    (' ', ' '),
];

/// Parses a pattern and writes its normal form.
///
/// # Errors
///
/// What is outside the grammar, and what to write instead; or the limit that it
/// exceeds.
pub fn normalise(pattern: &str) -> Result<String, Problem> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return refuse(format!("longer than {PATTERN_BYTES_MAX} bytes; shorten it"));
    }
    let (ignore_case, rest) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut parser = Parser {
        rest,
        normal: String::with_capacity(2 * pattern.len()),
        ignore_case,
    };
    let atoms = parser.alternation()?;
    if parser.peek().is_some() {
        return refuse("a `)` without its `(`; write `\\)` for the character");
    }
    if atoms > ATOMS_MAX {
        return refuse(format!(
            "more than {ATOMS_MAX} atoms once repeats are unrolled"
        ));
    }
    if parser.normal.len() > NORMAL_FORM_BYTES_MAX {
        return refuse(format!(
            "its normal form exceeds {NORMAL_FORM_BYTES_MAX} bytes"
        ));
    }
    Ok(parser.normal)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::new("", message))
}

/// Reads `rest` and writes `normal`; each rule gives its number of atoms. The
/// bound on the pattern's length bounds the recursion.
struct Parser<'a> {
    rest: &'a str,
    normal: String,
    ignore_case: bool,
}

/// One member of a class: a range, or a shorthand such as `\d`.
enum Member {
    Character(char),
    Shorthand(&'static [(char, char)]),
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Branches, up to a `)` or the end.
    fn alternation(&mut self) -> Result<usize, Problem> {
        let mut atoms = self.branch()?;
        while self.eat("|") {
            self.normal.push('|');
            atoms += self.branch()?;
        }
        Ok(atoms)
    }

    fn branch(&mut self) -> Result<usize, Problem> {
        let mut atoms = 0;
        while let Some(next) = self.peek().filter(|next| !matches!(next, '|' | ')')) {
            self.next();
            let piece = self.atom(next)?;
            let times = self.quantifier(matches!(next, '^' | '$'))?;
            atoms += piece.saturating_mul(times);
        }
        if atoms == 0 {
            return refuse("an empty pattern, group or branch; write what it should match");
        }
        Ok(atoms)
    }

    fn atom(&mut self, first: char) -> Result<usize, Problem> {
        match first {
            '(' => return self.group(),
            '[' => self.class()?,
            '.' | '^' | '$' => self.normal.push(first),
            '*' | '+' | '?' => return refuse("a quantifier with nothing before it, or two"),
            '{' => return refuse("write `\\{` for the character `{`"),
            '\\' => match self.escape()? {
                Member::Character(character) => self.literal(character),
                Member::Shorthand(ranges) => self.write_class(false, ranges),
            },
            literal => self.literal(literal),
        }
        Ok(1)
    }

    fn group(&mut self) -> Result<usize, Problem> {
        if !self.eat("?:") && self.peek() == Some('?') {
            return refuse("groups are `( )` or `(?: )`; `(?i)` stands at the start alone");
        }
        self.normal.push_str("(?:");
        let atoms = self.alternation()?;
        if !self.eat(")") {
            return refuse("a `(` without its `)`; write `\\(` for the character");
        }
        self.normal.push(')');
        Ok(atoms)
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Member, Problem> {
        Ok(match self.next() {
            Some('d') => Member::Shorthand(DIGITS),
            Some('w') => Member::Shorthand(WORD),
            Some('s') => Member::Shorthand(SPACE),
            Some('t') => Member::Character('\t'),
            Some('n') => Member::Character('\n'),
            Some('r') => Member::Character('\r'),
            Some('f') => Member::Character('\u{c}'),
            Some(it) if it.is_ascii_punctuation() && !matches!(it, '<' | '>') => {
                Member::Character(it)
            }
            _ => return refuse("a backslash goes before punctuation, or d w s t n r f"),
        })
    }

    /// Reads a quantifier, and gives how often it repeats an atom when it is
    /// unrolled.
    fn quantifier(&mut self, after_anchor: bool) -> Result<usize, Problem> {
        let times = match self.peek() {
            Some(simple @ ('*' | '+' | '?')) => {
                self.next();
                self.normal.push(simple);
                1
            }
            Some('{') => {
                self.next();
                self.counted()?
            }
            _ => return Ok(1),
        };
        if after_anchor {
            return refuse("`^` and `$` cannot be repeated");
        }
        if matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
            return refuse("quantifiers cannot be stacked or lazy; use a group, or one of them");
        }
        Ok(times)
    }

    /// `n}`, `n,}` or `n,m}`.
    fn counted(&mut self) -> Result<usize, Problem> {
        let from = self.number()?;
        let (text, times) = if !self.eat(",") {
            (format!("{{{from}}}"), from)
        } else if self.peek() == Some('}') {
            (format!("{{{from},}}"), from)
        } else {
            let to = self.number()?;
            if to < from {
                return refuse("a repeat `{n,m}` needs n at most m");
            }
            (format!("{{{from},{to}}}"), to)
        };
        if !self.eat("}") {
            return refuse("a repeat is `{n}`, `{n,}` or `{n,m}`; write `\\{` for the character");
        }
        self.normal.push_str(&text);
        Ok(times.max(1))
    }

    /// Decimal, without leading zeros, at most [`ATOMS_MAX`].
    fn number(&mut self) -> Result<usize, Problem> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if number.len() > 1 && number.starts_with('0') {
            return refuse("a repeat is written without leading zeros");
        }
        match number.parse() {
            Ok(number) if number <= ATOMS_MAX => Ok(number),
            Ok(_) => refuse(format!("a repeat is at most {ATOMS_MAX}")),
            Err(_) => refuse("a repeat is `{n}`, `{n,}` or `{n,m}`; write `\\{` for the character"),
        }
    }

    /// A class, after its `[`.
    fn class(&mut self) -> Result<(), Problem> {
        let negated = self.eat("^");
        let mut ranges = Vec::new();
        if self.eat("-") {
            if self.peek() == Some('-') {
                return refuse("no `--` in a class; write `\\-`");
            }
            ranges.push(('-', '-'));
        }
        while !self.eat("]") {
            if self.eat("-]") {
                ranges.push(('-', '-'));
                break;
            }
            match self.class_member()? {
                Member::Shorthand(shorthand) => ranges.extend_from_slice(shorthand),
                Member::Character(from) => ranges.push((from, self.class_range(from)?)),
            }
        }
        if ranges.is_empty() {
            return refuse("an empty class; write `\\]` for the character `]`");
        }
        self.write_class(negated, &ranges);
        Ok(())
    }

    fn class_member(&mut self) -> Result<Member, Problem> {
        for doubled in ["&&", "~~"] {
            if self.rest.starts_with(doubled) {
                return refuse(format!("no `{doubled}` in a class; escape each"));
            }
        }
        match self.next() {
            None => refuse("a `[` without its `]`; write `\\[` for the character"),
            Some('[') => refuse("no `[` in a class; write `\\[`"),
            Some('-') => refuse("a `-` stands first or last in a class; else write `\\-`"),
            Some('\\') => self.escape(),
            Some(character) => Ok(Member::Character(character)),
        }
    }

    /// The end of a range that may begin with `from`; else `from` itself.
    fn class_range(&mut self, from: char) -> Result<char, Problem> {
        if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
            return Ok(from);
        }
        self.next();
        match self.class_member()? {
            Member::Character(to) if from <= to => Ok(to),
            Member::Character(_) => refuse("a range in a class ends before it begins"),
            Member::Shorthand(_) => refuse("a range in a class ends with a character"),
        }
    }

    fn literal(&mut self, literal: char) {
        if self.ignore_case && literal.is_ascii_alphabetic() {
            self.write_class(false, &[(literal, literal)]);
        } else {
            write_escaped(&mut self.normal, literal, METACHARACTERS);
        }
    }

    fn write_class(&mut self, negated: bool, ranges: &[(char, char)]) {
        self.normal.push_str(if negated { "[^" } else { "[" });
        for range in ranges {
            write_range(&mut self.normal, *range);
            if self.ignore_case {
                for other in other_case(*range) {
                    if !ranges.contains(&other) {
                        write_range(&mut self.normal, other);
                    }
                }
            }
        }
        self.normal.push(']');
    }
}

/// The letters of a range in their other case.
fn other_case((from, to): (char, char)) -> impl Iterator<Item = (char, char)> {
    let overlap = move |first: char, last: char| {
        let (from, to) = (from.max(first), to.min(last));
        (from <= to).then_some((from, to))
    };
    let lowered =
        overlap('A', 'Z').map(|(from, to)| (from.to_ascii_lowercase(), to.to_ascii_lowercase()));
    let raised =
        overlap('a', 'z').map(|(from, to)| (from.to_ascii_uppercase(), to.to_ascii_uppercase()));
    lowered.into_iter().chain(raised)
}

fn write_range(normal: &mut String, (from, to): (char, char)) {
    write_escaped(normal, from, CLASS_METACHARACTERS);
    if from != to {
        normal.push('-');
        write_escaped(normal, to, CLASS_METACHARACTERS);
    }
}

fn write_escaped(normal: &mut String, character: char, metacharacters: &[char]) {
    match character {
        '\t' => normal.push_str("\\t"),
        '\n' => normal.push_str("\\n"),
        '\r' => normal.push_str("\\r"),
        '\u{c}' => normal.push_str("\\f"),
        _ => {
            if metacharacters.contains(&character) {
                normal.push('\\');
            }
            normal.push(character);
        }
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
