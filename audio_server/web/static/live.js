// Events of the server that come back by themselves, each page's over a WebSocket of its own.
//
// Not by EventSource or fetch: a browser allows six connections to a server, for all its tabs together,
// and a stream holds one for as long as its page is open. WebSockets are counted apart from those.

import { Refusal, ask } from "./ask.js";

const FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 5000;
const SILENT_MS = 45_000;  // the server says something each 15 s
const FULL = 4003;         // closed with the reason: too many watch already
const BLOCKED_AFTER = 3;   // failures while requests are answered: then something lets none through
const BLOCKED = "The server answers, but lets no WebSocket through: a proxy must pass Upgrade.";

// `take(name, data)` gets each event; `state(error)` null when events come, else why they do not.
/** @param {string} path @param {{ take: Taken, state: StreamState }} listener */
export function follow(path, { take, state }) {
  const stream = new Stream(path, take, state);
  addEventListener("pagehide", () => stream.stop(), { once: true });
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  return () => stream.stop();
}

class Stream {
  /** @type {string} */
  #address;
  /** @type {Taken} */
  #take;
  /** @type {StreamState} */
  #state;
  /** @type {WebSocket | null} */
  #socket = null;
  #begun = false;     // whether the server has said anything on this socket
  #stopped = false;
  #failures = 0;
  #pause = FIRST_PAUSE_MS;
  /** @type {number | undefined} */
  #timer;

  /** @param {string} path @param {Taken} take @param {StreamState} state */
  constructor(path, take, state) {
    const address = new URL(path, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#address = address.href;
    this.#take = take;
    this.#state = state;
    this.#open();
  }

  stop() {
    this.#stopped = true;
    this.#end();
  }

  #open() {
    if (this.#stopped) return;
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#begun = false;
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    this.#wait();
  }

  // A socket that falls silent is ended: the network may have lost it without a word.
  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#end();
      this.#closed(0, "");
    }, SILENT_MS);
  }

  #end() {
    clearTimeout(this.#timer);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }

  /** @param {string} text */
  #hear(text) {
    this.#wait();
    this.#pause = FIRST_PAUSE_MS;
    this.#failures = 0;
    if (!this.#begun) this.#state(null);
    this.#begun = true;
    const { name, data } = parse(text);
    if (data) this.#take(name, JSON.parse(data));
  }

  /** @param {number} code @param {string} reason */
  async #closed(code, reason) {
    clearTimeout(this.#timer);
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    if (code === FULL) this.#state(new Refusal(503, reason));
    else if (!this.#begun) await this.#tellWhy();
    setTimeout(() => this.#open(), pause);
  }

  // A WebSocket does not tell why it was not let in; a request does, or leads to the login page.
  async #tellWhy() {
    this.#failures += 1;
    try {
      await ask("/api/about");
      if (this.#failures >= BLOCKED_AFTER) this.#state(new Refusal(0, BLOCKED));
    } catch (error) {
      if (!this.#stopped) this.#state(error);
    }
  }
}

// An event as `text/event-stream` has it; one without data is a sign of life.
/** @param {string} text */
function parse(text) {
  const event = { name: "message", data: "" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const [field, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "event") event.name = value;
    else if (field === "data") event.data += value;
  }
  return event;
}
