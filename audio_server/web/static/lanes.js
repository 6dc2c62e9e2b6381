// The last minutes of a device as three lanes: presses, takes, and what its LEDs showed. The list
// says the same in words.

import { make } from "./dom.js";
import { capital, title } from "./words.js";

const WINDOW_S = 120;
const TICK_MS = 250;
const DARK = "#0c0d10";
const UNLIT = "#2c3038";
const ENDS_TAKE = new Set(["take_started", "take_ended", "gone"]);
/** @type {("press" | "take" | "leds")[]} */
const LANES = ["press", "take", "leds"];
const ENDS_LEDS = new Set(["leds", "gone"]);

export class Lanes {
  /** @type {HTMLElement} */
  #layer;
  /** @type {() => number} */
  #now;
  /** @type {number} */
  #zero;             // where the layer's left edge is in time
  /** @type {HTMLElement[]} */
  #until = [];       // what goes on: its right edge is now

  // `now` gives the server's time in seconds.
  /** @param {HTMLElement} box @param {() => number} now */
  constructor(box, now) {
    this.#now = now;
    this.#zero = now() - WINDOW_S;
    /** @param {string} name */
    const lane = (name) => make("div", { class: `lane ${name}` });
    this.lanes = { press: lane("press"), take: lane("take"), leds: lane("leds") };
    this.#layer = make("div", { class: "layer" }, ...Object.values(this.lanes));
    box.append(this.#layer);
    new ResizeObserver(() => this.#layer.style.setProperty("--px", String(box.clientWidth / WINDOW_S))).observe(box);
    setInterval(() => this.#move(), TICK_MS);
  }

  // Events of the API, oldest first.
  /** @param {Api.Event[]} events */
  draw(events) {
    const begin = this.#now() - WINDOW_S;
    this.#zero = begin;
    this.#until = [];
    /** @type {Record<"press" | "take" | "leds", HTMLElement[]>} */
    const drawn = { press: [], take: [], leds: [] };
    /** @type {Span | null} */
    let take = null, leds = null;
    for (const one of events) {
      if (one.kind === "press" && one.at > begin) drawn.press.push(this.#press(one));
      if (take && ENDS_TAKE.has(one.kind)) take = this.#end(take, one.at, drawn.take);
      if (leds && ENDS_LEDS.has(one.kind)) leds = this.#end(leds, one.at, drawn.leds);
      if (one.kind === "take_started") take = this.#span(one, title(one.clip ?? ""));
      if (one.kind === "leds") leds = this.#lit(one);
    }
    if (take) drawn.take.push(this.#goesOn(take));
    if (leds) drawn.leds.push(this.#goesOn(leds));
    for (const name of LANES) this.lanes[name].replaceChildren(...drawn[name]);
    this.#move();
  }

  /** @param {Api.Event} event */
  #press({ at, button = "?" }) {
    const item = make("span", { class: "dot", text: capital(button).charAt(0), title: capital(button) });
    item.style.setProperty("--at", String(at - this.#zero));
    return item;
  }

  /** @param {Api.Event} event @param {string} text @returns {Span} */
  #span({ at }, text) {
    const item = make("span", { class: "span", text, title: text });
    item.style.setProperty("--at", String(Math.max(0, at - this.#zero)));
    return { item, at };
  }

  // A stripe for each LED but the first, which is the device's own.
  /** @param {Api.Event} event */
  #lit(event) {
    const span = this.#span(event, "");
    const stripes = (event.leds ?? []).slice(1).map((led, at, { length }) => stripe(led, at, length));
    if (stripes.length) span.item.style.background = `linear-gradient(${stripes.join(", ")})`;
    span.item.classList.toggle("greeting", !stripes.length);
    return span;
  }

  /** @param {Span} span @param {number} at @param {HTMLElement[]} drawn */
  #end({ item }, at, drawn) {
    if (at < this.#zero) return null;
    item.style.setProperty("--to", String(at - this.#zero));
    drawn.push(item);
    return null;
  }

  /** @param {Span} span */
  #goesOn({ item }) {
    this.#until.push(item);
    return item;
  }

  #move() {
    const passed = this.#now() - this.#zero;
    this.#layer.style.setProperty("--passed", String(passed - WINDOW_S));
    for (const item of this.#until) item.style.setProperty("--to", String(passed));
  }
}

// The part of a gradient that shows one LED.
/** @param {string} led @param {number} at @param {number} count */
function stripe(led, at, count) {
  const colour = led.slice(7) === "00" ? UNLIT : led.slice(0, 7);
  const [top, middle, bottom] = [at, at + 0.75, at + 1].map((edge) => `${100 * edge / count}%`);
  return `${colour} ${top} ${middle}, ${DARK} ${middle} ${bottom}`;
}
