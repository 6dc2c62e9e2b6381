// One clip in the list.

import { urlOf } from "./group-menu.js";
import { button, make, setAttribute, setText } from "./dom.js";
import { title } from "./shelf.js";
import { Waveform } from "./waveform.js";
import { length, many } from "./words.js";

const SHAPES = ["square", "rhomboid", "triangle", "circle"];
// As devices show modes 1-4, 5-8 and so on.
const COLOURS = ["#ffb000", "#00e0ff", "#ff40c0", "#a0ff00", "#8060ff", "#ffffff"];

/** @type {KeyedClip} */
const NO_CLIP = { mode: 0, file: "", name: "", title: "", seconds: 0, bit_rate_bps: 0, key: "" };

export class ClipRow {
  #clip = NO_CLIP;
  /** @type {import("./listener.js").Listener} */
  #listener;
  #group = "";
  #sounds = false;
  #waveform = new Waveform();

  // `acts` has `rename(clip)`, `replace(clip, file)` and `remove(clip)`.
  /**
   * @param {string} group @param {import("./listener.js").Listener} listener @param {import("./order.js").Order} order
   * @param {ClipActs} acts
   */
  constructor(group, listener, order, acts) {
    this.#group = group;
    this.#listener = listener;
    this.handle = button("", null, { class: "handle plain", "aria-describedby": "how" });
    this.mode = make("span", { class: "mode" });
    this.name = make("strong", { class: "title" });
    this.facts = make("span", { class: "facts quiet" });
    this.devices = make("span", { class: "devices" });
    this.listen = button("Listen", () => this.#toggle());
    this.file = make("input", { type: "file", accept: "audio/*,video/*,.opus,.ogg,.flac", hidden: true });
    this.rename = button("Rename", () => acts.rename(this.#clip));
    this.download = make("a", { class: "button", text: "Download" });
    this.replace = button("Replace", () => this.file.click());
    this.remove = button("Remove", () => acts.remove(this.#clip), { class: "danger" });
    this.file.addEventListener("change", () => this.#chosen(acts));
    this.#waveform.element.addEventListener("click", (event) => this.#from(event));
    this.element = make("li", { class: "clip card" }, this.handle, this.mode,
      make("div", { class: "who" }, this.name, this.facts), this.#waveform.element, this.devices,
      make("div", { class: "acts" }, this.listen, this.download, this.rename, this.replace, this.remove,
        this.file));
    order.add(this.element, this.handle);
  }

  // Gives the element. `can` says what can be done here, `change` and `remove`, and whether `now`.
  /** @param {KeyedClip} clip @param {{ change: boolean, remove: boolean, now: boolean }} can */
  show(clip, can) {
    const name = title(clip);
    this.#clip = clip;
    this.#badge(clip.mode);
    setText(this.name, name);
    setText(this.facts, facts(clip));
    setAttribute(this.handle, "aria-label", `Move ${name}, mode ${clip.mode}`);
    setAttribute(this.download, "aria-label", `Download ${name}`);
    setAttribute(this.download, "href", urlOf(this.#group, clip, "/sound"));
    setAttribute(this.download, "download", `${name}.opus`);
    setAttribute(this.rename, "aria-label", `Rename ${name}`);
    setAttribute(this.replace, "aria-label", `Replace ${name}`);
    setAttribute(this.remove, "aria-label", `Remove ${name}`);
    setAttribute(this.name, "title", clip.file ?? name);
    this.handle.disabled = !can.change || !can.remove || !can.now;
    this.replace.hidden = this.rename.hidden = !can.change;
    this.remove.hidden = !can.change;
    this.remove.disabled = !can.remove || !can.now;
    this.replace.disabled = this.rename.disabled = this.listen.disabled = !can.now;
    this.#name();
    this.#waveform.show((points) => urlOf(this.#group, clip, "/waveform", { points }), clip.key);
    return this.element;
  }

  /** @param {number} mode */
  #badge(mode) {
    const [turn, shape] = [Math.floor((mode - 1) / SHAPES.length), (mode - 1) % SHAPES.length];
    setText(this.mode, String(mode));
    this.mode.className = `mode ${mode ? SHAPES[shape] : "home"}`;
    this.mode.style.setProperty("--light", COLOURS[turn % COLOURS.length]);
  }

  // How many devices play a clip, by its title.
  /** @param {Map<string, number>} counts */
  playsOn(counts) {
    const count = counts.get(title(this.#clip));
    setText(this.devices, count ? `plays on ${many(count, "device")}` : "");
  }

  // -- listening

  /** @param {boolean} on */
  sounding(on) {
    this.#sounds = on;
    this.element.classList.toggle("sounding", on);
    this.#name();
  }

  /** @param {number} part */
  at(part) {
    this.#waveform.at(part);
  }

  #name() {
    const [text, label] = this.#sounds ? ["Stop", "Stop listening"] : ["Listen", "Listen"];
    setText(this.listen, text);
    setAttribute(this.listen, "aria-label", `${label} to ${title(this.#clip)}`);
  }

  #toggle() {
    if (this.#sounds) this.#listener.stop(this);
    else this.#play(0);
  }

  /** @param {MouseEvent} event */
  #from(event) {
    const box = this.#waveform.element.getBoundingClientRect();
    this.#play((event.clientX - box.left) / box.width);
  }

  /** @param {number} part */
  #play(part) {
    const { seconds } = this.#clip;
    this.#listener.play(this, urlOf(this.#group, this.#clip, "/sound"), seconds, part * seconds);
  }

  /** @param {ClipActs} acts */
  #chosen(acts) {
    const file = this.file.files?.[0];
    this.file.value = "";
    this.#listener.stop(this);
    if (file) acts.replace(this.#clip, file);
  }
}

/** @param {Api.Clip} clip */
function facts(clip) {
  const parts = [length(clip.seconds)];
  if (clip.bit_rate_bps) parts.push(`${Math.round(clip.bit_rate_bps / 1000)} kbit/s`);
  return parts.join(" · ");
}
