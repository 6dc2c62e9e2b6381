// How far a take has come: a bar that moves by itself, and figures.

import { setText } from "./dom.js";
import { span } from "./words.js";

const DRIFT_S = 0.25;  // how far a bar may be off before it is set again

export class Take {
  #devices;
  #bar;
  #time;
  #playing = null;
  #animation = null;

  constructor(devices, bar, time) {
    this.#devices = devices;
    this.#bar = bar;
    this.#time = time;
  }

  // `playing` of a row; null where nothing plays.
  show(playing) {
    this.#playing = playing;
    this.#bar.parentElement.classList.toggle("idle", !playing);
    if (playing) this.#move(playing);
    else this.#end();
    this.tick();
  }

  #end() {
    this.#animation?.cancel();
    this.#animation = null;
  }

  #move(playing) {
    const at = this.#devices.position(playing);
    const length = this.#animation?.effect.getTiming().duration / 1000;
    if (length === playing.seconds && Math.abs(this.#animation.currentTime / 1000 - at) < DRIFT_S) return;
    this.#end();
    const frames = [{ transform: "scaleX(0)" }, { transform: "scaleX(1)" }];
    this.#animation = this.#bar.animate(frames, { duration: 1000 * playing.seconds, fill: "both" });
    this.#animation.currentTime = 1000 * at;
  }

  // The figures; the bar needs nobody.
  tick() {
    const playing = this.#playing;
    setText(this.#time, playing ? `${span(this.#devices.position(playing))} / ${span(playing.seconds)}` : "");
  }
}
