// Elements and texts. Every text from the server goes through textContent, so it is never read as markup.

/** An HTML element with properties and children: `el("p", { class: "quiet" }, "text", other)`. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/**
 * Shows a list in a container, and again only when its data has changed: what the reader opened stays open, and where the
 * keyboard was it is again.
 */
export function render(container, data, draw) {
  const state = JSON.stringify(data);
  if (container.shownState === state) return;
  container.shownState = state;
  const open = new Set([...container.querySelectorAll("details[open]")].map((details) => details.dataset.key));
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  container.replaceChildren(...[draw(data)].flat());
  for (const details of container.querySelectorAll("details")) details.open = details.open || open.has(details.dataset.key);
  if (focused) [...container.querySelectorAll("[data-key]")].find((found) => found.dataset.key === focused)?.focus();
}

/** "$1,250.50" */
export function money(value, options = {}) {
  if (!value) return "–";
  const format = new Intl.NumberFormat("en", { style: "currency", currency: value.currency, ...options });
  return format.format(value.amount);
}

/** "+$12.00" or "−$12.00" */
export const signedMoney = (value) => money(value, { signDisplay: "exceptZero" });

/** "12.5 %" of a decimal fraction; what rounds to nothing has no sign. */
export function percent(fraction, digits = 1, sign = "negative") {
  if (fraction === null || fraction === undefined || fraction === "") return "–";
  const format = new Intl.NumberFormat("en", {
    style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: sign,
  });
  return format.format(Number(fraction)).replace("%", "\u00a0%");
}

/** "12.5" without needless zeros, with thousands separated. */
export const number = (text, digits = 4) =>
  text === null || text === undefined || text === "" ? "–" : new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(text);

/** "28 Feb 2020" of an ISO date or time. */
export function day(text) {
  if (!text) return "–";
  const moment = new Date(text.length === 10 ? `${text}T00:00:00Z` : text);
  return moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** "partially filled" of "partially_filled". */
export const words = (text) => (text ?? "").replaceAll("_", " ");

/** Which way a figure points, as a class: gains and losses are told apart by sign and colour. */
export const tone = (amount) => (Number(amount) > 0 ? "up" : Number(amount) < 0 ? "down" : "");
