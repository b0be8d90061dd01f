//! Share matching for UK capital gains (TCGA 1992 sections 104 to 106A), over a whole history of one instrument.
//!
//! A disposal is matched first with acquisitions of the same day, then with those of the next 30 days in their order, then
//! with the section 104 pool. What comes later can change what an earlier disposal cost, so this is a report over the
//! history and not a way to book lots. Matching takes cost from an acquisition by quantity, rounded half to even; what
//! rounding leaves stays with the acquisition, so no cost is lost.
use crate::{Error, Result};
use moneta_contracts::events::Side;
use moneta_types::{Date, Money, Quantity, Symbol};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A purchase or sale of one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    /// The day.
    pub date: Date,
    /// Buy or sell.
    pub side: Side,
    /// How much, above zero.
    pub quantity: Quantity,
    /// Of a purchase its cost with commission, of a sale its proceeds less commission.
    pub amount: Money,
}

/// The rule by which a disposal found its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchRule {
    /// Section 105(1)(b).
    SameDay,
    /// Section 106A(5).
    NextThirtyDays,
    /// Section 104.
    Pool,
}

/// A part of a day's disposals, and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Day of the disposal.
    pub date: Date,
    /// By which rule.
    pub rule: MatchRule,
    /// How much.
    pub quantity: Quantity,
    /// Allowable cost.
    pub cost: Money,
}

/// What is held, or left of a day's deals, with its cost or proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How much.
    pub quantity: Quantity,
    /// Its cost.
    pub cost: Money,
}

impl Pool {
    const fn empty(zero: Money) -> Self {
        Self { quantity: Quantity::ZERO, cost: zero }
    }

    fn add(&mut self, quantity: Quantity, cost: Money) -> Result<()> {
        self.cost = self.cost.checked_add(cost)?;
        self.quantity = self.quantity.checked_add(quantity)?;
        Ok(())
    }

    /// Takes up to `wanted` with its share of the cost.
    fn take(&mut self, wanted: Quantity) -> Result<(Quantity, Money)> {
        let quantity = wanted.min(self.quantity);
        let share = Decimal::from(quantity.nanos()).checked_div(Decimal::from(self.quantity.nanos()));
        let cost = if quantity == self.quantity { self.cost } else { self.cost.times(share.unwrap_or_default())? };
        self.quantity = self.quantity.checked_sub(quantity)?;
        self.cost = self.cost.checked_sub(cost)?;
        Ok((quantity, cost))
    }
}

/// Matches every disposal of a history, in any order of deals; the matches by day and rule, and the pool at the end.
///
/// # Errors
/// [`Error::Oversold`] when more is disposed of than was ever acquired until then and within 30 days.
pub fn match_shares(symbol: &Symbol, deals: &[Deal], zero: Money) -> Result<(Vec<Match>, Pool)> {
    let mut bought: BTreeMap<Date, Pool> = BTreeMap::new();
    let mut sold: BTreeMap<Date, Quantity> = BTreeMap::new();
    for deal in deals {
        match deal.side {
            Side::Buy => bought.entry(deal.date).or_insert(Pool::empty(zero)).add(deal.quantity, deal.amount)?,
            Side::Sell => {
                let day = sold.entry(deal.date).or_default();
                *day = day.checked_add(deal.quantity)?;
            }
        }
    }
    let mut matches = Vec::new();
    for (&date, left) in &mut sold {
        if let Some(day) = bought.get_mut(&date) {
            settle(&mut matches, date, MatchRule::SameDay, left, day)?;
        }
    }
    for (&date, left) in &mut sold {
        let last = date.checked_add_days(chrono::Days::new(30)).unwrap_or(Date::MAX);
        for (_, day) in bought.range_mut((std::ops::Bound::Excluded(date), std::ops::Bound::Included(last))) {
            settle(&mut matches, date, MatchRule::NextThirtyDays, left, day)?;
        }
    }
    let mut pool = Pool::empty(zero);
    let mut acquisitions = bought.into_iter().peekable();
    for (&date, left) in &mut sold {
        while let Some((_, day)) = acquisitions.next_if(|(bought_on, _)| *bought_on <= date) {
            pool.add(day.quantity, day.cost)?;
        }
        let held = pool.quantity;
        settle(&mut matches, date, MatchRule::Pool, left, &mut pool)?;
        if left.is_positive() {
            let requested = held.checked_add(*left)?;
            return Err(Error::Oversold { symbol: symbol.clone(), requested, held });
        }
    }
    for (_, day) in acquisitions {
        pool.add(day.quantity, day.cost)?;
    }
    matches.sort_by_key(|found| (found.date, found.rule as u8));
    Ok((matches, pool))
}

