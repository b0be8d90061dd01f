//! What the client is told about a decision. Every figure is read from the record; nothing is generated.
use super::{
    decide::fraction,
    record::{Inputs, Results, Trigger, Verdict, autonomy},
    trades::percent,
};
use moneta_contracts::events::Side;
use moneta_types::Money;
use rust_decimal::Decimal;

/// One sentence for lists and notifications.
pub fn summary(inputs: &Inputs, results: &Results, trigger: Trigger) -> String {
    let buys = results.trades.iter().filter(|trade| trade.side == Side::Buy).count();
    let sells = results.trades.len() - buys;
    let what = match (sells, buys) {
        (0, 0) => "Leave the portfolio as it is".to_owned(),
        (0, buys) => format!("Buy {}", instruments(buys)),
        (sells, 0) => format!("Sell {}", instruments(sells)),
        (sells, buys) => format!("Sell {} and buy {}", instruments(sells), instruments(buys)),
    };
    let why = match trigger {
        Trigger::Risk | Trigger::MarketFall if results.volatility_after < results.volatility_before => format!(
            "to bring the risk from {} to {} a year",
            percent(results.volatility_before),
            percent(results.volatility_after)
        ),
        // Without a holding there was no target that anything could have drifted from.
        Trigger::First | Trigger::Request if inputs.snapshot.holdings.is_empty() => {
            format!("to invest within a risk of {} a year", percent(inputs.profile.volatility_ceiling))
        }
        Trigger::First => format!("to invest within a risk of {} a year", percent(inputs.profile.volatility_ceiling)),
        _ => format!("to close a drift of {} from the target", percent(results.drift_before)),
    };
    format!("{what} {why}")
}

/// Rules that speak of the client himself; what the others found would tell him what was to be proposed.
const ABOUT_THE_CLIENT: [&str; 7] = [
    "client_active",
    "client_hold",
    "mode_permissions",
    "suitability_data",
    "periodic_assessment",
    "algorithm_disclosure",
    "vulnerable_client",
];

/// What a client reads of a decision that compliance did not allow: that there is no recommendation, by which rules, and what
/// he himself can do about it; nothing of what would have been proposed.
pub fn withheld(results: &Results) -> String {
    let verdicts = withheld_verdicts(results);
    let own: Vec<String> = verdicts.iter().flat_map(|verdict| verdict.reasons.clone()).collect();
    let rules: Vec<&str> = verdicts.iter().map(|verdict| verdict.citation.as_str()).collect();
    let mut paragraphs = vec![format!(
        "I cannot give you a recommendation at the moment: what was computed does not keep the rules that protect you ({}), \
         so it is neither proposed nor carried out. Compliance looks at it.",
        rules.join("; ")
    )];
    if !own.is_empty() {
        paragraphs.push(format!("What concerns you: {}.", own.join("; ")));
    }
    paragraphs.push("You can ask for a person to look at it.".to_owned());
    paragraphs.join("\n\n")
}

/// The verdicts that failed, with reasons where they speak of the client himself.
pub fn withheld_verdicts(results: &Results) -> Vec<Verdict> {
    let failed = results.verdicts.iter().filter(|verdict| verdict.outcome == "fail");
    failed
        .map(|verdict| {
            let own = ABOUT_THE_CLIENT.contains(&verdict.rule_id.as_str());
            Verdict { reasons: if own { verdict.reasons.clone() } else { Vec::new() }, ..verdict.clone() }
        })
        .collect()
}

