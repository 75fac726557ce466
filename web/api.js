/** The commands of the native protocol over HTTP. A refusal becomes a `Problem`. */

import { ApiError } from "./client/connection.js";
import { connection } from "./connection.js";
import { withCredential } from "./credentials.js";
import { refusalOf } from "./refusals.js";

export { ApiError as Problem };

const translated = (send) => (...request) => send.apply(connection, request).catch(refuse);
export const once = translated(connection.once);
export const patiently = translated(connection.patiently);
const persistently = translated((...request) => connection.repeated(() => connection.once(...request), () => true, Infinity));

/** @throws the error, whose message is in the reader's language. */
function refuse(error) {
  if (error instanceof ApiError) error.message = refusalOf(error);
  throw error;
}

/** Resolves with `onProblem`'s answer to a `Problem`; any other error is a mistake of ours and stays loud. */
export async function orElse(onProblem, action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return onProblem(error);
  }
}

export class Api {
  constructor(base = "v1") {
    this._base = base;
    this._stops = new Map(); // on their way: by turn, the request that is repeated
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
    return this.url(session, "/stream");
  }

  async createSession(settings, title) {
    return (await once("POST", `${this._base}/sessions`, { settings, title })).json();
  }

  /** `request` is {prompt} or {text}, and settings; repeated with the same key it is still one turn. */
  async requestTurn(session, request, key) {
    return (await patiently("POST", this.url(session, "/turns"), request, { "Idempotency-Key": key })).json();
  }

  /** A stop names its turn, so it may come late or twice: it is repeated until the server has it. The others would be out of order by then. */
  async control(session, action, about = {}) {
    const where = this.url(session, "/control");
    const wish = { action, ...about };
    if (action !== "stop") {
      await once("POST", where, wish);
      return;
    }
    const name = `${where} ${about.turn}`;
    if (!this._stops.has(name)) this._stops.set(name, persistently("POST", where, wish).finally(() => this._stops.delete(name)));
    await this._stops.get(name);
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

  /** Language models of other providers: `[{provider, model}]`. */
  async models() {
    const { data } = await (await once("GET", `${this._base}/models`)).json();
    const theirs = data.filter(({ kind, owned_by: owner }) => kind === "chat" && owner !== "rhapsode");
    return theirs.map(({ id, owned_by: provider }) => ({ provider, model: id.slice(provider.length + 1) }));
  }

  async voices() {
    const { voices, languages } = await (await once("GET", `${this._base}/voices`)).json();
    const spoken = Object.assign({}, ...Object.values(languages).reverse());
    return voices.map((id) => ({ id, languages: spoken[id] }));
  }

  /** Milliseconds by which the server's clock is ahead of ours, as far as its Date header (whole seconds) proves any skew. */
  async clockSkewMs(session) {
    const asked = Date.now();
    const response = await once("GET", this.url(session));
    const told = Date.parse(response.headers.get("Date") ?? "");
    if (told > Date.now()) return told - Date.now();
    return Math.min(0, told + 1_000 - asked) || 0;
  }
}
