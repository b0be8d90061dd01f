// The dashboard: one query, and each part drawn from its answer.
import { freshKey, request } from "./api.js";
import { allocation, ValueChart } from "./charts.js";
import { byId, day, el, money, number, percent, render, signedMoney, tone, words } from "./dom.js";

export const QUERY = `query Dashboard($portfolio: ID) {
  dashboard(portfolioId: $portfolio) {
    user { userId email displayName roles }
    staleSeconds
    portfolios { portfolioId name }
    portfolio {
      portfolioId name currency valuedOn pricesStale
      value { amount currency } cash { amount currency } netContributions { amount currency }
      holdings { symbol quantity price weight marketValue { amount currency } unrealisedGain { amount currency } }
      target { symbol weight }
    }
    performance {
      from timeWeightedReturn timeWeightedAnnualised maxDrawdown volatility
      series { date value { amount } netContributions { amount } }
    }
    recommendations(first: 8) {
      recommendationId decisionId status autonomy summary explanation proposalDigest issuedAt expiresAt statusReason
      driftBefore volatilityBefore volatilityAfter totalCost { amount currency }
      trades { symbol side quantity reason estimatedValue { amount currency } }
      verdicts { ruleId citation outcome reasons }
    }
    orders(first: 15) { orderId symbol side quantity filled orderType status origin reason averagePrice createdAt }
    notifications(first: 10) { notificationId topic title body createdAt read mandatory }
    drift { drift beyondBand band }
    replay { active date until daysDone daysTotal }
  }
}`;

const SPANS = [["1M", 21], ["3M", 63], ["1Y", 252], ["All", Infinity]];
let span = Infinity;
let chart = null;
let latest = null;
/** Recommendations and messages that are being answered, so that a button is not pressed twice. */
const busy = new Set();
/** What the server said to the last attempt, by recommendation. */
const failures = new Map();
let refreshNow = () => {};