/// The explanation of a decision, in paragraphs.
pub fn explanation(inputs: &Inputs, results: &Results, trigger: Trigger) -> String {
    let mut paragraphs = vec![occasion(inputs, results, trigger)];
    if results.trades.is_empty() {
        paragraphs.push(format!(
            "The portfolio is {} away from the best weights we can find, and its forecast volatility of {} a year is \
             within the {} that is set for you. Trading would cost more than it gains, so we propose nothing.",
            percent(results.drift_before),
            percent(results.volatility_before),
            percent(ceiling(inputs)),
        ));
    } else {
        paragraphs.push(trades(results));
        paragraphs.push(format!(
            "Forecast volatility goes from {} to {} a year; the limit that is set for you by {} is {}, and we aim at no more than \
             {}, so that a small move of the market does not break it at once. On one day in twenty the \
             portfolio would be expected to lose at least {} of its value, and {} on average on such days.",
            percent(results.volatility_before),
            percent(results.volatility_after),
            if inputs.mandate.volatility_ceiling < inputs.profile.volatility_ceiling { "your mandate" } else { "your questionnaire" },
            percent(ceiling(inputs)),
            percent(fraction(inputs.parameters.limits.volatility_ceiling)),
            percent(results.value_at_risk_95),
            percent(results.expected_shortfall_95),
        ));
        paragraphs.push(format!(
            "Estimated cost: {} ({} of the portfolio). Estimated gain in return after adjusting for risk: {} a year.{}",
            results.total_cost,
            percent_fine(cost_fraction(inputs, results)),
            percent_fine(results.expected_benefit),
            match (results.turnover_relaxed, autonomy(inputs, results) == inputs.mandate.autonomy) {
                (false, _) => "",
                (true, true) => " More is traded at once than usual, because the risk limit could not be kept otherwise.",
                (true, false) => {
                    " More is traded than your mandate lets the agent trade by itself, because the risk limit could not be \
                     kept otherwise; so nothing happens before you approve."
                }
            },
        ));
    }
    paragraphs.extend(in_cash(inputs, results));
    paragraphs.extend(exclusions(inputs, results));
    let warnings: Vec<String> = results
        .verdicts
        .iter()
        .filter(|verdict| verdict.outcome != "pass")
        .map(|verdict| format!("{} ({})", verdict.reasons.join("; "), verdict.citation))
        .collect();
    if !warnings.is_empty() {
        paragraphs.push(format!("Please note: {}.", warnings.join(". ")));
    }
    paragraphs.push(
        "This was computed by algorithms from market data and your questionnaire. Forecasts are uncertain, and the value of \
         investments can fall as well as rise. You can ask for a person to look at it: say so in the chat."
            .to_owned(),
    );
    paragraphs.join("\n\n")
}

