//! Price collar: neither a limit nor the price the client saw may lie too far from the market's price.
use super::{Control, ControlCase, Finding, Outcome, percent};
use crate::Result;
use moneta_contracts::events::Side;
use moneta_types::Price;
use rust_decimal::Decimal;

pub(super) const CONTROL: Control =
    Control { id: "price_collar", citation: "RTS 6 article 15(1)(a) (price collars)", check };

fn check(case: &ControlCase) -> Result<Finding> {
    let Some(reference) = case.reference else {
        return Ok(Finding::fail("there is no market price to compare with"));
    };
    let mut reasons = Vec::new();
    if let Some(limit) = case.intent.pricing.limit() {
        let away = distance(limit, reference.price);
        // Above the market is the costly side of a purchase, below it that of a sale.
        let costly = if case.intent.side == Side::Buy { away } else { -away };
        if costly > case.limits.collar || -costly > case.limits.passive_collar {
            reasons.push(format!(
                "the limit of {limit} lies {} from the market's {}; {} beyond it and {} short of it are allowed",
                percent(away.abs()),
                reference.price,
                percent(case.limits.collar),
                percent(case.limits.passive_collar)
            ));
        }
    }
    if let Some(expected) = case.intent.expected_price {
        let away = distance(reference.price, expected).abs();
        if away > case.limits.collar {
            reasons.push(format!(
                "the market's price of {} has moved {} from the {expected} that was shown; {} is allowed",
                reference.price,
                percent(away),
                percent(case.limits.collar)
            ));
        }
    }
    Ok(if reasons.is_empty() { Finding::pass() } else { Finding { outcome: Outcome::Fail, reasons } })
}

/// How far `price` lies from `base`, as a signed fraction of `base`; a distance that cannot be computed is beyond any collar.
fn distance(price: Price, base: Price) -> Decimal {
    price.value().checked_div(base.value()).and_then(|ratio| ratio.checked_sub(Decimal::ONE)).unwrap_or(Decimal::MAX)
}
