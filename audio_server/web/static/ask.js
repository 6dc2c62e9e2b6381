// Questions to the server's API. Whoever is not logged in is sent to the login page, and back after.

// What the server said no to: its own words in `message`, and the HTTP status (0: no answer).
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const AWAY = "The server is away; this page comes back with it.";

// Why a stream of events does not come; nothing where it does.
export function wording(error) {
  if (error === null) return "";
  return error instanceof Refusal ? error.message : AWAY;
}

export function toLogin() {
  const here = location.pathname + location.search;
  location.replace(`/login?next=${encodeURIComponent(here)}`);
  return new Promise(() => {});  // the page is leaving: nothing shall happen after
}

// The answer's JSON. Raises `Refusal`.
export async function ask(path, { method = "GET", json, ...options } = {}) {
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers = { "content-type": "application/json" };
  }
  const answer = await open(path, { method, ...options });
  return answer.status === 204 ? null : answer.json();
}

// The answer itself, once its status is good. Raises `Refusal`; an abort stays an `AbortError`.
export async function open(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, AWAY);
  }
  if (answer.status === 401) await toLogin();
  if (!answer.ok) throw new Refusal(answer.status, reason(await answer.text(), answer.status));
  return answer;
}

export function reason(text, status) {
  try {
    return JSON.parse(text).error || `The server answered ${status}.`;
  } catch {
    return text.trim().slice(0, 300) || `The server answered ${status}.`;
  }
}
