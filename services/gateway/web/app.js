// The page: sign in, then a dashboard that is asked for every two seconds.
import * as account from "./account.js";
import { graphql, hasSession, login, logout, open, whenSignedOut } from "./api.js";
import * as chat from "./chat.js";
import * as dashboard from "./dashboard.js";
import { byId, day, el } from "./dom.js";

const EVERY = 2000;
const SLOWEST = 30000;
const DEMO = ["cautious@example.com", "balanced@example.com", "adventurous@example.com"];
let timer = null;
let asking = false;
let again = false;
let pause = EVERY;
let portfolio = null;
let session = 0;

function showLogin(why = "") {
  session += 1;
  clearTimeout(timer);
  timer = null;
  portfolio = null;
  byId("screen").hidden = true;
  byId("password-screen").hidden = true;
  byId("login").hidden = false;
  byId("password").value = "";
  byId("login-error").textContent = why;
  byId("email").focus();
  offerDemo();
}

/** Demo accounts are named only where history is replayed. */
async function offerDemo() {
  const replay = await open("/api/v1/replay").catch(() => null);
  byId("demo-users").hidden = !replay?.active;
  if (!replay?.active) return;
  byId("demo-buttons").replaceChildren(...DEMO.map((email) => el("button", {
    type: "button", class: "chip",
    onclick: () => {
      byId("email").value = email;
      byId("password").value = "moneta-demo";
      byId("login-form").requestSubmit();
    },
  }, email.split("@")[0])));
}

function showScreen() {
  session += 1;
  byId("login").hidden = true;
  byId("password-screen").hidden = true;
  byId("screen").hidden = false;
  byId("who").textContent = "";
  account.open();
  chat.open();
  refresh();
}

/** The form for a new password, instead of everything else. */
function showPassword(wanted) {
  session += 1;
  clearTimeout(timer);
  timer = null;
  byId("login").hidden = true;
  byId("screen").hidden = true;
  byId("password-screen").hidden = false;
  account.askPassword(wanted);
}

async function refresh() {
  clearTimeout(timer);
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  const mine = session;
  try {
    const { data, errors } = await graphql(dashboard.QUERY, { portfolio });
    if (mine === session && data?.dashboard) {
      draw(data.dashboard, errors);
      pause = EVERY;
    } else if (mine === session && errors.length) {
      notice(errors[0].message);
    }
  } catch (problem) {
    if (mine === session && problem.code === "password_change_required") showPassword({ forced: true });
    // A server that is away or busy is asked less and less often.
    else if (mine === session && problem.code !== "signed_out") {
      pause = Math.min(SLOWEST, pause * 2);
      notice(problem.status ? problem.message : "Moneta does not answer. What you see may be old; trying again.");
    }
  }
  asking = false;
  if (byId("screen").hidden) return;
  const soon = again || mine !== session;
  again = false;
  timer = setTimeout(refresh, soon ? 0 : pause);
}

function notice(text) {
  byId("notice").hidden = !text;
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
}

function draw(shown, errors) {
  if (shown.user) byId("who").textContent = shown.user.displayName || shown.user.email;
  const missing = [...new Set(errors.map((error) => error.path?.[1]).filter(Boolean))];
  if (shown.staleSeconds !== null && shown.staleSeconds !== undefined) notice(`The portfolio service does not answer. You see what was known ${shown.staleSeconds} s ago.`);
  else if (missing.length) notice(`Not available at the moment: ${missing.join(", ")}.`);
  else notice(shown.portfolio ? "" : withoutPortfolio(shown.user));
  drawReplay(shown.replay);
  drawChoice(shown);
  dashboard.show(shown);
}

/** What somebody reads who has no portfolio: staff have no screen, and a client opens one by the API. */
function withoutPortfolio(user) {
  if (user && !user.roles.includes("investor")) return "There is no screen for your role yet: what you can do is described at /openapi.json.";
  return "You have no portfolio yet. It is opened with POST /api/v1/portfolios, as /openapi.json describes.";
}

function drawReplay(replay) {
  byId("replay").hidden = !replay?.active;
  if (!replay?.active) return;
  byId("replay-text").textContent = `Replaying market history: ${day(replay.date)}${replay.until ? `, until ${day(replay.until)}` : ""}`;
  byId("replay-progress").max = Math.max(1, replay.daysTotal);
  byId("replay-progress").value = replay.daysDone;
}

function drawChoice({ portfolios, portfolio: shown }) {
  const choice = byId("portfolio-choice");
  choice.hidden = !portfolios || portfolios.length < 2;
  const state = JSON.stringify(portfolios ?? []);
  if (choice.hidden || choice.shownState === state) return;
  choice.shownState = state;
  choice.replaceChildren(...portfolios.map((one) => el("option", { value: one.portfolioId, selected: one.portfolioId === shown?.portfolioId }, one.name)));
}

byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter ?? event.currentTarget.querySelector("button[type=submit]");
  byId("login-error").textContent = "";
  button.disabled = true;
  try {
    const typed = byId("password").value;
    if (await login(byId("email").value.trim(), typed)) showPassword({ forced: true, current: typed });
    else showScreen();
  } catch (problem) {
    byId("login-error").textContent = problem.status ? sentence(problem.message) : "Moneta does not answer; try again in a moment.";
  }
  button.disabled = false;
});

/** A message of the server, which begins in lower case, as a sentence. */
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

byId("logout").addEventListener("click", async () => {
  await logout();
  showLogin();
});

byId("change-password").addEventListener("click", () => showPassword({ forced: false }));

byId("portfolio-choice").addEventListener("change", (event) => {
  portfolio = event.currentTarget.value;
  refresh();
});

// A page that nobody sees need not be kept up to date.
document.addEventListener("visibilitychange", () => {
  if (byId("screen").hidden) return;
  if (document.hidden) clearTimeout(timer);
  else refresh();
});

whenSignedOut(() => showLogin("Your session has ended. Please sign in again."));
account.start({
  changed: showScreen,
  leave: async (forced) => {
    if (!forced) return showScreen();
    await logout();
    showLogin();
  },
});
dashboard.start(refresh);
chat.start(refresh);
if (hasSession()) showScreen();
else showLogin();
