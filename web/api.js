/** The commands of the native protocol over HTTP. A refusal becomes a `Problem`. */

import { credentialHeaders, isGuest, withCredential } from "./credentials.js";
import { retryDelayMs } from "./cursor.js";
import { renewed } from "./staying.js";

const ATTEMPTS = 5;

/** What the server, or the way to it, had against a request; `message` is fit to be shown. */
export class Problem extends Error {
  constructor({ detail, code = "network", field = null, status = 0, retryable = false }) {
    super(detail);
    this.code = code;
    this.field = field;
    this.status = status;
    this.retryable = retryable;
  }
}

async function problemOf(response) {
  try {
    const body = await response.json();
    return new Problem({ detail: body.title ?? response.statusText, ...body, status: response.status });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const trouble = "The server has trouble and did not do it";
    const detail = response.status >= 500 ? `${trouble} (${response.status}). Try again.` : `The server answered ${response.status}.`;
    return new Problem({ detail, status: response.status });
  }
}

async function send(method, path, body, headers) {
  try {
    return await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", ...credentialHeaders(), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Problem({ detail: "The server cannot be reached.", retryable: true });
  }
}

/** What was refused because a token had ended was not done, and is asked for again with the next token. */
export async function once(method, path, body, headers) {
  let response = await send(method, path, body, headers);
  if (response.status === 401 && !isGuest && !headers?.Authorization) {
    if (await renewed()) response = await send(method, path, body, headers);
    if (response.status === 401) dispatchEvent(new Event("rhapsode:who"));
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Only for requests that may be repeated: the server does them once, or doing them twice changes nothing. */
export async function patiently(method, path, body, headers) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(method, path, body, headers);
    } catch (error) {
      const worthwhile = error instanceof Problem && error.retryable && error.status !== 429;
      if (!worthwhile || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(attempt, Math.random())));
    }
  }
}

/** What to do about a `Problem`; anything else is a mistake of ours and stays loud. */
export async function orElse(onProblem, action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return onProblem(error);
  }
}

/** The WebSocket's address of a path of this server. */
export function socketUrl(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

export class Api {
  constructor(base = "v1") {
    this._base = base;
  }

  url(session, rest = "", query = {}) {
    const search = new URLSearchParams(query).toString();
    return `${this._base}/sessions/${encodeURIComponent(session)}${rest}${search ? `?${search}` : ""}`;
  }

  /** An address for the browser itself, which shows no credential in a header. */
  link(session, rest, query = {}) {
    return this.url(session, rest, withCredential(query));
  }

  streamUrl(session) {
    return socketUrl(this.url(session, "/stream"));
  }

  async createSession(settings, title) {
    return (await once("POST", `${this._base}/sessions`, { settings, title })).json();
  }

  /** `request` is {prompt} or {text}, and settings; repeated with the same key it is still one turn. */
  async requestTurn(session, request, key) {
    return (await patiently("POST", this.url(session, "/turns"), request, { "Idempotency-Key": key })).json();
  }

  /** A stop names its turn, so it may come late or twice; the others would be out of order by then. */
  async control(session, action, about = {}) {
    const send = action === "stop" ? patiently : once;
    return (await send("POST", this.url(session, "/control"), { action, ...about })).json();
  }

  async changeSettings(session, settings) {
    return (await patiently("PATCH", this.url(session), { settings })).json();
  }

  async rename(session, title) {
    await patiently("PATCH", this.url(session), { title });
  }

  /** A session that begins as this one did, up to the event `at`. */
  async fork(session, wish) {
    return (await once("POST", this.url(session, "/fork"), wish)).json();
  }

  async remove(session) {
    await patiently("DELETE", this.url(session));
  }

  /** Newest first; `next` is the `before` of those that follow. */
  async sessions(query = {}) {
    const search = new URLSearchParams(query).toString();
    return (await patiently("GET", `${this._base}/sessions${search ? `?${search}` : ""}`)).json();
  }

  async session(session) {
    return (await patiently("GET", this.url(session))).json();
  }

  async shares(session) {
    return (await patiently("GET", this.url(session, "/shares"))).json();
  }

  async share(session, wish) {
    return (await once("POST", this.url(session, "/shares"), wish)).json();
  }

  async revoke(session, share) {
    await patiently("DELETE", this.url(session, `/shares/${encodeURIComponent(share)}`));
  }

  async voices() {
    const { voices, languages } = await (await once("GET", `${this._base}/voices`)).json();
    const spoken = Object.assign({}, ...Object.values(languages).reverse());
    return voices.map((id) => ({ id, languages: spoken[id] }));
  }

  /** How far the server's clock is ahead of ours, as far as its Date header (whole seconds) proves any skew. */
  async clockSkewMs(session) {
    const asked = Date.now();
    const response = await once("GET", this.url(session));
    const told = Date.parse(response.headers.get("Date") ?? "");
    if (told > Date.now()) return told - Date.now();
    return Math.min(0, told + 1_000 - asked) || 0;
  }
}
