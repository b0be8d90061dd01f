// The conversation: questions go out, answers stream in with what they rest on.
import { events, freshKey, request } from "./api.js";
import { byId, el } from "./dom.js";

const SUGGESTIONS = ["How is my portfolio doing?", "Why did it move?", "Explain your last recommendation", "What is volatility?"];
let conversation = null;
let answering = false;
let signedIn = 0;
let refreshNow = () => {};

export function start(refresh) {
  refreshNow = refresh;
  byId("suggestions").replaceChildren(...SUGGESTIONS.map((text) => el("button", { type: "button", class: "chip", onclick: () => say(text) }, text)));
  byId("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = byId("chat-input");
    const text = input.value.trim();
    if (!text || answering) return;
    input.value = "";
    say(text);
  });
}

/** The last conversation, so that a reload loses nothing. */
export async function open() {
  const mine = (signedIn += 1);
  conversation = null;
  byId("messages").replaceChildren();
  try {
    const { items } = await request("GET", "/api/v1/conversations?limit=1");
    if (!items.length || mine !== signedIn) return;
    const messages = await everything(`/api/v1/conversations/${encodeURIComponent(items[0].conversation_id)}/messages`);
    if (mine !== signedIn || conversation) return;
    conversation = items[0].conversation_id;
    byId("messages").replaceChildren(...messages.map((message, nth) => draw(message, nth === messages.length - 1)));
    settle();
  } catch {
    // The first message will say what is wrong.
  }
}

/** All items of a list, oldest first, page by page. */
async function everything(path) {
  const all = [];
  let cursor = "";
  do {
    const page = await request("GET", `${path}?limit=200&cursor=${encodeURIComponent(cursor)}`);
    all.push(...page.items);
    cursor = page.next_cursor ?? "";
  } while (cursor);
  return all;
}

function settle() {
  const log = byId("messages");
  log.scrollTop = log.scrollHeight;
  byId("suggestions").hidden = log.childElementCount > 0;
}

function bubble(role) {
  return el("div", { class: `message ${role}`, "data-testid": "chat-message", "data-role": role });
}

function draw(message, last = true) {
  return finish(bubble(message.role), message, last);
}

/** A message with its citations, the sources of its figures, and what can be done about it. */
function finish(element, message, last = true) {
  element.classList.remove("waiting");
  element.removeAttribute("aria-busy");
  const paragraphs = message.text.split(/\n+/).filter(Boolean).map((text) => el("p", {}, withFigures(text, message.figures ?? [])));
  element.replaceChildren(...paragraphs);
  if (message.refusal) element.classList.add("refusal");
  if (message.citations?.length) {
    element.append(el("details", { class: "citations" }, el("summary", {}, `${message.citations.length} ${message.citations.length === 1 ? "source" : "sources"}`),
      message.citations.map((citation) => el("blockquote", { "data-testid": "citation" }, el("strong", {}, citation.title), el("p", {}, citation.excerpt)))));
  }
  const actions = last ? (message.actions ?? []).filter((action) => action.kind === "confirm" || action.kind === "cancel") : [];
  if (actions.length) {
    element.append(el("div", { class: "decide" }, actions.map((action) => el("button", {
      type: "button", class: action.kind === "confirm" ? "primary" : "", title: action.summary, "data-testid": `chat-${action.kind}`,
      onclick: (event) => {
        for (const button of event.currentTarget.parentElement.children) button.disabled = true;
        say(action.kind === "confirm" ? "yes" : "no");
      },
    }, action.label || action.kind))));
  }
  return element;
}

/** The figures of an answer are marked in its text, and tell where they come from. */
function withFigures(text, figures) {
  const parts = [];
  let rest = text;
  while (rest) {
    const found = figures.filter((figure) => figure.value && rest.includes(figure.value))
      .map((figure) => ({ figure, at: rest.indexOf(figure.value) }))
      .sort((one, other) => one.at - other.at || other.figure.value.length - one.figure.value.length)[0];
    if (!found) break;
    const { figure, at } = found;
    parts.push(rest.slice(0, at), el("span", { class: "sourced", tabindex: "0", title: `${figure.name}: ${figure.source}` }, figure.value));
    rest = rest.slice(at + figure.value.length);
  }
  return [...parts, rest];
}

async function say(text) {
  if (answering) return;
  answering = true;
  const log = byId("messages");
  for (const button of log.querySelectorAll(".decide button")) button.disabled = true;
  const question = bubble("user");
  question.append(el("p", {}, text));
  const answer = bubble("adviser");
  answer.classList.add("waiting");
  answer.setAttribute("aria-busy", "true");
  answer.append(el("p", { "aria-label": "Moneta is thinking" }, "…"));
  log.append(question, answer);
  settle();
  byId("card-chat").classList.add("busy");
  try {
    conversation ??= (await request("POST", "/api/v1/conversations", { title: text.slice(0, 60) })).conversation_id;
    let soFar = "";
    let whole = null;
    for await (const { name, data } of events(`/api/v1/conversations/${encodeURIComponent(conversation)}/messages`, { text }, freshKey())) {
      if (name === "text") {
        soFar += data.text;
        answer.replaceChildren(el("p", {}, soFar));
      } else if (name === "message") {
        whole = data;
      } else if (name === "error") {
        throw new Error(data.detail ?? "the answer broke off");
      }
      log.scrollTop = log.scrollHeight;
    }
    if (!whole) throw new Error("the answer broke off; ask again");
    finish(answer, whole);
  } catch (problem) {
    answer.classList.remove("waiting");
    answer.removeAttribute("aria-busy");
    answer.classList.add("failed");
    answer.replaceChildren(el("p", {}, problem.message));
  }
  answering = false;
  byId("card-chat").classList.remove("busy");
  settle();
  refreshNow();
}
