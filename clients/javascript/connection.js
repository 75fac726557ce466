/** HTTP and WebSockets to one server, with the caller's credential. A refusal becomes an `ApiError`. */

import { retryDelayMs } from "./cursor.js";

const REPEATABLE = new Set(["GET", "DELETE", "PATCH", "PUT"]);
const UNAUTHORIZED = 401;

/**
 * A refusal or a lost connection; `message` is fit to be shown. `code` is stable (docs/protocol.md), and
 * "connection.lost" stands for no answer. `field` is the path of the wrong field of the request, `retryAfterS` the seconds
 * after which the server takes it, if it says so.
 */
export class ApiError extends Error {
  /**
   * @param {{detail: string, code?: string, field?: string | null, status?: number, retryable?: boolean,
   *   retryAfterS?: number | null}} problem
   */
  constructor({ detail, code = "connection.lost", field = null, status = 0, retryable = false, retryAfterS = null }) {
    super(detail);
    this.name = "ApiError";
    this.code = code;
    this.field = field;
    this.status = status;
    this.retryable = retryable;
    this.retryAfterS = retryAfterS;
  }
}

/** The problem that an answer tells (RFC 9457). @param {Response} response */
async function errorOf(response) {
  const { status } = response;
  try {
    const { title, detail, code, field, retryable } = await response.json();
    const retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || null;
    const told = detail ?? title ?? response.statusText;
    return new ApiError({ detail: told, code: code ?? `http.${status}`, field, retryable, status, retryAfterS });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const trouble = "The server has trouble and did not do it";
    const detail = status >= 500 ? `${trouble} (${status}). Try again.` : `The server answered ${status}.`;
    return new ApiError({ detail, code: `http.${status}`, status });
  }
}

/** Whether an answer is read whole at once: one that breaks off is then a lost connection, and no half of an answer. */
const isJson = ({ status, headers }) => status !== 204 && /[/+]json\b/.test(headers.get("Content-Type") ?? "");

/** Waits, or until the browser is connected again. @param {number} ms @returns {Promise<void>} */
function pauseMs(ms) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", over); // Node has neither
      resolve();
    };
    const timer = setTimeout(over, ms);
    globalThis.addEventListener?.("online", over);
  });
}

export class Connection {
  /**
   * `url` is the server's address; what is asked for lies below it. `credential()` gives the key or token of this
   * moment, or null; `renew()` resolves to whether another one can be had after a 401. `onUnauthorized()` is told of a
   * 401 that stands. `patienceMs`: so long are refusals tried again that say that it may help, after `Retry-After` where
   * they have it; one that would be taken only later is thrown at once.
   *
   * @param {{url: string, credential?: () => string | null, renew?: () => Promise<boolean>, onUnauthorized?: () => void,
   *   patienceMs?: number}} options
   */
  constructor({ url, credential = () => null, renew = async () => false, onUnauthorized = () => {}, patienceMs = 30_000 }) {
    this.url = url;
    this.credential = credential;
    this.renew = renew;
    this.patienceMs = patienceMs;
    this._onUnauthorized = onUnauthorized;
  }

  /** The address of a path. @param {string} path @param {Record<string, string>} [query] */
  address(path, query = {}) {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  /** The header of the credential, if there is one. @returns {Record<string, string>} */
  get headers() {
    const shown = this.credential();
    return shown ? { Authorization: `Bearer ${shown}` } : {};
  }

  /**
   * The credential is in the handshake and not in the address, which ends up in logs.
   *
   * @param {string} path @param {Record<string, string>} [query]
   */
  openSocket(path, query) {
    if (typeof WebSocket === "undefined") {
      throw new TypeError("There is no WebSocket here. Node has one from 22 on; before, set globalThis.WebSocket to that of ws.");
    }
    const url = this.address(path, query);
    url.protocol = url.protocol.replace("http", "ws");
    const shown = this.credential();
    return shown ? new WebSocket(url.href, ["rhapsode", `bearer.${shown}`]) : new WebSocket(url.href);
  }

  /**
   * One request and its answer; a body that is a string is sent as it is, any other as JSON. A request that was refused
   * because a token had ended was not done, and is sent again with the next token.
   *
   * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers]
   */
  async once(method, path, body, headers) {
    let response = await this._send(method, path, body, headers);
    if (response.status === UNAUTHORIZED && !headers?.Authorization) {
      if (await this.renew()) response = await this._send(method, path, body, headers);
      if (response.status === UNAUTHORIZED) this._onUnauthorized();
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  /**
   * For requests that may be repeated: the server does them once, or doing them twice changes nothing. Refusals
   * that say so, and lost connections, are tried again.
   *
   * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers]
   */
  async patiently(method, path, body, headers) {
    return this.repeated(() => this.once(method, path, body, headers), () => true);
  }

  /**
   * The JSON of the answer, null for none. Refusals that say so are tried again; a lost connection only where the
   * request cannot happen twice.
   *
   * @param {string} method @param {string} path @param {Record<string, unknown>} [body] @returns {Promise<any>}
   */
  async call(method, path, body) {
    const repeatable = REPEATABLE.has(method) || "key" in (body ?? {});
    const ask = () => this.once(method, path, body);
    const response = await this.repeated(ask, ({ status }) => repeatable || status > 0);
    return response.status === 204 ? null : response.json();
  }

  /** @param {() => Promise<Response>} ask @param {(error: ApiError) => boolean} mayRepeat @param {number} [patienceMs] */
  async repeated(ask, mayRepeat, patienceMs = this.patienceMs) {
    const deadline = Date.now() + patienceMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        const worthwhile = error instanceof ApiError && error.retryable && mayRepeat(error);
        const afterMs = ((error instanceof ApiError && error.retryAfterS) || 0) * 1000;
        if (!worthwhile || Date.now() + afterMs > deadline) throw error;
        await pauseMs(Math.max(afterMs, retryDelayMs(attempt, Math.random())));
      }
    }
  }

  /** @param {string} method @param {string} path @param {unknown} body @param {Record<string, string>} [headers] */
  async _send(method, path, body, headers) {
    const encoded = typeof body === "string" ? body : JSON.stringify(body);
    try {
      const sent = { "Content-Type": "application/json", ...this.headers, ...headers };
      const response = await fetch(this.address(path), { method, headers: sent, body: encoded });
      return isJson(response) ? new Response(await response.arrayBuffer(), response) : response;
    } catch (error) {
      if (!(error instanceof TypeError) && error.name !== "AbortError") throw error; // Firefox: the body broke off
      throw new ApiError({ detail: "The server cannot be reached.", retryable: true });
    }
  }
}

/** A UUID, as an idempotency key or the name of an input. Pages without TLS and Node 18 have no `randomUUID`. */
export function newKey() {
  const digit = () => Math.floor(Math.random() * 16).toString(16);
  return globalThis.crypto?.randomUUID?.() ?? "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx".replaceAll("x", digit);
}
