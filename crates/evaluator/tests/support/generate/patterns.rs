//! Patterns as people write them.

use super::Generator;

const LITERALS: &[&str] = &[
    "a", "b", "Z", "0", "_", " ", "-", "&", "~", "}", "]", "é", "日", "\t",
];
const ESCAPES: &[&str] = &[
    "\\d", "\\w", "\\s", "\\t", "\\n", "\\r", "\\f", "\\.", "\\\\", "\\{", "\\]", "\\-", "\\/",
    "\\^", "\\&", "\\~",
];
const CLASS_MEMBERS: &[&str] = &[
    "a", "k", "_", ".", "$", "}", "é", "a-z", "Z-b", "0-9", "à-é", "\\--\\/", " ",
];
const QUANTIFIERS: &[&str] = &["*", "+", "?", "{0}", "{2}", "{1,}", "{0,3}"];
const CHARACTERS: &[char] = &[
    'a', 'b', 'K', 'z', 'Z', '0', '_', ' ', '-', '.', '&', '\t', '\n', '\u{b}', '\u{c}', 'é', '`',
    '{', '@', '[', '/', ':', '^',
];

impl Generator<'_> {
    /// A pattern within the grammar.
    pub(crate) fn pattern(&mut self) -> String {
        let fold = if self.once_in(4) { "(?i)" } else { "" };
        fold.to_owned() + &self.alternation(2)
    }

    /// Text that patterns may be found in.
    pub(crate) fn haystack(&mut self) -> String {
        let characters = self.some(8, |it| it.pick(CHARACTERS));
        characters.into_iter().collect()
    }

    fn alternation(&mut self, depth: usize) -> String {
        let mut pattern = self.branch(depth);
        while self.once_in(4) {
            pattern.push('|');
            pattern += &self.branch(depth);
        }
        pattern
    }

    fn branch(&mut self, depth: usize) -> String {
        let mut branch = self.piece(depth);
        let more = self.some(3, |it| it.piece(depth));
        branch.extend(more);
        branch
    }

    fn piece(&mut self, depth: usize) -> String {
        let mut piece = match self.below(8) {
            0..3 => self.pick(LITERALS).to_owned(),
            3 => return self.pick(&["^", "$"]).to_owned(),
            4 => ".".to_owned(),
            5 => self.pick(ESCAPES).to_owned(),
            6 if depth > 0 => {
                let open = self.pick(&["(", "(?:"]);
                format!("{open}{})", self.alternation(depth - 1))
            }
            _ => self.class(),
        };
        if self.once_in(3) {
            piece += self.pick(QUANTIFIERS);
        }
        piece
    }

    /// Members that are not empty; a `-` stands first or last.
    fn class(&mut self) -> String {
        let mut class = self.pick(&["[", "[^", "[-", "[^-"]).to_owned();
        class += self.pick(CLASS_MEMBERS);
        let more = self.some(3, |it| {
            let of = if it.once_in(3) {
                ESCAPES
            } else {
                CLASS_MEMBERS
            };
            it.pick(of)
        });
        class.extend(more);
        class += self.pick(&["]", "-]"]);
        class
    }
}