/// What stays in cash, and which limit keeps it there.
fn in_cash(inputs: &Inputs, results: &Results) -> Option<String> {
    let sign = |side: Side| if side == Side::Sell { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
    let traded: Decimal = results.trades.iter().map(|trade| sign(trade.side) * trade.estimated_value.amount()).sum();
    let left = inputs.snapshot.cash.amount() + traded - results.total_cost.amount();
    let share = left.checked_div(inputs.snapshot.value.amount())?;
    let left = Money::rounded(left, inputs.snapshot.currency).ok().filter(|left| left.is_positive())?;
    let limits = &inputs.parameters.limits;
    let near = Decimal::new(5, 3);
    let most = fraction(limits.max_weight);
    let capped = results.target.iter().any(|target| target.symbol.as_str() != "CASH" && target.weight + near >= most);
    let why = if share <= fraction(limits.min_cash) + near {
        format!(", because at least {} is kept for costs and small payments", percent(fraction(limits.min_cash)))
    } else if results.volatility_after + near >= fraction(limits.volatility_ceiling) {
        ", because more investment would take the risk above what we aim at".to_owned()
    } else if capped {
        let whose = if fraction(limits.max_weight) >= inputs.mandate.max_weight { "your mandate" } else { "our rules" };
        format!(
            ", because {whose} allow{} at most {} in one instrument",
            if whose == "our rules" { "" } else { "s" },
            percent(most)
        )
    } else if results.turnover + near >= fraction(limits.max_turnover) {
        format!(", because at most {} of the portfolio is traded at once", percent(fraction(limits.max_turnover)))
    } else {
        ", because at the forecasts and costs of this day nothing better was found for it".to_owned()
    };
    Some(format!("{left} ({}) stays in cash{why}.", percent(share)))
}

/// A profile with its article: "an adventurous".
fn with_article(profile: &str) -> String {
    let article = if profile.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {profile}")
}

fn occasion(inputs: &Inputs, results: &Results, trigger: Trigger) -> String {
    let profile = with_article(&inputs.profile.risk_tolerance.to_string());
    match trigger {
        Trigger::First => format!("This is the first review of your portfolio for {profile} profile."),
        Trigger::Review => format!("This is the regular review of your portfolio for {profile} profile."),
        Trigger::Drift => {
            format!("Your portfolio has drifted {} from its target.", percent(results.drift_before))
        }
        Trigger::Risk => format!(
            "Markets have become more volatile: the forecast for your portfolio is {} a year, and the limit set for you is {}.",
            percent(results.volatility_before),
            percent(ceiling(inputs)),
        ),
        Trigger::MarketFall => format!(
            "The market has fallen. Your portfolio is worth {}, and its forecast volatility is {} a year.",
            inputs.snapshot.value,
            percent(results.volatility_before),
        ),
        Trigger::Request => format!("You asked for advice on your portfolio, for {profile} profile."),
    }
}

fn trades(results: &Results) -> String {
    let list = |side: Side| {
        results
            .trades
            .iter()
            .filter(|trade| trade.side == side)
            .map(|trade| format!("{} {} for about {}", trade.quantity, trade.symbol, trade.estimated_value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (sells, buys) = (list(Side::Sell), list(Side::Buy));
    match (sells.is_empty(), buys.is_empty()) {
        (false, false) => format!("We propose to sell {sells}; then to buy {buys}."),
        (false, true) => format!("We propose to sell {sells}, and to keep the proceeds in cash."),
        _ => format!("We propose to buy {buys}."),
    }
}

/// What becomes of the holdings that the client wants nothing of; one paragraph, or none when he holds none.
fn exclusions(inputs: &Inputs, results: &Results) -> Option<String> {
    let told = inputs.snapshot.holdings.iter().filter(|holding| inputs.excludes(&holding.symbol)).map(|holding| {
        let symbol = &holding.symbol;
        let sale = results.trades.iter().find(|trade| trade.side == Side::Sell && trade.symbol == *symbol);
        match sale {
            Some(sale) if sale.quantity == holding.quantity => {
                format!("You want nothing of {symbol}, so all of it is to be sold.")
            }
            Some(_) => format!(
                "You want nothing of {symbol}: part of it is to be sold now and the rest at the next reviews, because one \
                 order may be no larger than {} and the turnover of your mandate is bounded.",
                inputs.mandate.max_order_value,
            ),
            None if !inputs.may_trade(symbol) => format!(
                "You want nothing of {symbol}, and you hold it. It is left alone, because your mandate does not let it be \
                 traded; change the mandate, or sell it yourself."
            ),
            None => format!(
                "You want nothing of {symbol}, and you hold it. It is left alone for now, because the turnover of your \
                 mandate is used up; the next reviews sell it."
            ),
        }
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { None } else { Some(told.join(" ")) }
}

/// The lower of the questionnaire's and the mandate's ceiling.
fn ceiling(inputs: &Inputs) -> Decimal {
    inputs.profile.volatility_ceiling.min(inputs.mandate.volatility_ceiling)
}

fn cost_fraction(inputs: &Inputs, results: &Results) -> Decimal {
    results.total_cost.amount().checked_div(inputs.snapshot.value.amount()).unwrap_or_default()
}

fn percent_fine(fraction: Decimal) -> String {
    format!("{:.2} %", (fraction * Decimal::ONE_HUNDRED).round_dp(2))
}

fn instruments(count: usize) -> String {
    if count == 1 { "one instrument".to_owned() } else { format!("{count} instruments") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::{
        decide,
        testing::{inputs, view},
    };

    #[test]
    fn the_explanation_speaks_the_records_own_figures() {
        let inputs = inputs("100000", &[]);
        let results = decide(&inputs, &view()).unwrap();
        let text = explanation(&inputs, &results, Trigger::First);
        for trade in &results.trades {
            assert!(text.contains(&trade.estimated_value.to_string()), "{text}");
        }
        assert!(text.contains(&percent(results.volatility_after)), "{text}");
        assert!(text.contains(&results.total_cost.to_string()), "{text}");
    }

    #[test]
    fn what_stays_in_cash_is_told_with_the_limit_that_keeps_it_there() {
        let mut inputs = inputs("100000", &[]);
        let results = decide(&inputs, &view()).unwrap();
        let text = explanation(&inputs, &results, Trigger::Request);
        assert!(text.contains(") stays in cash, because"), "{text}");
        assert!(text.contains("we aim at no more than 14.0 %"), "{text}");
        assert!(
            summary(&inputs, &results, Trigger::Request).contains("to invest within a risk of"),
            "no target, no drift"
        );
        inputs.profile.risk_tolerance = moneta_types::RiskProfile::Adventurous;
        assert!(explanation(&inputs, &results, Trigger::First).contains("for an adventurous profile"), "{text}");

        inputs.parameters.limits.max_weight = 0.15;
        inputs.parameters.limits.volatility_ceiling = 0.9;
        inputs.mandate.max_weight = "0.15".parse().unwrap();
        let results = decide(&inputs, &view()).unwrap();
        let text = explanation(&inputs, &results, Trigger::Request);
        assert!(text.contains("because your mandate allows at most 15.0 % in one instrument"), "{text}");
    }

    #[test]
    fn a_rule_that_did_not_pass_is_named_with_its_source() {
        let inputs = inputs("100000", &[]);
        let mut results = decide(&inputs, &view()).unwrap();
        results.verdicts.push(crate::cycle::Verdict {
            rule_id: "x".to_owned(),
            citation: "COBS 9A.2.1R".to_owned(),
            outcome: "warn".to_owned(),
            reasons: vec!["the horizon is short".to_owned()],
        });
        assert!(explanation(&inputs, &results, Trigger::First).contains("the horizon is short (COBS 9A.2.1R)"));
    }
}
