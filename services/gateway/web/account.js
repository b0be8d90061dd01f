// What a person decides about himself: which documents he consents to, and his password. And what he sees of a hold: that there
// is one, and whom to turn to. Why it was placed is told to no page.
import { changePassword, request, whenHeld } from "./api.js";
import { byId, day, el, render } from "./dom.js";

const DOCUMENTS = {
  terms_of_service: ["Terms of service", "What we do for you, and on which terms."],
  privacy_notice: ["Privacy notice", "What we keep about you, why, and for how long."],
  algorithm_disclosure: ["Advice by an algorithm", "An algorithm advises you. Without this consent the agent never acts by itself."],
};

let me = null;
let busy = null;
let loaded = 0;
let onChanged = () => {};
let onLeave = () => {};

export function start({ changed, leave }) {
  onChanged = changed;
  onLeave = leave;
  byId("password-form").addEventListener("submit", submitPassword);
  byId("password-leave").addEventListener("click", () => onLeave(byId("password-form").forced));
  whenHeld(held);
}

/** The account of whoever has signed in. */
export async function open() {
  const mine = (loaded += 1);
  me = null;
  busy = null;
  byId("hold").hidden = true;
  byId("consents-error").textContent = "";
  draw();
  try {
    const found = await request("GET", "/api/v1/me");
    if (mine === loaded) me = found;
  } catch (problem) {
    if (mine === loaded) byId("consents-error").textContent = `Your consents cannot be shown: ${problem.message}`;
  }
  if (mine === loaded) draw();
}

function draw() {
  const consents = me?.consents ?? [];
  byId("contact").hidden = !me?.contact;
  byId("contact").textContent = me?.contact ? `Questions? Contact us: ${me.contact}` : "";
  render(byId("consents"), { consents, busy }, () => el("ul", { class: "consents" }, consents.map(consent)));
}

function consent(one) {
  const [name, about] = DOCUMENTS[one.document] ?? [one.document, ""];
  const accepted = one.decision === "accepted";
  const outdated = accepted && one.decided_version !== one.version;
  const said = one.decision
    ? `${accepted ? "Accepted" : "Withdrawn"}, version ${one.decided_version}, on ${day(one.decided_at)}`
    : "Not decided yet";
  const verb = accepted && !outdated ? "Withdraw" : "Accept";
  return el("li", { "data-testid": "consent", "data-document": one.document, "data-decision": one.decision ?? "" },
    el("div", {},
      el("h3", {}, name, el("span", { class: "quiet" }, ` version ${one.version}`)),
      el("p", { class: "quiet" }, about),
      el("p", { "data-testid": "consent-state" }, said, outdated ? ". There is a new version." : "")),
    el("button", {
      type: "button", "data-testid": `consent-${one.document}`, "data-key": `consent-${one.document}`, disabled: busy !== null,
      "aria-label": `${verb} ${name}`,
      onclick: () => decide(one.document, verb === "Accept" ? "accepted" : "withdrawn"),
    }, verb));
}

async function decide(document, decision) {
  const mine = loaded;
  busy = document;
  byId("consents-error").textContent = "";
  draw();
  try {
    await request("PUT", "/api/v1/preferences", { [document]: decision });
    const found = await request("GET", "/api/v1/me");
    if (mine === loaded) me = found;
  } catch (problem) {
    if (mine === loaded) byId("consents-error").textContent = problem.message;
  }
  if (mine !== loaded) return;
  busy = null;
  draw();
  byId("consents").querySelector(`[data-key="consent-${document}"]`)?.focus();
}

/** Asks for a new password: `forced` when nothing else can be done before, with the one that was just typed. */
export function askPassword({ forced, current = "" }) {
  const form = byId("password-form");
  form.reset();
  form.forced = forced;
  byId("password-current").value = current;
  byId("password-why").textContent = forced
    ? "Your password was given out by somebody else. Until you choose one of your own, nothing else can be done."
    : "Every other session of yours ends when you change it.";
  byId("password-leave").textContent = forced ? "Sign out" : "Back";
  byId("password-error").textContent = "";
  byId(current ? "password-new" : "password-current").focus();
}

async function submitPassword(event) {
  event.preventDefault();
  const [current, chosen, again] = ["current", "new", "again"].map((name) => byId(`password-${name}`).value);
  const error = byId("password-error");
  error.textContent = "";
  if (chosen !== again) {
    error.textContent = "The two new passwords are not the same.";
    byId("password-again").focus();
    return;
  }
  const button = event.currentTarget.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    await changePassword(current, chosen);
    byId("password-form").reset();
    onChanged();
  } catch (problem) {
    if (problem.code !== "signed_out") error.textContent = problem.status ? problem.message : "Moneta does not answer; try again in a moment.";
  }
  button.disabled = false;
}

function held(text) {
  const where = me?.contact ? ` Contact: ${me.contact}.` : "";
  byId("hold").textContent = `Your account is on hold: ${text}.${where}`;
  byId("hold").hidden = false;
}
