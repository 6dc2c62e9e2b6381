// Whether the server is there, for a page that follows a stream of events.
//
// A stream that breaks off says so by itself. One that falls silent does not: then the server is asked.

import { AWAY, Refusal, ask, isAway, wording } from "./ask.js";
import { follow } from "./live.js";

const SILENT_MS = 10_000;  // without an event, after which the server is asked
const ANSWER_MS = 5_000;
const LOOK_MS = 500;
const FIRST_PAUSE_MS = 1_000, LONGEST_PAUSE_MS = 5_000;  // between questions that are not answered

export class Connection {
  /** @type {string} */
  #path;
  /** @type {Taken} */
  #take;
  /** @type {Changed} */
  #changed;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {Refusal | null} */
  #broken = null;     // why the stream does not come, in words
  #isAway = false;
  #isMute = false;    // it was asked, and did not answer
  #isAsking = false;
  #heardAt = performance.now();
  #pause = FIRST_PAUSE_MS;
  #askedAt = 0;

  // `take(name, data)` gets each event. `changed(isAway, words)` is told when the server goes and comes
  // back, and whenever the stream begins again; `words` are for the user, empty when all is well.
  /** @param {string} path @param {{ take: Taken, changed: Changed }} listener */
  constructor(path, { take, changed }) {
    this.#path = path;
    this.#take = take;
    this.#changed = changed;
    this.#follow();
    setInterval(() => this.#look(), LOOK_MS);
    for (const name of ["offline", "online"]) addEventListener(name, () => this.#ask());
    document.addEventListener("visibilitychange", () => this.#look());
  }

  get isAway() {
    return this.#isAway;
  }

  // Follows another stream from now on.
  /** @param {string} path */
  follow(path) {
    this.#path = path;
    this.#follow();
  }

  // Something has come from the server, by whatever way.
  heard() {
    this.#heardAt = performance.now();
    if (!this.#isMute) return;
    this.#isMute = false;
    this.#pause = FIRST_PAUSE_MS;
    this.#follow();  // what the old stream has missed meanwhile, it may never say
  }

  // A question was not answered: `error` says why.
  /** @param {unknown} error */
  failed(error) {
    if (isAway(error)) this.#mute();
  }

  #follow() {
    this.#stop?.();
    this.#stop = follow(this.#path, {
      take: (name, data) => {
        this.heard();
        this.#take(name, data);
      },
      state: (error) => this.#state(error),
    });
  }

  /** @param {unknown} error */
  #state(error) {
    // A stream that breaks off does so in a browser's own words.
    this.#broken = error === null || error instanceof Refusal ? error : new Refusal(0, AWAY);
    if (error === null) this.#heardAt = performance.now();
    this.#tell();
  }

  #tell() {
    this.#isAway = this.#isMute || isAway(this.#broken);
    this.#changed(this.#isAway, this.#isAway ? AWAY : wording(this.#broken));
  }

  #look() {
    const now = performance.now();
    const isDue = this.#isMute ? now - this.#askedAt > this.#pause : now - this.#heardAt > SILENT_MS;
    if (isDue && !document.hidden) this.#ask();
  }

  // Any answer will do.
  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await ask("/api/about", { signal: AbortSignal.timeout(ANSWER_MS) });
      this.heard();
    } catch (error) {
      if (error instanceof Refusal && !isAway(error)) this.heard();
      else this.#mute();
    } finally {
      this.#isAsking = false;
      this.#askedAt = performance.now();
    }
  }

  #mute() {
    if (this.#isMute) {
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
      return;
    }
    this.#isMute = true;
    this.#askedAt = performance.now();
    this.#tell();
  }
}
