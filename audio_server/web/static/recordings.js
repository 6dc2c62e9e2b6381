// The recordings of live channels, under the clips: to hear, to fetch, to delete, and to make clips of.

import { ask, wording } from "./ask.js";
import { confirm, prompt } from "./dialog.js";
import { button, byId, make, setText } from "./dom.js";
import { clock, exact, many, span } from "./words.js";

const LOOK_MS = 10000;
const MIB = 1 << 20;

/** @param {Api.Recording} one */
const at = (one) => `/api/recordings/${encodeURIComponent(one.name)}`;

export class Recordings {
  /** @type {(clips: Api.Clips) => void} */
  #taken;
  /** @type {(text: string, bad?: boolean) => void} */
  #say;
  #shown = "";

  /** @param {(clips: Api.Clips) => void} taken @param {(text: string, bad?: boolean) => void} say */
  constructor(taken, say) {
    this.#taken = taken;
    this.#say = say;
    this.look();
    addEventListener("focus", () => this.look());
    setInterval(() => document.hidden || this.look(), LOOK_MS);
  }

  async look() {
    /** @type {Api.Recording[]} */
    const found = await ask("/api/recordings").then((answer) => answer.recordings, () => null);
    if (!found || JSON.stringify(found) === this.#shown) return;
    this.#shown = JSON.stringify(found);
    byId("recorded").hidden = !found.length;
    setText(byId("recorded-count"), many(found.length, "recording"));
    byId("recordings").replaceChildren(...found.map((one) => this.#row(one)));
  }

  /** @param {Api.Recording} one */
  #row(one) {
    const begun = clock(one.begun), facts = `${span(one.seconds)}${one.running ? " so far" : ""}`;
    const what = `${one.channel}, ${begun}`;
    return make("li", { class: "recording card" },
      make("strong", { text: one.channel }),
      make("span", { class: "quiet", text: begun, title: exact(one.begun) }),
      make("span", { class: "quiet", text: `${facts} · ${(one.bytes / MIB).toFixed(1)} MiB` }),
      make("audio", { controls: true, preload: "none", src: `${at(one)}/sound`, "aria-label": what }),
      make("div", { class: "acts" },
        make("a", { class: "button", href: `${at(one)}/sound`, download: one.name, text: "Download" }),
        button("Make a clip …", () => this.#clip(one), { "aria-label": `Make a clip of ${what}` }),
        button("Delete …", () => this.#remove(one, what), {
          class: "danger", disabled: one.running, "aria-label": `Delete ${what}`,
        })));
  }

  /** @param {Api.Recording} one */
  async #clip(one) {
    const hint = "It gets the next mode; the recording stays.";
    const title = await prompt("Make a clip", "Title", `${one.channel} ${clock(one.begun)}`.replaceAll(":", "."), "Make it", { hint });
    if (!title) return;
    await this.#act(async () => {
      this.#taken(await ask(`${at(one)}/clip`, { method: "POST", json: { title } }));
      this.#say(`${title} is a clip.`);
    });
  }

  /** @param {Api.Recording} one @param {string} what */
  async #remove(one, what) {
    if (!await confirm("Delete the recording?", `${what}. It cannot be had back.`, "Delete", { danger: true })) return;
    await this.#act(async () => {
      await ask(at(one), { method: "DELETE" });
      this.#say("The recording was deleted.");
    });
  }

  /** @param {() => Promise<void>} act */
  async #act(act) {
    try {
      await act();
    } catch (error) {
      this.#say(wording(error), true);
    }
    await this.look();
  }
}
