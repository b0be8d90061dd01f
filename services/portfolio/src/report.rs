//! Performance and attribution over a period, from stored valuations and the ledger.
//!
//! A period runs from the end of the last valued day before `from` to the end of the last valued day up to `to`. When it is
//! open at the end and something was booked since the last valuation, the portfolio as it stands now is the last point.
use crate::{
    Error, Result,
    performance::{Flow, Position, Trading, annualised, attribute, max_drawdown, money_weighted_returns, volatility},
    portfolio::Portfolio,
    store::{self, Booked, Reader},
    valuation::{self, Valuation},
    view::fraction,
};
use moneta_contracts::portfolio as pb;
use moneta_types::{Date, Money, Symbol};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What was asked for: days, both included; open ends when nothing.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
    /// The platform's day, for the point of now.
    pub today: Date,
}

struct Period {
    start: Option<Valuation>,
    points: Vec<Valuation>,
    /// Positions of the last point when it is the point of now.
    now: Option<BTreeMap<Symbol, Position>>,
}

impl Period {
    async fn read(reader: &mut Reader<'_>, state: &Portfolio, asked: Asked) -> Result<Self> {
        if let (Some(from), Some(to)) = (asked.from, asked.to)
            && from > to
        {
            return Err(Error::invalid("from", from, format!("a day up to {to}")));
        }
        let currency = state.book.currency();
        let start = match asked.from.map(|from| from.pred_opt().unwrap_or(from)) {
            Some(day) => store::last_valuation(reader, state.id, currency, Some(day)).await?,
            None => None,
        };
        let mut points = store::valuations(reader, state.id, currency, asked.from, asked.to).await?;
        let last = points.last().or(start.as_ref()).cloned();
        let open = asked.to.is_none_or(|to| to >= asked.today) && asked.from.is_none_or(|from| from <= asked.today);
        let mut now = None;
        if open && last.as_ref().map_or(0, |last| last.seq) != state.seq {
            let closes = store::closes(reader).await?;
            let date = last.as_ref().map_or(asked.today, |last| last.date.max(asked.today));
            let (point, positions) = valuation::value(state, &closes, date, last.as_ref())?;
            points.push(point);
            now = Some(positions);
        }
        Ok(Self { start, points, now })
    }

    fn end(&self) -> Option<&Valuation> {
        self.points.last().or(self.start.as_ref())
    }

    async fn booked(&self, reader: &mut Reader<'_>, state: &Portfolio) -> Result<Vec<Booked>> {
        let from = self.start.as_ref().map_or(0, |start| start.seq);
        let to = self.end().map_or(0, |end| end.seq);
        store::since(reader, state.id, state.book.currency(), from, to).await
    }
}

/// How a portfolio did over a period.
pub async fn performance(reader: &mut Reader<'_>, state: &Portfolio, asked: Asked) -> Result<pb::PerformanceResponse> {
    let period = Period::read(reader, state, asked).await?;
    let zero = Money::zero(state.book.currency());
    let (start_value, start_contributions, start_index) = period
        .start
        .as_ref()
        .map_or((zero, zero, Decimal::ONE), |start| (start.value, start.contributions, start.link.index));
    let Some(end) = period.end() else {
        return Ok(pb::PerformanceResponse {
            from: text(asked.from),
            to: text(asked.to),
            start_value: Some(zero.into()),
            end_value: Some(zero.into()),
            net_flows: Some(zero.into()),
            time_weighted_return: fraction(Decimal::ZERO),
            max_drawdown: fraction(Decimal::ZERO),
            ..pb::PerformanceResponse::default()
        });
    };
    let rebased = |index: Decimal| index.checked_div(start_index).unwrap_or(Decimal::ONE);
    let booked = period.booked(reader, state).await?;
    let first_day = period.start.as_ref().map(|start| start.date);
    let first_flow = booked.iter().map(|booked| booked.transaction.date).min();
    let opened = first_day.or(first_flow).or(period.points.first().map(|point| point.date)).unwrap_or(end.date);
    let time_weighted = rebased(end.link.index) - Decimal::ONE;
    let valued_days = period.points.len() - usize::from(period.now.is_some());
    let daily: Vec<Decimal> = period.points[..valued_days].iter().map(|point| point.link.day_return).collect();
    let levels = std::iter::once(start_index).chain(period.points.iter().map(|point| point.link.index));
    Ok(pb::PerformanceResponse {
        from: asked.from.or(period.points.first().map(|point| point.date)).unwrap_or(end.date).to_string(),
        to: end.date.to_string(),
        start_value: Some(start_value.into()),
        end_value: Some(end.value.into()),
        net_flows: Some(end.contributions.checked_sub(start_contributions)?.into()),
        time_weighted_return: fraction(time_weighted),
        time_weighted_annualised: annualised(time_weighted, (end.date - opened).num_days())
            .map(fraction)
            .unwrap_or_default(),
        money_weighted_returns: money_weighted_returns(&flows(&period, &booked, end)?)
            .into_iter()
            .map(fraction)
            .collect(),
        max_drawdown: fraction(max_drawdown(levels)),
        volatility: volatility(&daily).map(fraction).unwrap_or_default(),
        series: period
            .points
            .iter()
            .map(|point| pb::ValuePoint {
                date: point.date.to_string(),
                value: Some(point.value.into()),
                net_contributions: Some(point.contributions.into()),
                twr_index: fraction(rebased(point.link.index)),
            })
            .collect(),
        not_valued: Vec::new(),
    })
}

