//! What the parser finds in sentences.

use super::*;

fn catalogue() -> Catalogue {
    let entry = |symbol: &str, name: &str, aliases: &[&str]| CatalogueEntry {
        symbol: symbol.into(),
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
    };
    Catalogue::new([
        entry("AAPL", "Apple Inc.", &["apple"]),
        entry("MSFT", "Microsoft Corporation", &["microsoft"]),
        entry("KO", "The Coca-Cola Company", &["coca-cola", "coca cola", "coke"]),
        entry("BAC", "Bank of America", &["the bank"]),
        entry("JPM", "JPMorgan Chase", &["the bank", "jpmorgan"]),
    ])
}

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2020, 3, 11).unwrap()
}

fn brief(text: &str) -> String {
    let entities = extract(text, &catalogue(), today());
    let show = |value: &EntityValue| match value {
        EntityValue::Amount { value, currency } => {
            format!("{} {}", value.normalize(), currency.as_deref().unwrap_or("?"))
        }
        EntityValue::Price { value, currency } => {
            format!("@{} {}", value.normalize(), currency.as_deref().unwrap_or("?"))
        }
        EntityValue::Quantity { value } => format!("x{}", value.normalize()),
        EntityValue::Percentage { fraction } => format!("{}%", (fraction * Decimal::ONE_HUNDRED).normalize()),
        EntityValue::Currency { code } => code.clone(),
        EntityValue::Instrument { symbol, exact } => format!("{symbol}{}", if *exact { "" } else { "~" }),
        EntityValue::Period { from, to } => format!("{}..{to}", from.map_or(String::new(), |day| day.to_string())),
        EntityValue::RiskLevel { level } => format!("{level:?}"),
        EntityValue::Number { value } => format!("#{value}"),
    };
    let mut parts: Vec<String> = entities.found.iter().map(|entity| show(&entity.value)).collect();
    parts.extend(entities.unclear.iter().map(|place| format!("unclear {:?}", place.text)));
    parts.join(", ")
}

#[test]
fn instructions_are_read_with_their_values() {
    for (text, expected) in [
        ("buy 10 Apple", "x10, AAPL"),
        ("sell half my apple", "50%, AAPL"),
        ("sell a quarter of my Coca-Cola", "25%, KO"),
        ("sell all my Microsoft", "100%, MSFT"),
        ("sell everything", "100%"),
        ("buy £1,250.50 of AAPL", "1250.5 GBP, AAPL"),
        ("put in 5k", "5000 ?"),
        ("invest two thousand dollars in msft", "2000 USD, MSFT"),
        ("limit buy 10 MSFT at 180", "x10, MSFT, @180 ?"),
        ("sell 10 apple at $150", "x10, AAPL, @150 USD"),
        ("sell 20% of my coke", "20%, KO"),
        ("10 more apple shares", "x10, AAPL"),
        ("buy half a share of JPMorgan", "x0.5, JPM"),
        ("buy msft 5", "MSFT, x5"),
        ("sell four of my apple shares", "x4, AAPL"),
        ("750 euros in euros", "750 EUR, EUR"),
        ("50 pence", "0.5 GBP"),
        ("ten per cent", "10%"),
        ("price of aplle since January", "AAPL~, 2020-01-01..2020-03-11"),
        ("return over the past 3 years", "2017-03-11..2020-03-11"),
        ("set risk to high", "Adventurous"),
        ("how high did apple get this year", "AAPL, 2020-01-01..2020-03-11"),
        ("move me from balanced to cautious", "Balanced, Cautious"),
        ("cancel order 8842", "#8842"),
        ("what's my portfolio worth", ""),
        ("which one is best", ""),
    ] {
        assert_eq!(brief(text), expected, "{text}");
    }
}

#[test]
fn what_is_unclear_is_reported_and_not_guessed() {
    assert_eq!(brief("sell 1.250 apple"), "AAPL, unclear \"1.250\"");
    assert_eq!(brief("deposit £12,5"), "unclear \"£12,5\"");
    assert_eq!(brief("buy 5 of the bank"), "x5, unclear \"the bank\"");
    assert_eq!(brief("performance over the last few months"), "unclear \"last few months\"");
    let bank = extract("sell the bank", &catalogue(), today());
    assert_eq!(bank.unclear[0].candidates, ["BAC", "JPM"]);
}

#[test]
fn a_number_beyond_all_bounds_is_left_alone() {
    let text = format!("sell one{} apple", " hundred".repeat(40));
    assert_eq!(brief(&text), "AAPL");
}

#[test]
fn spans_are_characters_of_the_text() {
    let text = "café: £5 of Apple’s stock";
    let entities = extract(text, &catalogue(), today());
    let characters: Vec<char> = text.chars().collect();
    for entity in &entities.found {
        let there: String = characters[entity.start..entity.end].iter().collect();
        assert_eq!(there, entity.text);
    }
    assert_eq!(entities.found[0].start, 6);
}

#[test]
fn entities_travel_as_json() {
    let entities = extract("sell half my apple since June", &catalogue(), today());
    let text = serde_json::to_string(&entities).unwrap();
    assert_eq!(serde_json::from_str::<Entities>(&text).unwrap(), entities);
    assert!(text.contains(r#""kind":"percentage","fraction":"0.5""#), "{text}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_and_spans_stay_inside(text in ".{0,80}") {
        let entities = extract(&text, &catalogue(), today());
        let length = text.chars().count();
        for entity in &entities.found {
            assert!(entity.start < entity.end && entity.end <= length);
        }
    }

    #[test]
    fn words_and_numbers_mixed_at_random_never_panic(words in proptest::collection::vec(
        proptest::sample::select(vec!["last", "since", "5", "two", "thousand", "£", "march", "and", "between", "half", "all",
            "apple", "%", "31", "2020", "99999999999999999999999999999", "hundred", "hundred", "million", "billion", "at", "of", "next", "years", "-"]), 0..12)) {
        extract(&words.join(" "), &catalogue(), today());
    }
}
