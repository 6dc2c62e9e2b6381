// What happened to a device, newest first.

import { byId, make, setText } from "./dom.js";
import { lamps, light } from "./lamps.js";
import { Lanes } from "./lanes.js";
import { clock, exact } from "./words.js";

const LINES = 500;
const GROUPS = { press: "presses", take_started: "takes", take_ended: "takes", leds: "leds", correction: "leds" };
const BAD = new Set(["correction", "refused"]);

export class Timeline {
  #seen = new Map();   // seq → what happened
  #hidden = new Set();
  #lanes;

  // `now` gives the server's time in seconds.
  constructor(now) {
    this.#lanes = new Lanes(byId("lanes"), now);
    for (const box of byId("filters").querySelectorAll("input")) {
      box.addEventListener("change", () => this.#filter(box.value, box.checked));
    }
  }

  // Events of the API, in their order; those that are known already are left out.
  add(events) {
    for (const event of events) {
      if (this.#seen.has(event.seq)) continue;
      this.#seen.set(event.seq, event);
      byId("timeline").prepend(this.#line(event));
    }
    this.#sort(events.length);
    this.#forget();
    this.#lanes.draw([...this.#seen.values()].sort((a, b) => a.seq - b.seq));
    byId("nothing").hidden = this.#seen.size > 0;
  }

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
  #sort(added) {
    const list = byId("timeline");
    const [first, second] = list.children;
    if (added < 2 && Number(first?.dataset.seq) > Number(second?.dataset.seq ?? 0)) return;
    list.append(...[...list.children].sort((a, b) => b.dataset.seq - a.dataset.seq));
  }

  #forget() {
    const list = byId("timeline");
    while (list.childElementCount > LINES) {
      this.#seen.delete(Number(list.lastElementChild.dataset.seq));
      list.lastElementChild.remove();
    }
  }

  #filter(group, on) {
    if (on) this.#hidden.delete(group);
    else this.#hidden.add(group);
    for (const line of byId("timeline").children) {
      if (line.classList.contains(`in-${group}`)) line.hidden = !on;
    }
    setText(byId("hidden"), this.#hidden.size ? "Some are hidden." : "");
  }
}

const isBad = ({ kind, outcome }) => BAD.has(kind) || outcome === "failed";

function moment(at) {
  return make("time", { text: clock(at), title: exact(at), datetime: new Date(1000 * at).toISOString() });
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function drawn(leds) {
  const box = lamps();
  light(box, { leds, confirmed: leds });
  return box;
}