/// The period's flows as the owner sees them: the value at the start and deposits go in, withdrawals and the value at the
/// end come out.
fn flows(period: &Period, booked: &[Booked], end: &Valuation) -> Result<Vec<Flow>> {
    let mut flows = Vec::new();
    if let Some(start) = &period.start {
        flows.push(Flow { date: start.date, amount: start.value.negated()? });
    }
    for booked in booked.iter().filter(|booked| booked.transaction.kind.is_external_flow()) {
        flows.push(Flow { date: booked.transaction.date, amount: booked.transaction.cash.negated()? });
    }
    flows.push(Flow { date: end.date, amount: end.value });
    Ok(flows)
}

/// Why the value moved over a period.
pub async fn attribution(reader: &mut Reader<'_>, state: &Portfolio, asked: Asked) -> Result<pb::AttributionResponse> {
    let period = Period::read(reader, state, asked).await?;
    let currency = state.book.currency();
    let zero = Money::zero(currency);
    let booked = period.booked(reader, state).await?;
    let (start_value, start_contributions) =
        period.start.as_ref().map_or((zero, zero), |start| (start.value, start.contributions));
    let (end_value, end_contributions) = period.end().map_or((zero, zero), |end| (end.value, end.contributions));
    let flows = end_contributions.checked_sub(start_contributions)?;
    let start = match &period.start {
        Some(start) => store::valuation_lines(reader, state.id, currency, start.date).await?,
        None => BTreeMap::new(),
    };
    let end = match (&period.now, period.end()) {
        (Some(now), _) => now.clone(),
        (None, Some(end)) => store::valuation_lines(reader, state.id, currency, end.date).await?,
        (None, None) => BTreeMap::new(),
    };
    let trades: Vec<Trading> = booked
        .into_iter()
        .filter_map(|booked| {
            let transaction = booked.transaction;
            let symbol = transaction.symbol?;
            Some(Trading {
                symbol,
                cash: transaction.cash,
                commission: transaction.commission,
                spread: transaction.spread,
            })
        })
        .collect();
    let found = attribute(start_value.checked_add(flows)?, &start, &end, &trades)?;
    let first = period.points.first().map(|point| point.date);
    Ok(pb::AttributionResponse {
        from: text(asked.from.or(first)),
        to: text(period.end().map(|end| end.date).or(asked.to)),
        start_value: Some(start_value.into()),
        end_value: Some(end_value.into()),
        net_flows: Some(flows.into()),
        costs: Some(found.costs.into()),
        items: found
            .effects
            .into_iter()
            .map(|effect| pb::AttributionItem {
                symbol: effect.symbol.to_string(),
                price_effect: Some(effect.price_effect.into()),
                contribution: fraction(effect.contribution),
                price_return: effect.price_return.map(fraction).unwrap_or_default(),
            })
            .collect(),
    })
}

fn text(date: Option<Date>) -> String {
    date.map(|date| date.to_string()).unwrap_or_default()
}
