//! The demo's people.
use moneta_contracts::user::Answers;
use moneta_kit::runner::Running;

/// Everybody's password.
pub const PASSWORD: &str = "moneta-demo";

/// An investor of the demo.
pub struct Investor {
    /// Sign-in name.
    pub email: &'static str,
    /// Name on the page.
    pub name: &'static str,
    /// advise, approve or discretionary.
    pub autonomy: &'static str,
    /// Paid in, in cents.
    pub deposit: i64,
    /// What the investor buys for himself on the first day: symbol and per cent of the deposit.
    pub start: &'static [(&'static str, u32)],
    /// Largest weight of one instrument in the mandate, decimal fraction.
    pub max_weight: &'static str,
    /// Turnover limit of the mandate in 30 days, decimal fraction.
    pub max_turnover: &'static str,
}

/// The three investors.
pub const INVESTORS: [Investor; 3] = [
    Investor {
        email: "cautious@example.com",
        name: "Clara Cautious",
        autonomy: "advise",
        deposit: 10_000_000,
        start: &[("KO", 8), ("PG", 8), ("JNJ", 8), ("WMT", 6)],
        max_weight: "0.10",
        max_turnover: "1",
    },
    Investor {
        email: "balanced@example.com",
        name: "Bruno Balanced",
        autonomy: "approve",
        deposit: 10_000_000,
        start: &[("AAPL", 12), ("MSFT", 12), ("JPM", 10), ("XOM", 8), ("PFE", 8)],
        max_weight: "0.15",
        max_turnover: "1",
    },
    Investor {
        email: "adventurous@example.com",
        name: "Ada Adventurous",
        autonomy: "discretionary",
        deposit: 10_000_000,
        start: &[],
        max_weight: "0.20",
        max_turnover: "2",
    },
];

/// The staff: e-mail, name, role.
pub const STAFF: [(&str, &str, &str); 4] = [
    ("adviser@example.com", "Alma Adviser", "adviser"),
    ("compliance@example.com", "Carl Compliance", "compliance"),
    ("modelops@example.com", "Mona Models", "model-ops"),
    ("admin@example.com", "Anton Admin", "admin"),
];

/// The answers of an investor's suitability questionnaire.
pub fn answers(email: &str) -> Answers {
    let known = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
    match email {
        "cautious@example.com" => Answers {
            horizon_years: 6,
            objective: "income".to_owned(),
            experience: "some".to_owned(),
            instruments_known: known(&["share", "fund"]),
            reaction_to_fall: "sell_some".to_owned(),
            annual_income: "38000".to_owned(),
            liquid_assets: "120000".to_owned(),
            emergency_months: "6".to_owned(),
            loss_bearable: "0.10".to_owned(),
            risk_score: 2,
            understands_risk: true,
        },
        "balanced@example.com" => Answers {
            horizon_years: 9,
            objective: "growth".to_owned(),
            experience: "some".to_owned(),
            instruments_known: known(&["share", "fund"]),
            reaction_to_fall: "hold".to_owned(),
            annual_income: "62000".to_owned(),
            liquid_assets: "180000".to_owned(),
            emergency_months: "6".to_owned(),
            loss_bearable: "0.25".to_owned(),
            risk_score: 5,
            understands_risk: true,
        },
        _ => Answers {
            horizon_years: 20,
            objective: "growth".to_owned(),
            experience: "experienced".to_owned(),
            instruments_known: known(&["share", "fund", "bond"]),
            reaction_to_fall: "buy_more".to_owned(),
            annual_income: "120000".to_owned(),
            liquid_assets: "400000".to_owned(),
            emergency_months: "12".to_owned(),
            loss_bearable: "0.5".to_owned(),
            risk_score: 9,
            understands_risk: true,
        },
    }
}

/// Tells a person how to get in.
pub fn print(running: &Running) {
    println!();
    println!("Moneta is ready. Everybody's password is {PASSWORD}.");
    for investor in &INVESTORS {
        let what = match investor.autonomy {
            "discretionary" => "the agent acts within a mandate",
            "approve" => "the agent proposes, the investor approves",
            _ => "the agent only advises",
        };
        println!("  {:<26} {what}", investor.email);
    }
    for (email, _, role) in STAFF {
        println!("  {email:<26} {role}");
    }
    if let Some(address) = running.address("gateway") {
        println!("\n  page   http://{address}/\n  API    http://{address}/openapi.json\n");
    }
}
