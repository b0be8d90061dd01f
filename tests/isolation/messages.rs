//! Requests of every method, made from the contracts' descriptors: valid ones, and what becomes of them when bytes are lost,
//! changed, repeated or nested.
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use rand::{Rng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// Services' names by the package of their contract.
const PACKAGES: [(&str, &str); 7] = [
    ("market_data", "market-data"),
    ("user", "user"),
    ("portfolio", "portfolio"),
    ("trading", "trading"),
    ("compliance", "compliance"),
    ("notification", "notification"),
    ("advisor", "advisor"),
];
/// Longest request that is sent, bytes: beyond what a server takes.
const LONGEST: usize = 5 << 20;

/// A method of a service.
#[derive(Debug, Clone)]
pub struct Method {
    /// Whose it is.
    pub service: &'static str,
    /// "/moneta.portfolio.v1.Portfolio/Deposit".
    pub path: String,
    input: String,
}

/// The contracts, as the proto files say them.
pub struct Contracts {
    /// Every method.
    pub methods: Vec<Method>,
    messages: HashMap<String, DescriptorProto>,
    /// Texts that mean something here: ids that are there, names, and texts of the wrong kind.
    texts: Vec<String>,
}

impl Contracts {
    pub fn read(ids: Vec<String>) -> Self {
        let folder = moneta_tests::repository().join("services/contracts/proto");
        let files: Vec<String> = PACKAGES.iter().map(|(package, _)| format!("{package}.proto")).collect();
        let set: FileDescriptorSet = protox::compile(files, [folder]).unwrap();
        let (mut methods, mut messages) = (Vec::new(), HashMap::new());
        for file in &set.file {
            let package = file.package();
            for message in &file.message_type {
                let name = format!(".{package}.{}", message.name());
                for nested in &message.nested_type {
                    messages.insert(format!("{name}.{}", nested.name()), nested.clone());
                }
                messages.insert(name, message.clone());
            }
            let named = PACKAGES.iter().find(|(name, _)| package == format!("moneta.{name}.v1"));
            for (service, &(_, name)) in file.service.iter().flat_map(|service| named.map(|named| (service, named))) {
                methods.extend(service.method.iter().map(|method| Method {
                    service: name,
                    path: format!("/{package}.{}/{}", service.name(), method.name()),
                    input: method.input_type().to_owned(),
                }));
            }
        }
        let words = [
            "",
            "USD",
            "XXX",
            "AAPL",
            "KO",
            "CASH",
            "buy",
            "market",
            "limit",
            "day",
            "self_directed",
            "approve",
            "global",
            "1",
            "-1",
            "0.5",
            "1e400",
            "NaN",
            "79228162514264337593543950335",
            "2020-01-06",
            "9999-12-31",
            "0000-00-00",
            "18446744073709551615_x",
            "\u{0}",
            "'; DROP TABLE orders; --",
            "\u{202e}",
            "*",
        ];
        let texts = ids.into_iter().chain(words.map(str::to_owned)).collect();
        Self { methods, messages, texts }
    }

    /// A request that a client of ours could send.
    pub fn valid(&self, method: &Method, dice: &mut ChaCha8Rng) -> Vec<u8> {
        self.message(&method.input, dice, 0)
    }

    /// A request as it may come from anybody, and what was done to it.
    pub fn hostile(&self, method: &Method, dice: &mut ChaCha8Rng) -> (&'static str, Vec<u8>) {
        let mut bytes = self.valid(method, dice);
        match dice.random_range(0..9_u32) {
            0 => ("valid", bytes),
            1 => {
                bytes.truncate(dice.random_range(0..=bytes.len()));
                ("cut off", bytes)
            }
            2 => {
                for _ in 0..dice.random_range(1..8) {
                    if let Some(place) = bytes.len().checked_sub(1).map(|last| dice.random_range(0..=last)) {
                        bytes[place] = dice.random();
                    }
                }
                ("changed", bytes)
            }
            3 => ("random", (0..dice.random_range(0..2_000)).map(|_| dice.random()).collect()),
            4 => {
                let one = if bytes.is_empty() { vec![0x0a, 0x00] } else { bytes.clone() };
                let most = dice.random_range(1_000..LONGEST);
                while bytes.len() + one.len() < most {
                    bytes.extend_from_slice(&one);
                }
                ("repeated", bytes)
            }
            5 => ("nested messages", nested(dice, false)),
            6 => ("nested groups", nested(dice, true)),
            7 => {
                // A field that says it is longer than what is there, or than anything.
                bytes.extend(key(dice.random_range(1..8), 2));
                bytes.extend(varint(*[u64::MAX, 1 << 40, 100, u64::from(u32::MAX)].choose(dice).unwrap()));
                ("overlong field", bytes)
            }
            _ => {
                bytes.extend(std::iter::repeat_n(0xff, dice.random_range(1..64)));
                ("endless number", bytes)
            }
        }
    }

    fn message(&self, name: &str, dice: &mut ChaCha8Rng, depth: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in self.messages.get(name).map(|message| message.field.as_slice()).unwrap_or_default() {
            let count = match field.label() {
                Label::Repeated => dice.random_range(0..4),
                _ => u32::from(dice.random_bool(0.85)),
            };
            for _ in 0..count {
                self.field(field, &mut bytes, dice, depth);
            }
        }
        bytes
    }

    fn field(&self, field: &FieldDescriptorProto, bytes: &mut Vec<u8>, dice: &mut ChaCha8Rng, depth: u32) {
        let number = field.number().unsigned_abs();
        match field.r#type() {
            Type::Message if depth < 4 => {
                let inner = self.message(field.type_name(), dice, depth + 1);
                put(bytes, number, &inner);
            }
            Type::Message | Type::Group => {}
            Type::String => put(bytes, number, self.texts.choose(dice).map_or(&b""[..], |text| text.as_bytes())),
            Type::Bytes => put(bytes, number, &dice.random::<[u8; 16]>()),
            Type::Double | Type::Fixed64 | Type::Sfixed64 => {
                bytes.extend(key(number, 1));
                bytes.extend(dice.random::<[u8; 8]>());
            }
            Type::Float | Type::Fixed32 | Type::Sfixed32 => {
                bytes.extend(key(number, 5));
                bytes.extend(dice.random::<[u8; 4]>());
            }
            _ => {
                bytes.extend(key(number, 0));
                let values = [0, 1, 2, 50, 1_000_000_000, i64::MAX.unsigned_abs(), 1 << 63, u64::MAX];
                bytes.extend(varint(*values.choose(dice).unwrap()));
            }
        }
    }
}

/// A message in a message, as deep as a megabyte lets it be; or groups, which nobody uses any more.
fn nested(dice: &mut ChaCha8Rng, groups: bool) -> Vec<u8> {
    let depth = *[50, 101, 1_000, 100_000].choose(dice).unwrap();
    let number = dice.random_range(1..5);
    if groups {
        return key(number, 3).repeat(depth);
    }
    // Built from the inside: each level is the key, the length and what is within.
    let mut levels = Vec::with_capacity(depth);
    let mut length = 0_usize;
    while levels.len() < depth && length < 1 << 20 {
        let head = [key(number, 2), varint(length as u64)].concat();
        length += head.len();
        levels.push(head);
    }
    levels.into_iter().rev().flatten().collect()
}

fn put(bytes: &mut Vec<u8>, number: u32, value: &[u8]) {
    bytes.extend(key(number, 2));
    bytes.extend(varint(value.len() as u64));
    bytes.extend_from_slice(value);
}

fn key(number: u32, wire_type: u32) -> Vec<u8> {
    varint(u64::from(number << 3 | wire_type))
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
