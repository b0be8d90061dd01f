// Two charts, drawn as SVG.
import { day, el, money, percent, svg } from "./dom.js";

const HEIGHT = 260;
const MARGIN = { top: 14, right: 14, bottom: 26, left: 58 };

/** Steps of 1, 2, 2.5 or 5 times a power of ten that cover a range in about `count` lines. */
export function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
  return found;
}

/** The value over time with the money that was paid in, an axis each way, and a reading under the pointer or the keys. */
export class ValueChart {
  constructor(container) {
    this.container = container;
    this.points = [];
    this.chosen = null;
    this.tip = el("p", { class: "tip", role: "status", hidden: true });
    this.canvas = svg("svg", { tabindex: "0", role: "img", height: HEIGHT });
    container.append(this.canvas, this.tip);
    this.legend = el("p", { class: "legend quiet" }, el("span", { class: "swatch value" }), "Value", el("span", { class: "swatch paid" }), "Paid in");
    container.append(this.legend);
    this.canvas.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.canvas.addEventListener("pointerleave", () => this.choose(null));
    this.canvas.addEventListener("blur", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(container);
  }

  /** Shows points `{ date, value, paid }` in a currency. */
  update(points, currency) {
    this.points = points;
    this.currency = currency;
    if (this.chosen !== null && this.chosen >= points.length) this.chosen = null;
    this.draw();
  }

  draw() {
    const width = this.container.clientWidth;
    if (!width) return;
    this.canvas.replaceChildren();
    this.canvas.setAttribute("width", width);
    this.canvas.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    if (this.points.length < 2) {
      this.canvas.append(svg("text", { x: width / 2, y: HEIGHT / 2, class: "empty", "text-anchor": "middle" }, "The line begins after the second trading day."));
      return;
    }
    const all = this.points.flatMap((point) => [point.value, point.paid]).filter(Number.isFinite);
    const room = (Math.max(...all) - Math.min(...all)) * 0.06 || Math.abs(all[0]) * 0.02 || 1;
    const low = Math.min(...all) - room;
    const high = Math.max(...all) + room;
    const inner = width - MARGIN.left - MARGIN.right;
    const depth = HEIGHT - MARGIN.top - MARGIN.bottom;
    this.x = (index) => MARGIN.left + (index / (this.points.length - 1)) * inner;
    this.y = (value) => MARGIN.top + (1 - (value - low) / (high - low)) * depth;
    const first = this.points[0];
    const last = this.points.at(-1);
    this.canvas.setAttribute("aria-label", `Value from ${day(first.date)}, ${this.format(first.value)}, to ${day(last.date)}, ${this.format(last.value)}. Arrow keys read single days.`);
    this.axes(low, high, width);
    const line = (name) => this.points.map((point, index) => `${index ? "L" : "M"}${this.x(index).toFixed(1)} ${this.y(point[name]).toFixed(1)}`).join("");
    const base = (HEIGHT - MARGIN.bottom).toFixed(1);
    this.canvas.append(
      svg("path", { class: "area", d: `${line("value")}L${this.x(this.points.length - 1).toFixed(1)} ${base}L${MARGIN.left} ${base}Z` }),
      svg("path", { class: "line paid", d: line("paid") }),
      svg("path", { class: "line value", d: line("value") }),
      svg("circle", { class: "end", r: 3.5, cx: this.x(this.points.length - 1), cy: this.y(last.value) }),
    );
    this.cursor = svg("g", { class: "cursor", visibility: "hidden" }, svg("line", { y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }), svg("circle", { r: 4.5 }));
    this.canvas.append(this.cursor);
    this.choose(this.chosen);
  }

  axes(low, high, width) {
    for (const value of ticks(low, high, 4)) {
      const y = this.y(value);
      this.canvas.append(
        svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
        svg("text", { class: "tick", x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 }).format(value)),
      );
    }
    const count = Math.max(2, Math.min(6, Math.floor(width / 130), this.points.length));
    for (let nth = 0; nth < count; nth += 1) {
      const index = Math.round((nth / (count - 1)) * (this.points.length - 1));
      const anchor = nth === 0 ? "start" : nth === count - 1 ? "end" : "middle";
      const moment = new Date(`${this.points[index].date}T00:00:00Z`);
      const text = moment.toLocaleDateString("en-GB", this.points.length > 500 ? { month: "short", year: "numeric", timeZone: "UTC" } : { day: "numeric", month: "short", year: "2-digit", timeZone: "UTC" });
      this.canvas.append(svg("text", { class: "tick", x: this.x(index), y: HEIGHT - 6, "text-anchor": anchor }, text));
    }
  }

  format(value) {
    return money({ amount: value, currency: this.currency });
  }

  point(clientX) {
    if (this.points.length < 2) return;
    const left = this.canvas.getBoundingClientRect().left;
    const inner = this.container.clientWidth - MARGIN.left - MARGIN.right;
    const share = (clientX - left - MARGIN.left) / inner;
    this.choose(Math.round(Math.min(1, Math.max(0, share)) * (this.points.length - 1)));
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || this.points.length < 2) return;
    event.preventDefault();
    const last = this.points.length - 1;
    this.choose(Math.min(last, Math.max(0, (this.chosen ?? last) + step)));
  }

  choose(index) {
    this.chosen = index;
    this.tip.hidden = index === null;
    this.cursor?.setAttribute("visibility", index === null ? "hidden" : "visible");
    if (index === null || !this.points[index]) return;
    const point = this.points[index];
    const [x, y] = [this.x(index), this.y(point.value)];
    const [line, dot] = this.cursor.children;
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    const gain = point.value - point.paid;
    this.tip.replaceChildren(el("strong", {}, day(point.date)), el("span", {}, this.format(point.value)), el("span", { class: "quiet" }, `${this.format(point.paid)} paid in, ${money({ amount: gain, currency: this.currency }, { signDisplay: "exceptZero" })}`));
    const half = this.tip.offsetWidth / 2;
    const at = Math.min(this.container.clientWidth - half, Math.max(half, x));
    this.tip.style.left = `${at}px`;
    // On the side of the chart where the line is not.
    this.tip.style.top = y > HEIGHT / 2 ? "0" : `${HEIGHT - MARGIN.bottom - this.tip.offsetHeight - 8}px`;
  }
}

/** Bars of weights with a mark at each target. `rows`: `{ symbol, weight, target }` as decimal fractions. */
export function allocation(rows) {
  const most = Math.max(0.05, ...rows.flatMap((row) => [row.weight, row.target ?? 0]));
  const share = (fraction) => `${((Math.max(0, fraction) / most) * 100).toFixed(2)}%`;
  return el("ul", { class: "bars" }, rows.map((row) => {
    const bar = el("span", { class: "bar" });
    bar.style.width = share(row.weight);
    const track = el("span", { class: "track", "aria-hidden": "true" }, bar);
    if (row.target !== null) {
      const mark = el("span", { class: "target" });
      mark.style.left = share(row.target);
      track.append(mark);
    }
    const difference = row.target === null ? null : row.weight - row.target;
    const text = row.target === null ? percent(row.weight) : `${percent(row.weight)}, target ${percent(row.target)}`;
    const title = difference === null ? "no target" : `${percent(difference, 1, "exceptZero")} against the target`;
    return el("li", { title }, el("span", { class: "symbol" }, row.symbol), track, el("span", { class: "figures" }, text));
  }));
}
