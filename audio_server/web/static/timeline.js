// What happened to a device, newest first.

import { byId, make, setText } from "./dom.js";
import { lamps, light } from "./lamps.js";
import { Lanes } from "./lanes.js";
import { clock, exact } from "./words.js";

const LINES = 500;
/** @type {Record<string, string>} */
const GROUPS = { press: "presses", take_started: "takes", take_ended: "takes", leds: "leds", correction: "leds" };
const BAD = new Set(["correction", "refused"]);

export class Timeline {
  /** @type {Map<number, Api.Event>} */
  #seen = new Map();   // seq → what happened
  /** @type {Set<string>} */
  #hidden = new Set();
  #lanes;

  // `now` gives the server's time in seconds.
  /** @param {() => number} now */
  constructor(now) {
    this.#lanes = new Lanes(byId("lanes"), now);
    for (const box of byId("filters").querySelectorAll("input")) {
      box.addEventListener("change", () => this.#filter(box.value, box.checked));
    }
  }

  // Events of the API, in their order; those that are known already are left out.
  /** @param {Api.Event[]} events */
  add(events) {
    for (const event of events) {
      if (this.#seen.has(event.seq)) continue;
      this.#seen.set(event.seq, event);
      byId("timeline").prepend(this.#line(event));
    }
    this.#sort(events.length);
    this.#forget();
    this.#lanes.draw([...this.#seen.values()].sort((a, b) => a.at - b.at || a.seq - b.seq));
    byId("nothing").hidden = this.#seen.size > 0;
  }

  /** @param {Api.Event} event */
  #line(event) {
    const group = GROUPS[event.kind] ?? "others";
    const failed = isBad(event) ? " failed" : "";
    const line = make("li", { class: `${event.kind} in-${group}${failed}`, "data-seq": event.seq },
      moment(event.at), make("span", { class: "mark", "aria-hidden": "true" }),
      make("span", { class: "what", text: sentence(event.text) }));
    line.hidden = this.#hidden.has(group);
    if (event.kind === "leds" && event.leds) line.append(drawn(event.leds));
    return line;
  }

  // The past can come after what has happened meanwhile.
  /** @param {number} added */
  #sort(added) {
    const list = byId("timeline");
    const [first, second] = list.children;
    if (added < 2 && Number(first?.dataset.seq) > Number(second?.dataset.seq ?? 0)) return;
    list.append(...[...list.children].sort((a, b) => Number(b.dataset.seq) - Number(a.dataset.seq)));
  }

  #forget() {
    const list = byId("timeline");
    for (const line of [...list.children].slice(LINES)) {
      this.#seen.delete(Number(line.dataset.seq));
      line.remove();
    }
  }

  /** @param {string} group @param {boolean} on */
  #filter(group, on) {
    if (on) this.#hidden.delete(group);
    else this.#hidden.add(group);
    for (const line of byId("timeline").children) {
      if (line.classList.contains(`in-${group}`)) line.hidden = !on;
    }
    setText(byId("hidden"), this.#hidden.size ? "Some are hidden." : "");
  }
}

/** @param {Api.Event} event */
const isBad = ({ kind, outcome }) => BAD.has(kind) || outcome === "failed";

/** @param {number} at */
function moment(at) {
  return make("time", { text: clock(at), title: exact(at), datetime: new Date(1000 * at).toISOString() });
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {string[]} leds */
function drawn(leds) {
  const box = lamps();
  light(box, { leds, confirmed: leds });
  return box;
}
