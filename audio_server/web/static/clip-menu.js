// A select of the clips as they are now; others may change them while the page is open.

import { ask } from "./ask.js";
import { make } from "./dom.js";
import { title } from "./words.js";

export class ClipMenu {
  /** @type {HTMLSelectElement} */
  #select;
  /** @type {() => void} */
  #changed;
  /** @type {string[]} */
  #names = [];

  /** @param {HTMLSelectElement} select @param {() => void} changed */
  constructor(select, changed) {
    this.#select = select;
    this.#changed = changed;
    this.refresh();
    addEventListener("focus", () => this.refresh());
  }

  get isEmpty() {
    return this.#names.length === 0;
  }

  async refresh() {
    /** @type {Api.Clip[] | null} */
    const clips = await ask("/api/clips").then((answer) => answer.clips, () => null);
    const names = (clips ?? []).map((clip) => clip.name);
    if (!clips || names.join("\n") === this.#names.join("\n")) return;
    const chosen = this.#select.value;
    this.#names = names;
    this.#select.replaceChildren(...clips.map(option));
    if (names.includes(chosen)) this.#select.value = chosen;
    this.#select.disabled = this.isEmpty;
    this.#changed();
  }
}

/** @param {Api.Clip} clip */
function option(clip) {
  return make("option", { value: clip.name, text: `${clip.mode} ${clip.title ?? title(clip.name)}` });
}
