// The breaches of the contract that the server has seen of a device, and the command that judges it.

import { byId, make, setText } from "./dom.js";

const COPIED_MS = 2000;

export class Findings {
  /** @type {Set<number>} */
  #known = new Set();   // numbers of events: those of the past come again after a lost connection
  /** @type {Map<string, number>} */
  #times = new Map();

  constructor() {
    byId("copy").addEventListener("click", () => this.#copy());
  }

  /** @param {Api.Event[]} events */
  add(events) {
    const breaches = events.filter((event) => event.kind === "refused" && !this.#known.has(event.seq));
    if (!breaches.length) return;
    for (const { seq, text } of breaches) {
      this.#known.add(seq);
      this.#times.set(text, (this.#times.get(text) ?? 0) + 1);
    }
    const lines = [...this.#times].map(([text, times]) => make("li", { text: times > 1 ? `${text} (${times} times)` : text }));
    byId("breaches").replaceChildren(...lines);
    byId("no-breach").hidden = true;
  }

  // `judge` is the command for this server, without the device.
  /** @param {string} judge @param {string} id */
  command(judge, id) {
    setText(byId("judge-command"), `${judge} ${id}`);
    byId("judging").hidden = false;
    byId("copy").hidden = !navigator.clipboard;
  }

  async #copy() {
    const text = byId("judge-command").textContent ?? "";
    const said = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Select and copy it by hand");
    setText(byId("copy"), said);
    setTimeout(() => setText(byId("copy"), "Copy"), COPIED_MS);
  }
}
