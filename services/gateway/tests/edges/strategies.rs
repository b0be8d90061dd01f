//! What the fuzzers send: texts of the words that an edge knows, put together wrongly, too often and too deep.
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Map, Value, json};

/// Bytes of a body that is sent: a little less than the gateway reads, because of what is longer it reads nothing.
const LONGEST: usize = 60_000;
/// Bytes of a GraphQL document: it grows when it is written as JSON.
const LONGEST_DOCUMENT: usize = 9_000;
/// Bytes of a query: well within what a listener takes of a head, so that the gateway sees it.
const LONGEST_QUERY: usize = 6_000;

const GRAPHQL: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "...",
    "...F0",
    "...F1",
    "fragment F0 on Dashboard",
    "fragment F1 on Query",
    "on ",
    "query",
    "mutation",
    "subscription",
    "\"",
    "\"\"\"",
    "\\",
    "\\u{",
    "@",
    "@skip(if:",
    "@include(if: true)",
    "$",
    "$id",
    ":",
    "=",
    "!",
    "|",
    "&",
    "#",
    "\n",
    " ",
    ",",
    "-1",
    "1e999",
    "0x",
    "true",
    "null",
    "dashboard",
    "portfolioId:",
    "user",
    "email",
    "portfolios",
    "orders(first:",
    "staleSeconds",
    "__schema",
    "__type(name:\"Query\")",
    "__typename",
    "ofType",
    "fields",
    "type",
    "ID",
    "a:",
    "é",
    "\u{feff}",
    "\u{0}",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "0",
    "-",
    "1e999",
    "-0",
    "9999999999999999999999",
    "0.1",
    "\"query\":",
    "\"variables\":",
    "\"operationName\":",
    "\"amount\":",
    "\"currency\":\"USD\"",
    "\"portfolio_id\":",
    "\"quantity\":\"1\"",
    "\"text\":",
    "\"name\":",
    "\"reason\":",
    "{}",
    "[]",
    "\"{__typename}\"",
    "\u{0}",
    "\u{feff}",
    "é",
    " ",
    "\n",
];

const QUERY: &[&str] = &[
    "&",
    "=",
    "limit",
    "cursor",
    "from",
    "to",
    "status",
    "portfolio_id",
    "symbols",
    "version",
    "unread",
    "1",
    "501",
    "-1",
    "true",
    "2020-01-02",
    "%00",
    "%ff",
    "%",
    "%2",
    "+",
    ";",
    "[]",
    "[0]",
    "..%2f",
    "99999999999999999999",
    "%F0%9F%92%B0",
    ",",
    "'",
    "user_id",
];

const WIRE: &[&str] = &[
    "GET ",
    "POST ",
    "/ ",
    "/graphql ",
    "/api/v1/me ",
    "/api/v1/auth/login ",
    "HTTP/1.1",
    "HTTP/1.0",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "Host: a\r\n",
    "Content-Length: ",
    "Content-Length: 5\r\n",
    "Content-Type: application/json\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "ffffffffffffffff\r\n",
    "{}",
    ":",
    " ",
    "\u{0}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{0}\u{0}\u{0}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}",
    "\u{0}\u{0}\u{8}\u{6}\u{0}\u{0}\u{0}\u{0}\u{0}12345678",
    "\u{0}\u{0}\u{4}\u{3}\u{0}\u{0}\u{0}\u{0}\u{1}\u{0}\u{0}\u{0}\u{8}",
    "X: a\r\n",
];

/// Words of a vocabulary and a few of nobody's, each once or, now and then, very often.
fn words(vocabulary: &'static [&'static str], longest: usize) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => select(vocabulary).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => any::<f64>().prop_map(|number| number.to_string()),
    ];
    let times = prop_oneof![20 => Just(1_usize), 1 => 2..2_000_usize];
    let piece = (word, times).prop_map(|(word, times)| word.repeat(times));
    vec(piece, 0..80).prop_map(move |pieces| cut(pieces.concat(), longest))
}

/// The beginning of a text, at a boundary of its characters.
fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

