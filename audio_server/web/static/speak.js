// Speak to devices with the microphone of this computer: recorded and then announced, or live.

import { play } from "./actions.js";
import { air } from "./airing.js";
import { order } from "./announce.js";
import { ask, wording } from "./ask.js";
import { LIVE } from "./clip-menu.js";
import { button, make, notice, setText } from "./dom.js";
import { record, whyNot } from "./microphone.js";
import { many, span } from "./words.js";

const LONGEST_S = 600;  // an announcement of the server's is no longer
const TICK_MS = 250;
const RECORDED = "Recorded first, and announced when you end it: the clip that plays goes on afterwards.";
const ON_AIR = "The channel plays on these devices, and on those that listen to it, while you speak.";

// Ask how, and do it. Returns when the dialog is closed.
/** @param {string[]} ids */
export async function speak(ids) {
  const dialog = new Speech(ids);
  await dialog.closed;
}

class Speech {
  /** @type {string[]} */
  #ids;
  /** @type {{ close: () => Promise<Blob | void> } | null} */
  #sound = null;
  #begun = 0;
  #isBusy = false;
  #how = make("select", { name: "how" }, make("option", { value: "", text: "Record, then announce" }));
  #hint = make("p", { class: "quiet", text: RECORDED });
  #level = make("meter", { min: 0, max: 1, "aria-label": "Level of the microphone", class: "level" });
  #said = make("p", { role: "status", class: "notice" });
  #time = make("p", { class: "quiet time" });
  #go = make("button", { type: "button", class: "primary", onclick: () => this.#next() });
  /** @type {HTMLDialogElement} */
  #dialog;
  /** @type {Promise<void>} */
  closed;

  /** @param {string[]} ids */
  constructor(ids) {
    this.#ids = ids;
    this.#dialog = make("dialog", { "aria-labelledby": "speak-title", class: "speak" },
      make("h2", { id: "speak-title", text: `Speak to ${many(ids.length, "device")}` }),
      make("label", {}, "How", this.#how), this.#hint, this.#level, this.#time, this.#said,
      make("div", { class: "foot" }, button("Cancel", () => this.#dialog.close()), this.#go));
    this.#how.addEventListener("change", () => this.#draw());
    document.body.append(this.#dialog);
    this.#dialog.showModal();
    const timer = setInterval(() => this.#tick(), TICK_MS);
    this.closed = new Promise((resolve) => this.#dialog.addEventListener("close", () => {
      clearInterval(timer);
      this.#sound?.close();
      this.#sound = null;
      this.#dialog.remove();
      resolve();
    }));
    this.#draw();
    this.#askChannels();
  }

  async #askChannels() {
    const { channels } = await ask("/api/live").catch(() => ({ channels: [] }));
    /** @param {Api.Channel} one */
    const option = ({ name, sending, node }) => {
      const taken = sending ? ` (on air${node ? ` at ${node}` : ""})` : "";
      return make("option", { value: name, text: `Live on ${name}${taken}` });
    };
    this.#how.append(...channels.map(option));
  }

  get #channel() {
    return this.#how.value;
  }

  #draw() {
    const why = whyNot(), isOn = this.#sound !== null;
    setText(this.#hint, this.#channel ? ON_AIR : RECORDED);
    setText(this.#go, this.#channel ? (isOn ? "End" : "Go live") : (isOn ? "Announce" : "Record"));
    this.#go.disabled = why !== null || this.#isBusy;
    this.#how.disabled = isOn || this.#isBusy;
    if (why) notice(this.#said, why, true);
  }

  #tick() {
    if (!this.#sound) return;
    const seconds = (performance.now() - this.#begun) / 1000;
    setText(this.#time, span(seconds));
    if (!this.#channel && seconds >= LONGEST_S) this.#next();
  }

  // The button: begin, and the second time end.
  async #next() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#draw();
    try {
      if (this.#sound) await this.#end();
      else await this.#begin();
    } catch (error) {
      this.#sound = null;
      notice(this.#said, wording(error), true);
    }
    this.#isBusy = false;
    this.#draw();
  }

  async #begin() {
    /** @param {number} value */
    const meter = (value) => { this.#level.value = value; };
    /** @param {string} why */
    const lost = (why) => this.#lost(why);
    const channel = this.#channel;
    const sound = channel ? await air(channel, meter, lost) : await record(meter, lost);
    if (!this.#dialog.open) {  // cancelled meanwhile
      await sound.close();
      return;
    }
    this.#sound = sound;
    this.#begun = performance.now();
    notice(this.#said, channel ? `Live on ${channel}.` : "Recording.");
    if (!channel) return;
    const { text, well } = await play(this.#ids, `${LIVE}${channel}`);
    if (this.#dialog.open) notice(this.#said, `On the air: ${text}`, !well);
  }

  async #end() {
    const sound = this.#sound, channel = this.#channel;
    this.#sound = null;
    const recorded = await sound?.close();
    if (channel || !recorded) {
      this.#dialog.close();
      return;
    }
    notice(this.#said, "Sending …");
    const kept = await ask("/api/sounds?name=microphone", { method: "POST", body: recorded });
    this.#dialog.close();
    order(this.#ids, { sound: kept.sound, chime: false, priority: 0 });
  }

  /** @param {string} why */
  #lost(why) {
    this.#sound?.close();
    this.#sound = null;
    this.#level.value = 0;
    notice(this.#said, why, true);
    this.#draw();
  }
}
