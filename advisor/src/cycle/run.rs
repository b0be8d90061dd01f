//! Runs a cycle against the neighbouring services and keeps its decision.
use super::{
    DecisionRecord, Inputs, MandateTerms, Parameters, Position, Profile, Results, SCHEMA, Snapshot, Trigger, Verdict,
    autonomy, decide, digest, explanation, fraction, proposal_digest, summary, weights_after,
};
use crate::{
    Advisor, Result,
    execution::under_way,
    mandate::Autonomy,
    market::Day,
    recommendation::{Recommendation, Status},
    store::{Store, StoredDecision},
};
use moneta_contracts::{
    common,
    compliance::{CheckAdviceRequest, ProposedTrade},
    convert,
    events::{DecisionMade, RecommendationClosed, RecommendationIssued},
    portfolio::{PortfolioView, SetTargetRequest},
    user::{Account, GetAccountRequest, GetPreferencesRequest, GetQuestionnaireRequest, Preferences, Questionnaire},
};
use moneta_kit::{
    client::Call,
    problem::{Problem, parse, parse_date, parse_decimal},
};
use moneta_types::{Cause, Currency, DecisionId, Money, PortfolioId, Quantity, RecommendationId, UserId};
use rust_decimal::Decimal;
use std::time::Duration;

/// One cycle: for which portfolio, why, and because of what.
#[derive(Debug, Clone)]
pub struct Cycle {
    /// The portfolio as the portfolio service showed it.
    pub portfolio: PortfolioView,
    /// What called for it.
    pub trigger: Trigger,
    /// Ids derive from it: the same cause again finds the decision that it led to before.
    pub cause: Cause,
}

impl Cycle {
    /// The id of the decision that a cause leads to for a portfolio.
    pub fn decision_id(cause: Cause, portfolio: PortfolioId) -> DecisionId {
        DecisionId::from_uuid(cause.derive(&format!("decision/{portfolio}")))
    }
}

/// What a cycle came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The decision as it is kept.
    pub decision: StoredDecision,
    /// The recommendation, when one was issued.
    pub recommendation: Option<Recommendation>,
}

