//! A look at a GraphQL document before the parser sees it.
//!
//! The parser and the validation behind it recurse into nested values, selections and fragments, so a small text can overflow
//! the stack or be expanded without end. This scan is one pass over the bytes without recursion. It knows just enough of the
//! language (GraphQL October 2021, section 2) to bound what would be recursed into; whether the document is valid is not its
//! business. What it lets through may still be refused by the parser.
use moneta_kit::problem::Problem;
use std::collections::HashMap;

/// Bytes of a document.
const BYTES: usize = 16 << 10;
/// Names, numbers, texts and punctuation of a document.
const TOKENS: usize = 3_000;
/// Brackets of any kind that may be open at once. The introspection that tools send has 15.
const NESTING: usize = 24;
/// Operations and fragments of a document.
const DEFINITIONS: usize = 32;
/// Directives of a document.
const DIRECTIVES: usize = 64;
/// Tokens of a document when every fragment is written out where it is spread.
const EXPANDED: u64 = 6_000;
/// Looks at the schema in one document. Each costs as much as the schema is large, whatever is asked of it.
const INTROSPECTIONS: usize = 2;
/// Bytes of one name, number or text.
const TOKEN_BYTES: usize = 2_048;

/// Refuses what must not reach the parser.
pub(super) fn check(document: &str) -> Result<(), Problem> {
    if document.len() > BYTES {
        return Err(refused(format!("{} bytes", document.len()), format!("at most {BYTES} bytes")));
    }
    let mut reader = Reader::new(document);
    let mut outline = Outline::default();
    while let Some(token) = reader.next()? {
        outline.take(token)?;
    }
    outline.expand()
}

fn refused(value: impl std::fmt::Display, allowed: impl Into<String>) -> Problem {
    Problem::invalid("query", value, allowed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Open,
    Close,
    /// Three dots.
    Spread,
    Directive,
    Other,
}

/// Cuts a document into tokens.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    tokens: usize,
}