export function start(refresh) {
  refreshNow = refresh;
  chart = new ValueChart(byId("value-chart"));
  byId("spans").replaceChildren(...SPANS.map(([name, days]) => el("button", {
    type: "button", class: "span", "aria-pressed": String(days === span),
    onclick: (event) => {
      span = days;
      for (const button of byId("spans").children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
      if (latest) drawValue(latest);
    },
  }, name)));
}

export function show(dashboard) {
  latest = dashboard;
  drawTiles(dashboard);
  drawValue(dashboard);
  drawAllocation(dashboard);
  drawHoldings(dashboard);
  if (dashboard.recommendations) drawRecommendations(dashboard.recommendations);
  if (dashboard.orders) drawOrders(dashboard.orders);
  if (dashboard.notifications) drawNotifications(dashboard.notifications);
}

function drawTiles({ portfolio, performance }) {
  const gain = portfolio?.value && portfolio.netContributions
    ? { amount: (Number(portfolio.value.amount) - Number(portfolio.netContributions.amount)).toFixed(2), currency: portfolio.currency } : null;
  const cashShare = Number(portfolio?.value?.amount) > 0 ? Number(portfolio.cash?.amount) / Number(portfolio.value.amount) : null;
  const annualised = performance?.timeWeightedAnnualised;
  const tiles = [
    ["Value", "stat-value", money(portfolio?.value), gain && `${signedMoney(gain)} on what was paid in`, tone(gain?.amount)],
    ["Cash", "stat-cash", money(portfolio?.cash), cashShare === null ? null : `${percent(cashShare)} of the value`, ""],
    ["Time-weighted return", "stat-return", percent(performance?.timeWeightedReturn, 2, "exceptZero"),
      annualised ? `${percent(annualised, 2, "exceptZero")} a year` : performance && `since ${day(performance.from)}`, tone(performance?.timeWeightedReturn)],
    ["Largest fall", "stat-drawdown", performance ? percent(-Number(performance.maxDrawdown), 2) : "–",
      performance?.volatility ? `volatility ${percent(performance.volatility)} a year` : "from its highest value", ""],
  ];
  render(byId("tiles"), tiles, () => tiles.map(([name, id, figure, note, direction]) => el("div", { class: "tile" },
    el("dt", {}, name),
    el("dd", { class: id === "stat-return" ? `figure ${direction}` : "figure", "data-testid": id }, figure),
    el("dd", { class: `quiet ${id === "stat-value" ? direction : ""}` }, note ?? ""))));
}

function drawValue({ portfolio, performance }) {
  const all = (performance?.series ?? []).map((point) => ({
    date: point.date, value: Number(point.value?.amount), paid: Number(point.netContributions?.amount),
  }));
  const points = span === Infinity ? all : all.slice(-span);
  const state = `${span} ${points.length} ${points.at(-1)?.date} ${points.at(-1)?.value}`;
  if (chart.state === state) return;
  chart.state = state;
  chart.update(points, portfolio?.currency ?? "USD");
}

function drawAllocation({ portfolio, drift }) {
  const rows = new Map();
  const total = Number(portfolio?.value?.amount);
  for (const holding of portfolio?.holdings ?? []) rows.set(holding.symbol, { symbol: holding.symbol, weight: Number(holding.weight), target: null });
  if (total > 0) rows.set("CASH", { symbol: "CASH", weight: Number(portfolio.cash?.amount ?? 0) / total, target: null });
  for (const { symbol, weight } of portfolio?.target ?? []) {
    const row = rows.get(symbol) ?? { symbol, weight: 0, target: null };
    row.target = Number(weight);
    rows.set(symbol, row);
  }
  const sorted = [...rows.values()].filter((row) => row.weight >= 0.0005 || (row.target ?? 0) > 0)
    .sort((one, other) => (other.target ?? other.weight) - (one.target ?? one.weight) || one.symbol.localeCompare(other.symbol));
  render(byId("allocation-chart"), sorted, () => (sorted.length ? allocation(sorted) : empty("Nothing is invested yet.")));
  byId("drift").textContent = drift ? `drift ${percent(drift.drift)}${drift.beyondBand ? ", beyond" : ", within"} the band of ${percent(drift.band)}` : "";
}

function table(caption, columns, rows) {
  return el("table", {}, el("caption", { class: "visually-hidden" }, caption),
    el("thead", {}, el("tr", {}, columns.map(([name, kind]) => el("th", { scope: "col", class: kind }, name)))),
    el("tbody", {}, rows));
}

function drawHoldings({ portfolio }) {
  byId("valued-on").textContent = portfolio?.valuedOn ? `prices of ${day(portfolio.valuedOn)}${portfolio.pricesStale ? ", some are old" : ""}` : "";
  const holdings = portfolio?.holdings ?? [];
  const columns = [["Instrument"], ["Quantity", "right"], ["Price", "right roomy"], ["Value", "right"], ["Gain", "right"], ["Weight", "right roomy"]];
  render(byId("holdings"), holdings, () => (holdings.length ? table("Holdings", columns, holdings.map((holding) => el("tr", { "data-testid": "holding-row" },
    el("th", { scope: "row" }, holding.symbol),
    el("td", { class: "right" }, number(holding.quantity)),
    el("td", { class: "right roomy" }, number(holding.price, 2)),
    el("td", { class: "right" }, money(holding.marketValue)),
    el("td", { class: `right ${tone(holding.unrealisedGain?.amount)}` }, signedMoney(holding.unrealisedGain)),
    el("td", { class: "right roomy" }, percent(holding.weight))))) : empty("Nothing is held yet.")));
}

function drawOrders(orders) {
  const columns = [["Order"], ["Quantity", "right"], ["Average", "right roomy"], ["Status"], ["Placed", "roomy"]];
  render(byId("orders"), orders, () => (orders.length ? table("Orders", columns, orders.map((order) => el("tr", { "data-testid": "order-row", "data-order": order.orderId },
    el("th", { scope: "row" }, el("span", { class: `side ${order.side}` }, order.side), ` ${order.symbol}`, el("span", { class: "quiet block" }, words(order.origin))),
    el("td", { class: "right" }, order.status === "partially_filled" ? `${number(order.filled)} of ${number(order.quantity)}` : number(order.quantity)),
    el("td", { class: "right roomy" }, number(order.averagePrice, 2)),
    el("td", {}, badge(order.status, "order-status"), order.reason && el("span", { class: "quiet block" }, order.reason)),
    el("td", { class: "roomy" }, day(order.createdAt))))) : empty("No orders yet.")));
}

const TONES = {
  open: "note", approved: "note", executing: "note", executed: "good", filled: "good", accepted: "note", submitted: "note",
  partially_filled: "note", denied: "bad", rejected: "bad", withheld: "bad", pass: "good", warn: "warn", fail: "bad", unknown: "warn",
};

const badge = (status, testid) => el("span", { class: `badge ${TONES[status] ?? ""}`, "data-testid": testid, "data-status": status }, words(status));
const empty = (text) => el("p", { class: "empty quiet" }, text);

function drawRecommendations(recommendations) {
  const state = { recommendations, busy: [...busy], failures: [...failures] };
  render(byId("recommendations"), state, () => (recommendations.length ? recommendations.map((one, nth) => recommendation(one, nth === 0))
    : empty("Nothing is recommended at the moment.")));
}

function recommendation(one, first) {
  const id = one.recommendationId;
  const open = one.status === "open";
  const failure = failures.get(id);
  const facts = [
    one.volatilityAfter && ["Volatility", `${percent(one.volatilityBefore)} → ${percent(one.volatilityAfter)}`],
    one.driftBefore && ["Drift", percent(one.driftBefore)],
    one.totalCost && ["Cost", money(one.totalCost)],
    open && one.expiresAt && ["Open until", day(one.expiresAt)],
  ].filter(Boolean);
  const worst = ["fail", "warn", "pass"].find((outcome) => one.verdicts.some((verdict) => verdict.outcome === outcome));
  return el("article", { class: `recommendation ${open ? "open" : ""}`, "data-testid": "recommendation", "data-id": id, "aria-label": one.summary },
    el("header", {}, badge(one.status, "recommendation-status"), el("span", { class: "quiet" }, day(one.issuedAt))),
    el("h3", {}, one.summary),
    one.statusReason && el("p", { class: "quiet" }, one.statusReason),
    el("details", { "data-key": `why-${id}`, open: first && open },
      el("summary", { "data-key": `why-summary-${id}` }, "Why"),
      one.explanation.split(/\n+/).filter(Boolean).map((text) => el("p", { class: "explanation" }, text)),
      facts.length ? el("dl", { class: "facts" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))) : null),
    one.trades.length ? el("details", { "data-key": `trades-${id}`, open: first && open },
      el("summary", { "data-key": `trades-summary-${id}` }, `${one.trades.length} ${one.trades.length === 1 ? "trade" : "trades"}`),
      el("ul", { class: "trades" }, one.trades.map((trade) => el("li", { title: trade.reason },
        el("span", {}, el("span", { class: `side ${trade.side}` }, trade.side), ` ${trade.symbol}`),
        el("span", { class: "right" }, number(trade.quantity)),
        el("span", { class: "right" }, money(trade.estimatedValue)))))) : null,
    one.verdicts.length ? el("details", { "data-key": `rules-${id}` },
      el("summary", { "data-key": `rules-summary-${id}` }, checked(one.verdicts), " ", badge(worst)),
      el("ul", { class: "verdicts" }, one.verdicts.map((verdict) => el("li", {}, badge(verdict.outcome),
        el("span", {}, el("strong", {}, verdict.ruleId), ` ${verdict.citation}`, verdict.reasons.map((reason) => el("span", { class: "quiet block" }, reason))))))) : null,
    open && failure && el("p", { class: "error", role: "alert" }, failure),
    open && one.autonomy === "advise" && el("p", { class: "quiet" }, "Advice only: your mandate leaves the orders to you."),
    open && el("div", { class: "decide" },
      one.autonomy !== "advise" && el("button", {
        type: "button", class: "primary", "data-testid": "approve", "data-key": `approve-${id}`, disabled: busy.has(id),
        onclick: () => decide(one, "approve", { proposal_digest: one.proposalDigest }),
      }, "Approve"),
      el("button", {
        type: "button", "data-testid": "decline", "data-key": `decline-${id}`, disabled: busy.has(id),
        onclick: () => decide(one, "decline", {}),
      }, "Decline")));
}

