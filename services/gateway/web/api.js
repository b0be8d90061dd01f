// The session and the calls. The access token stays in memory; the refresh token lives as long as the browser's tab.

const REFRESH = "moneta.refresh";
let access = null;
let refreshing = null;
let onSignedOut = () => {};
let onHeld = () => {};

/** What the server refused: the problem's code and text. */
export class Problem extends Error {
  constructor(status, details) {
    super(details.detail ?? `the server answered ${status}`);
    this.status = status;
    this.code = details.code ?? "unknown";
    this.errors = details.errors ?? [];
  }
}

export const whenSignedOut = (callback) => { onSignedOut = callback; };
/** Called with the server's words when something is refused because the account is on hold. */
export const whenHeld = (callback) => { onHeld = callback; };
export const hasSession = () => access !== null || sessionStorage.getItem(REFRESH) !== null;

function keep(session) {
  access = session.access_token;
  sessionStorage.setItem(REFRESH, session.refresh_token);
}

function forget() {
  access = null;
  sessionStorage.removeItem(REFRESH);
}

/** Signs in; whether the password must be changed before anything else. */
export async function login(email, password) {
  const session = await read(await send("POST", "/api/v1/auth/login", { body: { email, password } }));
  keep(session);
  return session.password_change_only;
}

/** Ends every session and begins a new one. A wrong password is answered with the status of a session that has run out. */
export async function changePassword(current_password, new_password) {
  const attempt = () => send("PUT", "/api/v1/me/password", { body: { current_password, new_password } });
  if (!access && !(await refresh())) return signedOut();
  let response = await attempt();
  if (response.status === 401 && (await response.clone().json().catch(() => ({}))).code !== "bad_credentials") {
    if (!(await refresh())) return signedOut();
    response = await attempt();
  }
  keep(await read(response));
}

export async function logout() {
  const refresh_token = sessionStorage.getItem(REFRESH);
  try {
    if (refresh_token) await request("POST", "/api/v1/auth/logout", { refresh_token });
  } catch {
    // The session ends here in any case.
  }
  forget();
}

/** One refresh at a time: the token is good once, and a second use of it would end the session. */
async function refresh() {
  refreshing ??= (async () => {
    const refresh_token = sessionStorage.getItem(REFRESH);
    if (!refresh_token) return false;
    const response = await send("POST", "/api/v1/auth/refresh", { body: { refresh_token } });
    if (response.ok) keep(await response.json());
    else if (response.status === 401 || response.status === 403) forget();
    return response.ok;
  })().finally(() => { refreshing = null; });
  return refreshing;
}

function send(method, path, { body, headers = {}, signal } = {}) {
  const all = { accept: "application/json", ...headers };
  if (access) all.authorization = `Bearer ${access}`;
  if (body !== undefined) all["content-type"] = "application/json";
  return fetch(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal });
}

async function read(response) {
  if (response.status === 204) return null;
  const content = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (content.code === "held") onHeld(content.detail);
    throw new Problem(response.status, content);
  }
  return content;
}

/** A response for a signed-in user; the session is refreshed once when it has run out. */
async function authorised(method, path, options) {
  if (!access && !(await refresh())) return signedOut();
  let response = await send(method, path, options);
  if (response.status === 401) {
    if (!(await refresh())) return signedOut();
    response = await send(method, path, options);
  }
  return response;
}

function signedOut() {
  if (!sessionStorage.getItem(REFRESH)) {
    forget();
    onSignedOut();
  }
  throw new Problem(401, { detail: "please sign in again", code: "signed_out" });
}

/** A call that answers JSON. */
export async function request(method, path, body, headers) {
  return read(await authorised(method, path, { body, headers }));
}

/** A call that anybody may make. */
export async function open(path) {
  return read(await send("GET", path));
}

/** A GraphQL query: what could be answered, and what could not. */
export async function graphql(query, variables) {
  const { data, errors = [] } = await request("POST", "/graphql", { query, variables });
  return { data, errors };
}

/** A key for a request that must happen once, however often it is sent. */
export const freshKey = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Server-sent events of a POST, one by one as `{ name, data }`. */
export async function* events(path, body, key) {
  const headers = { accept: "text/event-stream", "idempotency-key": key };
  const response = await authorised("POST", path, { body, headers });
  if (!response.ok) await read(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    waiting += value ?? "";
    const blocks = waiting.split(/\r?\n\r?\n/);
    waiting = done ? "" : blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
    if (done) return;
  }
}

function parse(block) {
  let name = "message";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}