impl<'a> Reader<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0, tokens: 0 }
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, Problem> {
        self.skip_ignored();
        let rest = &self.text[self.at..];
        let Some(&first) = rest.as_bytes().first() else { return Ok(None) };
        self.tokens += 1;
        if self.tokens > TOKENS {
            return Err(refused(format!("more than {TOKENS} tokens"), format!("at most {TOKENS} tokens")));
        }
        let (length, token) = match first {
            b'{' | b'[' | b'(' => (1, Token::Open),
            b'}' | b']' | b')' => (1, Token::Close),
            b'@' => (1, Token::Directive),
            b'.' if rest.starts_with("...") => (3, Token::Spread),
            b'"' => (text_length(rest), Token::Other),
            byte if is_word(byte) || byte == b'-' => {
                let length =
                    rest.bytes().take_while(|byte| is_word(*byte) || matches!(byte, b'-' | b'+' | b'.')).count();
                // Three dots end a word: `a...b` is a name and a spread.
                let length = rest[..length].find("...").unwrap_or(length).max(1);
                (length, Token::Name(&rest[..length]))
            }
            _ => (rest.chars().next().map_or(1, char::len_utf8), Token::Other),
        };
        if length > TOKEN_BYTES {
            return Err(refused(
                format!("a name, number or text of {length} bytes"),
                format!("at most {TOKEN_BYTES} bytes; hand long values over as variables"),
            ));
        }
        self.at += length;
        Ok(Some(token))
    }

    /// White space, commas, comments and a byte-order mark stand for nothing.
    fn skip_ignored(&mut self) {
        let mut comment = false;
        let rest = &self.text[self.at..];
        let skipped = rest
            .char_indices()
            .find(|(_, character)| {
                match character {
                    '#' => comment = true,
                    '\n' | '\r' => comment = false,
                    _ => {}
                }
                !(comment || matches!(character, ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}'))
            })
            .map_or(rest.len(), |(at, _)| at);
        self.at += skipped;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Bytes of the text that begins here, with its quotes; up to the end when it is not closed, which the parser refuses.
fn text_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if rest.starts_with("\"\"\"") {
        let mut at = 3;
        while at < bytes.len() {
            if bytes[at..].starts_with(br#"\""""#) {
                at += 4;
            } else if bytes[at..].starts_with(br#"""""#) {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return bytes.len();
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii) => at += 2,
            b'"' => return at + 1,
            // A text ends with its line; the parser will say so.
            b'\n' | b'\r' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// What a document consists of: its definitions, and which fragments each of them spreads.
#[derive(Default)]
struct Outline<'a> {
    nesting: usize,
    directives: usize,
    introspections: usize,
    definitions: Vec<Definition<'a>>,
    /// The token before, where it matters.
    after: After,
}

#[derive(Default)]
struct Definition<'a> {
    /// The name of a fragment.
    fragment: Option<&'a str>,
    tokens: u64,
    spreads: Vec<&'a str>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum After {
    #[default]
    Nothing,
    /// The end of a definition, or the beginning of the document.
    Spread,
    /// The word `fragment` where a definition begins.
    Fragment,
    /// A closing bracket at the outermost level: the next word begins a definition, or goes on with this one.
    Outer,
}

impl<'a> Outline<'a> {
    fn take(&mut self, token: Token<'a>) -> Result<(), Problem> {
        let after = std::mem::replace(&mut self.after, After::Nothing);
        match token {
            Token::Open => {
                if self.definitions.is_empty() || (self.nesting == 0 && after == After::Outer) {
                    self.begin()?;
                }
                self.nesting += 1;
                if self.nesting > NESTING {
                    return Err(refused(
                        format!("more than {NESTING} levels of brackets"),
                        format!("at most {NESTING} levels, of lists, objects, arguments and selections together"),
                    ));
                }
            }
            Token::Close => {
                self.nesting = self.nesting.saturating_sub(1);
                if self.nesting == 0 {
                    self.after = After::Outer;
                }
            }
            Token::Spread => self.after = After::Spread,
            Token::Directive => {
                self.directives += 1;
                if self.directives > DIRECTIVES {
                    return Err(refused(
                        format!("more than {DIRECTIVES} directives"),
                        format!("at most {DIRECTIVES} directives"),
                    ));
                }
            }
            Token::Name(name) => match (after, name) {
                (After::Spread, "on") => {}
                (After::Spread, _) => {
                    if let Some(definition) = self.definitions.last_mut() {
                        definition.spreads.push(name);
                    }
                }
                (After::Fragment, _) => {
                    if let Some(definition) = self.definitions.last_mut() {
                        definition.fragment = Some(name);
                    }
                }
                (_, "query" | "mutation" | "subscription" | "fragment") if self.nesting == 0 => {
                    self.begin()?;
                    if name == "fragment" {
                        self.after = After::Fragment;
                    }
                }
                (_, "__schema" | "__type") => self.introspect()?,
                _ => {}
            },
            Token::Other => {}
        }
        if let Some(definition) = self.definitions.last_mut() {
            definition.tokens += 1;
        }
        Ok(())
    }

    /// A fragment may be spread often, so it may not look at the schema itself.
    fn introspect(&mut self) -> Result<(), Problem> {
        self.introspections += 1;
        let in_fragment = self.definitions.last().is_some_and(|definition| definition.fragment.is_some());
        if in_fragment || self.introspections > INTROSPECTIONS {
            return Err(refused(
                "__schema and __type",
                format!("__schema and __type at most {INTROSPECTIONS} times, and not in a fragment"),
            ));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Problem> {
        if self.definitions.len() == DEFINITIONS {
            return Err(refused(
                format!("more than {DEFINITIONS} operations and fragments"),
                format!("at most {DEFINITIONS} operations and fragments"),
            ));
        }
        self.definitions.push(Definition::default());
        Ok(())
    }

    /// Counts the tokens of every definition with its fragments written out. Fragments are resolved in rounds: each round
    /// knows those whose own spreads are known. What is left when a round brings nothing new spreads itself in a circle.
    fn expand(&self) -> Result<(), Problem> {
        let mut known: HashMap<&str, u64> = HashMap::new();
        let declared: HashMap<&str, &Definition<'_>> =
            self.definitions.iter().filter_map(|definition| Some((definition.fragment?, definition))).collect();
        let size = |definition: &Definition<'_>, known: &HashMap<&str, u64>| -> Option<u64> {
            definition.spreads.iter().try_fold(definition.tokens, |sum, name| {
                // One that is declared nowhere is for the validation to refuse.
                let part = if declared.contains_key(name) { known.get(name).copied()? } else { 0 };
                Some(sum.saturating_add(part))
            })
        };
        loop {
            let found: Vec<(&str, u64)> = declared
                .iter()
                .filter(|(name, _)| !known.contains_key(*name))
                .filter_map(|(name, definition)| Some((*name, size(definition, &known)?)))
                .collect();
            if found.is_empty() {
                break;
            }
            known.extend(found);
        }
        if let Some(name) = declared.keys().filter(|name| !known.contains_key(*name)).min() {
            return Err(refused(format!("fragment {name}"), "fragments that do not spread themselves"));
        }
        let whole = self.definitions.iter().filter_map(|definition| size(definition, &known));
        match whole.max() {
            Some(tokens) if tokens > EXPANDED => Err(refused(
                format!("{tokens} tokens with every fragment written out"),
                format!("at most {EXPANDED} tokens with every fragment written out"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why(document: &str) -> String {
        check(document).unwrap_err().fields[0].value.clone()
    }

    #[test]
    fn what_people_ask_passes() {
        for good in [
            "{ dashboard { user { email } } }",
            "query A($id: ID = \"a{b\") { dashboard(portfolioId: $id) @skip(if: false) { ...F ... on Dashboard { user { email } } } } \
             fragment F on Dashboard { user { email } }",
            "# a comment with { { { {\n{ dashboard { user { email } } }",
            "{ a(text: \"\"\"block \\\"\"\" { { {\"\"\") { b } }",
            "",
            "\u{feff}{ a(n: -1.5e+10, l: [1, 2, [3]]) }",
        ] {
            assert!(check(good).is_ok(), "{good}: {:?}", check(good));
        }
    }

    #[test]
    fn nested_values_are_refused_before_the_parser_recurses() {
        for (open, close) in [("[", "]"), ("{a:", "}"), ("[{a:", "}]")] {
            let document =
                format!("{{ dashboard(portfolioId: {}1{}) {{ x }} }}", open.repeat(1_600), close.repeat(1_600));
            assert!(why(&document).contains("levels"), "{open}");
            let unclosed = format!("{{ dashboard(portfolioId: {}", open.repeat(1_600));
            assert!(why(&unclosed).contains("levels"), "{open}");
        }
        let selections = format!("{}x{}", "{ a ".repeat(1_000), "}".repeat(1_000));
        assert!(why(&selections).contains("levels"));
        let types = format!("query (${}: {}Int{}) {{ x }}", "v", "[".repeat(1_000), "]".repeat(1_000));
        assert!(why(&types).contains("levels"));
    }

    #[test]
    fn fragments_that_double_are_counted_without_being_written_out() {
        let doubling: String =
            (0..28).map(|nth| format!("fragment F{nth} on Dashboard {{ ...F{} ...F{} }} ", nth + 1, nth + 1)).collect();
        let document = format!("{{ dashboard {{ ...F0 }} }} {doubling} fragment F28 on Dashboard {{ staleSeconds }}");
        assert!(document.len() < 2_000);
        assert!(why(&document).contains("written out"));
    }

    #[test]
    fn fragments_that_spread_themselves_are_refused() {
        let document = "{ dashboard { ...A } } fragment A on D { ...B } fragment B on D { ... { ...A } }";
        assert_eq!(why(document), "fragment A");
        assert_eq!(why("fragment A on D { ...A }"), "fragment A");
    }

    #[test]
    fn many_small_things_are_bounded_as_well() {
        let aliases: String = (0..10_000).map(|nth| format!("a{nth}:x ")).collect();
        assert!(why(&format!("{{{aliases}}}")).contains("bytes"));
        let aliases: String = (0..1_100).map(|nth| format!("a{nth}:x ")).collect();
        assert!(why(&format!("{{{aliases}}}")).contains("tokens"));
        assert!(why(&format!("{{ x {} }}", "@skip(if:false)".repeat(200))).contains("directives"));
        assert!(why(&"query{x}".repeat(100)).contains("operations"));
        assert!(why(&format!("{{ x(a: \"{}\") }}", "a".repeat(5_000))).contains("text of"));
        assert!(why(&format!("{{ x(a: {}) }}", "9".repeat(5_000))).contains("number"));
    }

    #[test]
    fn the_schema_is_looked_at_seldom_and_not_in_fragments() {
        let looks = |times: usize| format!("{{ {} }}", "a: __schema { types { name } } ".repeat(times));
        assert!(check(&looks(2)).is_ok());
        assert!(why(&looks(3)).contains("__schema"));
        assert!(why("{ ...F } fragment F on Query { __type(name: \"Query\") { name } }").contains("__type"));
        assert!(check("{ dashboard { __typename } } fragment F on Dashboard { __typename }").is_ok());
    }

    #[test]
    fn the_beginning_of_a_definition_is_found_without_a_keyword() {
        let anonymous = "{ a } ".repeat(40);
        assert!(why(&anonymous).contains("operations"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,400}") {
            let _ = check(&text);
        }

        #[test]
        fn no_mixture_of_tokens_makes_it_panic(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", "(", ")", "...", "fragment", "on", "query", "\"", "\"\"\"", "\\", "@", "$", ":", "#",
                    "\n", "a", "F1", " ", "-1", "é", ".",
                ]),
                0..400,
            )
        ) {
            let text: String = parts.concat();
            if check(&text).is_ok() {
                // Whatever passes is shallow enough for the parser.
                let _ = async_graphql::parser::parse_query(&text);
            }
        }
    }
}
