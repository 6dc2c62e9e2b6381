// How loud a clip is from its beginning to its end, as a drawing that fills while it sounds.

import { Refusal, ask } from "./ask.js";
import { make } from "./dom.js";
import { inTurn } from "./slots.js";

const POINTS = 160;
const HEIGHT = 40;
const LOUD_MIN = 0.04;  // silence is a line, not nothing
const SVG = "http://www.w3.org/2000/svg";

export class Waveform {
  #shown = "";

  constructor() {
    this.element = make("div", { class: "waveform", "aria-hidden": "true" });
  }

  // Draws the clip, of which `at` gives the address for so many points; nothing where the server has no waveform of it. `version` is another
  // one when its sound is.
  /** @param {(points: string) => string} at @param {string} version */
  async show(at, version) {
    if (version === this.#shown) return;
    this.#shown = version;
    try {
      const load = () => ask(at(String(POINTS)), { priority: "low" });
      const { peaks } = await inTurn("load", load);
      if (version !== this.#shown) return;
      this.element.replaceChildren(drawing(peaks, "rest"), drawing(peaks, "heard"));
    } catch (error) {
      if (version === this.#shown && error instanceof Refusal && error.status === 0) this.#shown = "";  // it is asked for again
    }
  }

  // How far it has been heard, 0 to 1.
  /** @param {number} part */
  at(part) {
    this.element.style.setProperty("--heard", String(part));
  }
}

/** @param {number[]} peaks @param {string} name */
function drawing(peaks, name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${peaks.length} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", name);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", peaks.map(bar).join(""));
  svg.append(path);
  return svg;
}

/** @param {number} peak @param {number} at */
function bar(peak, at) {
  const half = Math.max(LOUD_MIN, peak) * HEIGHT / 2;
  return `M${at + 0.15} ${(HEIGHT / 2 - half).toFixed(1)}h.7v${(2 * half).toFixed(1)}h-.7z`;
}