fn settle(matches: &mut Vec<Match>, date: Date, rule: MatchRule, left: &mut Quantity, from: &mut Pool) -> Result<()> {
    let (quantity, cost) = from.take(*left)?;
    if quantity.is_positive() {
        *left = left.checked_sub(quantity)?;
        matches.push(Match { date, rule, quantity, cost });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Currency;
    use proptest::prelude::*;

    fn gbp(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Gbp)
    }

    fn deal(date: &str, side: Side, units: i64, minor: i64) -> Deal {
        let quantity = Quantity::from_units(units).unwrap();
        Deal { date: date.parse().unwrap(), side, quantity, amount: gbp(minor) }
    }

    fn run(deals: &[Deal]) -> (Vec<(MatchRule, i64)>, Pool) {
        let (matches, pool) = match_shares(&"LOBSTER".parse().unwrap(), deals, gbp(0)).unwrap();
        (matches.into_iter().map(|found| (found.rule, found.cost.minor_units())).collect(), pool)
    }

    /// In the form of HMRC's helpsheet HS284, example 3: two purchases and two sales out of the pool, worked by hand.
    #[test]
    fn two_purchases_make_a_pool_from_which_two_sales_take_their_share() {
        let deals = [
            deal("2015-04-01", Side::Buy, 1000, 400_000 + 15_000),
            deal("2018-09-01", Side::Buy, 500, 205_000 + 8_000),
            deal("2019-05-01", Side::Sell, 700, 336_000 - 10_000),
            deal("2020-02-01", Side::Sell, 400, 208_000 - 10_500),
        ];
        let (matches, pool) = run(&deals);
        assert_eq!(matches, [(MatchRule::Pool, 293_067), (MatchRule::Pool, 167_466)]);
        // Gains of 329 and 300 pounds.
        assert_eq!(((326_000 - 293_067) / 100, (197_500 - 167_466) / 100), (329, 300));
        assert_eq!((pool.quantity, pool.cost), (Quantity::from_units(400).unwrap(), gbp(167_467)));
    }

    #[test]
    fn same_day_comes_before_thirty_days_and_these_before_the_pool() {
        let deals = [
            deal("2020-01-01", Side::Buy, 100, 10_000),
            deal("2020-03-01", Side::Sell, 60, 9_000),
            deal("2020-03-01", Side::Buy, 10, 2_000),
            deal("2020-03-31", Side::Buy, 20, 6_000),
            deal("2020-04-01", Side::Buy, 20, 8_000),
        ];
        let (matches, pool) = run(&deals);
        assert_eq!(
            matches,
            [(MatchRule::SameDay, 2_000), (MatchRule::NextThirtyDays, 6_000), (MatchRule::Pool, 3_000)]
        );
        assert_eq!((pool.quantity, pool.cost), (Quantity::from_units(90).unwrap(), gbp(15_000)));
    }

    #[test]
    fn a_purchase_goes_to_its_own_days_sale_before_an_earlier_one() {
        let deals = [
            deal("2020-01-01", Side::Buy, 100, 10_000),
            deal("2020-03-01", Side::Sell, 10, 1_500),
            deal("2020-03-05", Side::Buy, 10, 3_000),
            deal("2020-03-05", Side::Sell, 10, 2_500),
        ];
        assert_eq!(run(&deals).0, [(MatchRule::Pool, 1_000), (MatchRule::SameDay, 3_000)]);
    }

    #[test]
    fn selling_what_was_never_bought_is_an_error() {
        let deals = [deal("2020-03-01", Side::Sell, 1, 1), deal("2020-04-01", Side::Buy, 1, 1)];
        assert!(matches!(match_shares(&"X".parse().unwrap(), &deals, gbp(0)), Err(Error::Oversold { .. })));
    }

    proptest! {
        #[test]
        fn quantity_and_cost_are_conserved(parts in prop::collection::vec((0_u64..200, 1_i64..50, 1_i64..100_000, any::<bool>()), 1..40)) {
            let start = "2020-01-01".parse::<Date>().unwrap();
            let deals: Vec<Deal> = parts.iter().map(|&(day, units, minor, buys)| Deal {
                date: start + chrono::Days::new(day),
                side: if buys { Side::Buy } else { Side::Sell },
                quantity: Quantity::from_units(units).unwrap(),
                amount: gbp(minor),
            }).collect();
            if let Ok((matches, pool)) = match_shares(&"X".parse().unwrap(), &deals, gbp(0)) {
                let sum = |side: Side, of: fn(&Deal) -> i64| deals.iter().filter(|deal| deal.side == side).map(of).sum::<i64>();
                let cost: i64 = matches.iter().map(|found| found.cost.minor_units()).sum();
                let quantity: i64 = matches.iter().map(|found| found.quantity.nanos()).sum();
                prop_assert_eq!(cost + pool.cost.minor_units(), sum(Side::Buy, |deal| deal.amount.minor_units()));
                prop_assert_eq!(quantity, sum(Side::Sell, |deal| deal.quantity.nanos()));
                prop_assert_eq!(quantity + pool.quantity.nanos(), sum(Side::Buy, |deal| deal.quantity.nanos()));
            }
        }
    }
}