impl Advisor {
    /// Runs a cycle and keeps decision, recommendation and events in one transaction. A cause that led to a decision
    /// before gives that one again, with its recommendation as it stands now.
    pub async fn run_cycle(&self, cycle: &Cycle) -> Result<Outcome> {
        let portfolio_id: PortfolioId = parse("portfolio_id", &cycle.portfolio.portfolio_id)?;
        let owner_id: UserId = parse("owner_id", &cycle.portfolio.owner_id)?;
        let call = Call::for_user(&self.ctx, owner_id, cycle.cause);
        let decision_id = Cycle::decision_id(cycle.cause, portfolio_id);
        if let Some(outcome) = self.outcome(decision_id).await? {
            // A crash may have come between the decision and the target.
            self.set_target(&call, &outcome).await?;
            return Ok(outcome);
        }
        let day = self.today().await?;
        let inputs = self.inputs(cycle, &call, &day).await?;
        let mut results = decide(&inputs, &day.view)?;
        self.tail_risk_of(&day, &inputs, &mut results).await?;
        let allowed = self.add_verdicts(&call, decision_id, &inputs, &mut results).await?;
        results.outcome = match (results.trades.is_empty(), allowed) {
            (true, _) => "no_action",
            (false, true) => "recommended",
            (false, false) => "withheld",
        }
        .to_owned();
        results.explanation = explanation(&inputs, &results, cycle.trigger);
        let record = DecisionRecord {
            schema: SCHEMA.to_owned(),
            decision_id,
            at: self.ctx.clock.now(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.ctx.seed,
            trigger: cycle.trigger,
            accountable_person: self.config.accountable_person.clone(),
            inputs,
            results,
        };
        let outcome = self.keep(cycle, record, &day).await?;
        self.set_target(&call, &outcome).await?;
        Ok(outcome)
    }

    /// What a decision came to, if it was made.
    pub(crate) async fn outcome(&self, decision: DecisionId) -> Result<Option<Outcome>> {
        let Some(decision) = self.store.decision(decision).await? else { return Ok(None) };
        let recommendation = match decision.recommendation {
            Some(id) => self.store.recommendation(id).await?,
            None => None,
        };
        Ok(Some(Outcome { decision, recommendation }))
    }

    /// The inputs of a cycle, read from portfolio, user and the mandate.
    async fn inputs(&self, cycle: &Cycle, call: &Call, day: &Day) -> Result<Inputs> {
        let view = &day.view;
        let snapshot = snapshot(&cycle.portfolio, day)?;
        let mandate = self.mandate_of(snapshot.portfolio_id, snapshot.owner_id, snapshot.currency).await?;
        let mut user = self.ctx.directory.user();
        let user_id = snapshot.owner_id.to_string();
        let account =
            user.get_account(call.request(GetAccountRequest { user_id: user_id.clone() })).await?.into_inner();
        let questionnaire = user
            .get_questionnaire(call.request(GetQuestionnaireRequest { user_id, version: 0 }))
            .await
            .map_err(questionnaire_missing)?
            .into_inner();
        let request = GetPreferencesRequest { user_id: snapshot.owner_id.to_string() };
        let preferences = user.get_preferences(call.request(request)).await?.into_inner();
        let profile = profile(&account, &questionnaire, &preferences)?;
        let since = self.ctx.clock.now().micros() - 30 * 86_400_000_000;
        let traded =
            self.store.turnover_since(snapshot.portfolio_id, moneta_types::Timestamp::from_micros(since)).await?;
        let traded = Money::from_minor(traded, snapshot.currency).fraction_of(snapshot.value)?.unwrap_or_default();
        let turnover_left = (mandate.max_turnover - traded / Decimal::TWO).max(Decimal::ZERO).round_dp(6);
        let ceiling = profile.volatility_ceiling.min(mandate.volatility_ceiling);
        let config = &self.config;
        Ok(Inputs {
            parameters: Parameters {
                limits: super::Limits {
                    risk_aversion: config.risk_aversion,
                    volatility_ceiling: super::float(ceiling) * config.ceiling_use,
                    max_weight: super::float(mandate.max_weight),
                    min_cash: config.min_cash,
                    max_turnover: config.max_turnover,
                },
                cash_return: config.cash_return,
                market_sharpe: config.market_sharpe,
                view_weight: config.view_weight,
                cost_bp: config.cost_bp,
                holding_days: config.holding_days,
                min_trade: config.min_trade,
                band: config.band,
            },
            mandate: MandateTerms {
                version: mandate.version,
                autonomy: mandate.autonomy.as_str().to_owned(),
                universe: mandate.universe,
                turnover_left,
                max_order_value: mandate.max_order_value,
                volatility_ceiling: mandate.volatility_ceiling,
                max_weight: mandate.max_weight,
            },
            profile,
            market_view: day.digest.clone(),
            models: view.models.clone(),
            feature_manifest: view.feature_manifest.clone(),
            snapshot,
        })
    }

    /// Tail risk of the portfolio after the trades, from the risk model and the market that the view was made from.
    pub(super) async fn tail_risk_of(&self, day: &Day, inputs: &Inputs, results: &mut Results) -> Result<()> {
        let weights = weights_after(inputs, &day.view, &results.trades);
        let version = inputs.models.iter().find(|model| model.name == moneta_models::risk::MODEL);
        let version = version.map(|model| model.version.as_str());
        let risk = self.models.tail_risk(version, &day.names, &day.returns, &weights).await?;
        results.value_at_risk_95 = fraction(risk.value_at_risk_95);
        results.expected_shortfall_95 = fraction(risk.expected_shortfall_95);
        Ok(())
    }

    /// Compliance's verdicts on a proposal; nothing is asked when nothing is proposed.
    async fn add_verdicts(
        &self,
        call: &Call,
        decision: DecisionId,
        inputs: &Inputs,
        results: &mut Results,
    ) -> Result<bool> {
        if results.trades.is_empty() {
            return Ok(true);
        }
        let snapshot = &inputs.snapshot;
        let cost = results.total_cost.fraction_of(snapshot.value)?.unwrap_or_default().round_dp(6);
        let autonomy = Autonomy::from_name("autonomy", &inputs.mandate.autonomy)?;
        let request = CheckAdviceRequest {
            user_id: snapshot.owner_id.to_string(),
            portfolio_id: snapshot.portfolio_id.to_string(),
            trades: results
                .trades
                .iter()
                .map(|trade| ProposedTrade {
                    symbol: trade.symbol.to_string(),
                    side: trade.side.as_str().to_owned(),
                    quantity: Some(trade.quantity.into()),
                    reference_price: Some(common::Price::of(trade.reference_price, snapshot.currency)),
                    estimated_cost: Some(trade.estimated_cost.into()),
                })
                .collect(),
            volatility_before: results.volatility_before.to_string(),
            volatility_after: results.volatility_after.to_string(),
            expected_benefit: results.expected_benefit.to_string(),
            total_cost: cost.to_string(),
            mode: autonomy.mode().to_owned(),
            models: inputs.models.iter().map(|model| (model.name.clone(), model.digest.clone())).collect(),
            accountable_person: self.config.accountable_person.clone(),
            decision_id: decision.to_string(),
        };
        let answer = self.ctx.directory.compliance().check_advice(call.request(request)).await?.into_inner();
        results.rule_pack = answer.rule_pack;
        results.verdicts = answer
            .verdicts
            .into_iter()
            .map(|verdict| Verdict {
                rule_id: verdict.rule_id,
                citation: verdict.citation,
                outcome: verdict.outcome,
                reasons: verdict.reasons,
            })
            .collect();
        Ok(answer.allowed)
    }

    async fn keep(&self, cycle: &Cycle, record: DecisionRecord, day: &Day) -> Result<Outcome> {
        let text = record.canonical()?;
        let recommendation = self.recommendation_of(cycle, &record)?;
        let decision = StoredDecision {
            digest: digest(&text),
            text,
            recommendation: recommendation.as_ref().map(|item| item.id),
            record,
        };
        let snapshot = &decision.record.inputs.snapshot;
        let clock = &self.ctx.clock;
        let mut tx = self.store.begin().await?;
        if !Store::keep_decision(&mut tx, &decision).await? {
            tx.rollback().await?;
            let kept = self.outcome(decision.record.decision_id).await?;
            return Ok(kept.ok_or_else(|| Problem::not_found("decision", decision.record.decision_id))?);
        }
        // The snapshot knows nothing of orders that are out: a proposal made beside them would order the same again.
        if !Store::standing(&mut tx, snapshot.portfolio_id, Status::Executing).await?.is_empty() {
            return Err(under_way());
        }
        Store::keep_view(&mut tx, &day.digest, day.view.date, &day.canonical).await?;
        Store::keep_review(&mut tx, snapshot.portfolio_id, snapshot.valued_on).await?;
        // A decision takes the place of every proposal before it: the client never sees two that contradict.
        let why = "a newer decision took its place";
        self.close_open(&mut tx, snapshot.portfolio_id, Status::Superseded, why, cycle.cause, |_| true).await?;
        tx.publish(
            &DecisionMade {
                decision_id: decision.record.decision_id,
                portfolio_id: snapshot.portfolio_id,
                owner_id: snapshot.owner_id,
                outcome: decision.record.results.outcome.clone(),
                digest: decision.digest.clone(),
                models: decision
                    .record
                    .inputs
                    .models
                    .iter()
                    .map(|model| format!("{} {}", model.name, model.version))
                    .collect(),
                accountable_person: decision.record.accountable_person.clone(),
            },
            cycle.cause,
            clock,
        )
        .await?;
        if let Some(item) = &recommendation {
            Store::keep_recommendation(&mut tx, item).await?;
            tx.publish(
                &RecommendationIssued {
                    recommendation_id: item.id,
                    decision_id: item.decision_id,
                    portfolio_id: item.portfolio_id,
                    owner_id: item.owner_id,
                    autonomy: item.autonomy.clone(),
                    summary: item.summary.clone(),
                    trades: u32::try_from(decision.record.results.trades.len()).unwrap_or(u32::MAX),
                    proposal_digest: item.proposal_digest.clone(),
                    expires: item.expires,
                },
                cycle.cause,
                clock,
            )
            .await?;
        }
        tx.commit().await?;
        log_of(&decision);
        Ok(Outcome { decision, recommendation })
    }

    fn recommendation_of(&self, cycle: &Cycle, record: &DecisionRecord) -> Result<Option<Recommendation>> {
        if record.results.outcome != "recommended" {
            return Ok(None);
        }
        let inputs = &record.inputs;
        let snapshot = &inputs.snapshot;
        let id = RecommendationId::from_uuid(cycle.cause.derive(&format!("recommendation/{}", snapshot.portfolio_id)));
        Ok(Some(Recommendation {
            id,
            portfolio_id: snapshot.portfolio_id,
            owner_id: snapshot.owner_id,
            decision_id: record.decision_id,
            status: Status::Open,
            status_reason: String::new(),
            autonomy: autonomy(inputs, &record.results).to_owned(),
            summary: summary(inputs, &record.results, record.trigger),
            proposal_digest: proposal_digest(snapshot, &record.results.trades)?,
            portfolio_version: snapshot.version,
            questionnaire: inputs.profile.questionnaire,
            mandate_version: inputs.mandate.version,
            issued: record.at,
            expires: record.at.plus(Duration::from_secs(self.config.expiry_days * 86_400)),
            version: 1,
            orders: Vec::new(),
        }))
    }

    /// Tells the portfolio what it is aimed at, so that page and drift speak of the same target.
    async fn set_target(&self, call: &Call, outcome: &Outcome) -> Result<()> {
        if !outcome.recommendation.as_ref().is_some_and(|item| item.status == Status::Open) {
            return Ok(());
        }
        let record = &outcome.decision.record;
        let request = SetTargetRequest {
            portfolio_id: record.inputs.snapshot.portfolio_id.to_string(),
            target: record
                .results
                .target
                .iter()
                .map(|weight| common::Weight { symbol: weight.symbol.to_string(), weight: weight.weight.to_string() })
                .collect(),
            source: "advisor".to_owned(),
        };
        self.ctx.directory.portfolio().set_target(call.request(request)).await?;
        Ok(())
    }
}

/// The event that tells of a recommendation's end.
pub(crate) fn closed(item: &Recommendation) -> RecommendationClosed {
    RecommendationClosed {
        recommendation_id: item.id,
        portfolio_id: item.portfolio_id,
        owner_id: item.owner_id,
        status: item.status.as_str().to_owned(),
        reason: item.told_reason().to_owned(),
    }
}

fn log_of(decision: &StoredDecision) {
    tracing::info!(
        decision = %decision.record.decision_id,
        outcome = decision.record.results.outcome,
        digest = decision.digest,
        "decision made"
    );
}

fn questionnaire_missing(status: tonic::Status) -> crate::Error {
    if status.code() == tonic::Code::NotFound {
        return Problem::precondition(
            "no_questionnaire",
            "there is no suitability questionnaire yet; without its answers we may not advise",
        )
        .into();
    }
    status.into()
}

/// The snapshot of a portfolio at the view's prices.
pub(crate) fn snapshot(portfolio: &PortfolioView, day: &Day) -> Result<Snapshot> {
    let view = &day.view;
    let currency: Currency = parse("currency", &portfolio.currency)?;
    if currency != day.currency {
        return Err(Problem::precondition(
            "currency_not_supported",
            format!(
                "the portfolio is kept in {currency} and the market's prices are in {}; Moneta converts nothing",
                day.currency
            ),
        )
        .into());
    }
    let cash = convert::money("cash", portfolio.cash.clone())?;
    let mut holdings = portfolio
        .holdings
        .iter()
        .map(|holding| {
            let symbol: moneta_types::Symbol = parse("holding.symbol", &holding.symbol)?;
            let quantity: Quantity = convert::quantity("holding.quantity", holding.quantity)?;
            let price = match view.position(&symbol).and_then(|index| view.prices.get(index)) {
                Some(price) => *price,
                None => convert::price("holding.price", holding.price.clone())?,
            };
            let value = price.value_of(quantity, currency)?;
            Ok(Position { symbol, quantity, price, value })
        })
        .collect::<Result<Vec<_>>>()?;
    holdings.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let value = holdings.iter().try_fold(cash, |sum, holding| sum.checked_add(holding.value))?;
    Ok(Snapshot {
        portfolio_id: parse("portfolio_id", &portfolio.portfolio_id)?,
        owner_id: parse("owner_id", &portfolio.owner_id)?,
        version: portfolio.version,
        currency,
        cash,
        value,
        holdings,
        valued_on: match portfolio.valued_on.as_str() {
            "" => view.date,
            text => parse_date("valued_on", text)?.max(view.date),
        },
    })
}

fn profile(account: &Account, questionnaire: &Questionnaire, preferences: &Preferences) -> Result<Profile> {
    let listed = preferences.values.get("exclusions").map(String::as_str).unwrap_or_default();
    let listed = listed.split(',').filter(|symbol| !symbol.is_empty());
    let mut exclusions = listed.map(|symbol| parse("exclusions", symbol)).collect::<Result<Vec<_>, _>>()?;
    exclusions.sort();
    Ok(Profile {
        questionnaire: questionnaire.version,
        risk_tolerance: parse("risk_tolerance", &questionnaire.risk_tolerance)?,
        capacity_for_loss: questionnaire.capacity_for_loss.clone(),
        volatility_ceiling: parse_decimal("volatility_ceiling", &questionnaire.volatility_ceiling, None)?,
        vulnerable: account.vulnerable,
        exclusions,
    })
}