/** "15 compliance rules checked, 1 with a remark". */
function checked(verdicts) {
  const of = (outcome) => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  const found = [[of("warn"), "with a remark"], [of("fail"), "not kept"]].filter(([count]) => count > 0);
  return [`${verdicts.length} compliance ${verdicts.length === 1 ? "rule" : "rules"} checked`, ...found.map(([count, what]) => `${count} ${what}`)].join(", ");
}

async function decide(one, verb, body) {
  const id = one.recommendationId;
  busy.add(id);
  failures.delete(id);
  drawRecommendations(latest.recommendations);
  try {
    await request("POST", `/api/v1/recommendations/${encodeURIComponent(id)}/${verb}`, body, { "idempotency-key": freshKey() });
  } catch (problem) {
    failures.set(id, problem.message);
  }
  busy.delete(id);
  if (latest?.recommendations) drawRecommendations(latest.recommendations);
  refreshNow();
}

function drawNotifications(notifications) {
  const unread = notifications.filter((one) => !one.read).length;
  byId("unread").textContent = unread ? `${unread} new` : "";
  render(byId("notifications"), { notifications, busy: [...busy] }, () => (notifications.length ? el("ul", { class: "notifications" }, notifications.map((one) => el("li",
    { class: one.read ? "read" : "new", "data-testid": "notification", "data-topic": one.topic },
    el("details", { "data-key": one.notificationId },
      el("summary", { "data-key": `read-${one.notificationId}`, onclick: () => markRead(one) },
        el("span", { class: "title" }, one.title), el("span", { class: "quiet" }, day(one.createdAt))),
      one.body.split(/\n+/).filter(Boolean).map((text) => el("p", {}, text)))))) : empty("No messages yet.")));
}

async function markRead(one) {
  if (one.read || busy.has(one.notificationId)) return;
  busy.add(one.notificationId);
  try {
    await request("POST", `/api/v1/notifications/${encodeURIComponent(one.notificationId)}/read`);
  } catch {
    // It stays marked as new.
  }
  busy.delete(one.notificationId);
}
