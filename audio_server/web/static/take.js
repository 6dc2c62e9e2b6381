// How far a take has come: a bar that moves by itself, and figures.

import { setText } from "./dom.js";
import { span } from "./words.js";

const DRIFT_S = 0.25;  // how far a bar may be off before it is set again

export class Take {
  /** @type {import("./devices.js").Devices} */
  #devices;
  /** @type {HTMLElement} */
  #bar;
  /** @type {HTMLElement} */
  #time;
  /** @type {Api.Playing | null} */
  #playing = null;
  /** @type {number | null} */
  #begun = null;     // when it would have begun on this browser's clock, as the bar has it
  #seconds = 0;
  #turn = false;

  /** @param {import("./devices.js").Devices} devices @param {HTMLElement} bar @param {HTMLElement} time */
  constructor(devices, bar, time) {
    this.#devices = devices;
    this.#bar = bar;
    this.#time = time;
  }

  // `playing` of a row; null where nothing plays.
  /** @param {Api.Playing | null} playing */
  show(playing) {
    this.#playing = playing;
    this.#bar.parentElement?.classList.toggle("idle", !playing);
    if (playing && playing.seconds !== null) this.#move(playing, playing.seconds);
    else this.#end();
    this.tick();
  }

  #end() {
    if (this.#begun !== null) this.#bar.style.animation = "none";
    this.#begun = null;
  }

  // Another name begins an animation anew.
  /** @param {Api.Playing} playing @param {number} seconds */
  #move(playing, seconds) {
    const at = this.#devices.position(playing);
    const begun = performance.now() / 1000 - at;
    if (seconds === this.#seconds && Math.abs(begun - (this.#begun ?? Infinity)) < DRIFT_S) return;
    this.#begun = begun;
    this.#seconds = seconds;
    this.#turn = !this.#turn;
    this.#bar.style.animation = `${this.#turn ? "take" : "next-take"} ${seconds}s linear ${-at}s both`;
  }

  // The figures; the bar needs nobody.
  tick() {
    const playing = this.#playing;
    setText(this.#time, playing ? progress(this.#devices.position(playing), playing.seconds) : "");
  }
}

// Live sound has no length.
/** @param {number} position @param {number | null} seconds */
function progress(position, seconds) {
  return seconds === null ? span(position) : `${span(position)} / ${span(seconds)}`;
}
