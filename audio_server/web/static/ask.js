// Questions to the server's API. Whoever is not logged in is sent to the login page, and back after.

// What the server said no to: its own words in `message`, and the HTTP status (0: no answer).
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const AWAY = "The server is away. Reconnecting …";
const BROKEN = "This page does not work as it should. Load it again.";
const PROXY_STATUSES = new Set([502, 504]);

// Whether nobody answered: no server, or a proxy that has none behind it.
/** @param {unknown} error */
export function isAway(error) {
  if (error instanceof Refusal) return error.message === AWAY || PROXY_STATUSES.has(error.status);
  return error instanceof DOMException && ["AbortError", "TimeoutError"].includes(error.name);
}

// What an error says to the user, never in a browser's words; nothing where there is none.
/** @param {unknown} error */
export function wording(error) {
  if (error === null) return "";
  if (isAway(error)) return AWAY;
  if (error instanceof Refusal) return error.message;
  console.error(error);
  return BROKEN;
}

/** @type {Promise<never> | null} */
let leaving = null;

// Once, however many requests are refused: a second one would begin the navigation anew.
export function toLogin() {
  leaving ??= new Promise(() => {  // the page is leaving: nothing shall happen after
    const here = location.pathname + location.search;
    location.replace(`/login?next=${encodeURIComponent(here)}`);
  });
  return leaving;
}

// The user logs out: a request that is refused from now on shall not lead elsewhere.
export function logOut() {
  leaving ??= new Promise(() => {});
}

// The answer's JSON. Raises `Refusal`.
/** @param {string} path @param {RequestInit & { json?: unknown }} options @returns {Promise<any>} */
export async function ask(path, { method = "GET", json, ...options } = {}) {
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers = { "content-type": "application/json" };
  }
  const answer = await open(path, { method, ...options });
  if (answer.status === 204) return null;
  return jsonOf(await bodyOf(answer));
}

// The answer itself, once its status is good. Raises `Refusal`; an abort stays an `AbortError`.
/** @param {string} path @param {RequestInit} options */
export async function open(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw lost(error);
  }
  if (answer.status === 401) await toLogin();
  if (!answer.ok) throw new Refusal(answer.status, reason(await bodyOf(answer), answer.status));
  return answer;
}

// An answer can break off after its head.
/** @param {Response} answer */
async function bodyOf(answer) {
  try {
    return await answer.text();
  } catch (error) {
    throw lost(error);
  }
}

// JSON of the server; a proxy may answer in its place.
/** @param {string} text @returns {any} */
export function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(502, AWAY);
  }
}

// What a browser says in its own words: that the server was not reached.
/** @param {unknown} error */
function lost(error) {
  return error instanceof DOMException && error.name === "AbortError" ? error : new Refusal(0, AWAY);
}

/** @param {string} text @param {number} status */
export function reason(text, status) {
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string" && error) return error;
  } catch {
    // a proxy's page, or a text that is for machines
  }
  return `The server answered with status ${status}. Try again; its log may say more.`;
}