/// Documents of fragments that spread one another, in fields and inline, some in circles, with values nested to any depth.
fn spreading() -> impl Strategy<Value = String> {
    let wrap = select(vec!["...F{}", "...{...F{}}", "... on Dashboard{...F{}}", "...F{}@skip(if:false)"]);
    let fragment = vec((wrap, any::<Index>()), 0..4);
    let value = (select(vec![("[", "]"), ("{a:", "}"), ("[{a:", "}]")]), 0..40_usize);
    (vec(fragment, 1..40), value, 1..4_usize).prop_map(|(fragments, ((open, close), depth), roots)| {
        let count = fragments.len();
        let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let mut document: String = "{".to_owned();
        for root in 0..roots {
            document.push_str(&format!("r{root}:dashboard(portfolioId:{value}){{...F0}}"));
        }
        document.push('}');
        for (nth, spreads) in fragments.into_iter().enumerate() {
            let body: String = spreads
                .into_iter()
                .map(|(wrap, target)| wrap.replace("{}", &target.index(count).to_string()).replace("F0}", "F0 }"))
                .collect();
            document.push_str(&format!("fragment F{nth} on Dashboard{{staleSeconds {body}}}"));
        }
        document
    })
}

/// GraphQL documents, most of them wrong.
pub(crate) fn documents() -> impl Strategy<Value = String> {
    prop_oneof![2 => words(GRAPHQL, LONGEST_DOCUMENT), 1 => spreading()]
}

/// JSON of a depth that people do not write.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        select(vec!["1250.50", "USD", "", "-1", "2020-02-30", "00000000-0000-0000-0000-00000000000b"])
            .prop_map(Value::from),
    ];
    let name =
        select(vec!["a", "amount", "currency", "text", "name", "portfolio_id", "target", "weight", "symbol", "email"]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name.clone(), inner), 0..6).prop_map(|fields| {
                Value::from(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

/// A value inside so many lists or objects, as text: no tree of values may be that deep.
fn buried(value: &Value, depth: usize, lists: bool) -> String {
    let (open, close) = if lists { ("[", "]") } else { ("{\"a\":", "}") };
    format!("{}{value}{}", open.repeat(depth), close.repeat(depth))
}

/// Bodies, most of them wrong.
pub(crate) fn bodies() -> impl Strategy<Value = String> {
    let depth = prop_oneof![6 => 0..4_usize, 1 => 4..200_usize, 1 => 200..30_000_usize];
    prop_oneof![
        1 => words(JSON, LONGEST),
        2 => (values(), depth, any::<bool>()).prop_map(|(value, depth, lists)| cut(buried(&value, depth, lists), LONGEST)),
    ]
}

/// Bodies of the GraphQL endpoint whose variables are anything.
pub(crate) fn variables() -> impl Strategy<Value = String> {
    let depth = prop_oneof![4 => 0..4_usize, 1 => 4..130_usize];
    (values(), depth, any::<bool>()).prop_map(|(value, depth, lists)| {
        let query = json!("query($id:ID){dashboard(portfolioId:$id){staleSeconds}}");
        format!(r#"{{"query":{query},"variables":{{"id":{}}}}}"#, buried(&value, depth, lists))
    })
}

/// Queries of a request, most of them wrong.
pub(crate) fn queries() -> impl Strategy<Value = String> {
    // What no client would let through is left out; the wire's own fuzzer sends it.
    words(QUERY, LONGEST_QUERY).prop_map(|text| text.chars().filter(|character| !character.is_control()).collect())
}

/// Last parts of a path.
pub(crate) fn ids() -> impl Strategy<Value = String> {
    let id = prop_oneof![words(QUERY, 400), "[a-zA-Z0-9-]{0,80}", Just("..".to_owned())];
    id.prop_map(|text| {
        text.chars().filter(|character| !character.is_control() && !"/?#\\".contains(*character)).collect()
    })
}

/// Content types.
pub(crate) fn kinds() -> impl Strategy<Value = &'static str> {
    select(vec![
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/problem+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/",
        "",
    ])
}

/// What comes over the wire.
pub(crate) fn wire() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(any::<u8>(), 0..300);
    prop_oneof![
        3 => words(WIRE, LONGEST).prop_map(String::into_bytes),
        1 => bytes.clone(),
        1 => bytes.prop_map(|noise| [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), noise].concat()),
    ]
}
