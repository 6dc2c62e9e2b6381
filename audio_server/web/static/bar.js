// What can be done to devices: those that are selected, or all.

import { announce } from "./announce.js";
import { BUTTONS, forget, play, press, rename, report, stop, tag } from "./actions.js";
import { ClipMenu, sourceOf } from "./clip-menu.js";
import { choose, confirm, prompt } from "./dialog.js";
import { button, byId, make } from "./dom.js";
import { speak } from "./speak.js";
import { capital, count, many } from "./words.js";

const MANY = 5;  // devices, from which on Play asks first
const CUTS = "What plays now is cut.";
export const TAG_HINT = "Several with blanks between: small letters, digits, dots, hyphens.";
const FORGETS = "Names, tags, modes and history are lost. A device that comes back is a new one.";
export const NAME_HINT = "Leave it empty to call the device by its id again.";

export class Bar {
  /** @type {import("./selection.js").Selection} */
  #selection;
  /** @type {import("./devices.js").Devices} */
  #devices;
  #clips = new ClipMenu(byId("clip"), () => this.draw());
  #isAway = true;  // until the server has said something

  /** @param {import("./devices.js").Devices} devices @param {import("./selection.js").Selection} selection */
  constructor(devices, selection) {
    this.#devices = devices;
    this.#selection = selection;
    /** @param {keyof Elements & string} id @param {() => void} act */
    const on = (id, act) => byId(id).addEventListener("click", act);
    on("clear", () => selection.clear());
    on("play", () => this.#playSelected());
    on("stop", () => report(stop(this.#target)));
    on("announce", () => announce(this.#target, this.#count, byId("clip")));
    on("speak", () => speak(this.#there));
    on("rename", () => this.#rename());
    on("add-tag", () => this.#tag());
    on("untag", () => this.#untag());
    on("forget", () => this.#forget());
    on("play-all", () => this.#playAll());
    on("stop-all", () => report(stop("all")));
    on("announce-all", () => announce("all", this.#devices.connected, byId("clip")));
    byId("presses").append(...BUTTONS.map((name) => this.#presser(name)));
  }

  /** @param {string} name */
  #presser(name) {
    return button(capital(name), () => report(press(this.#target, name)), { disabled: true });
  }

  // The selected devices that are connected.
  get #there() {
    const { isCut } = this.#devices;
    return this.#selection.ids.filter((id) => this.#devices.get(id)?.connected ?? isCut);
  }

  // What the API is asked to act on, and how many devices that are.
  get #target() {
    return this.#selection.matching?.devices ?? this.#there;
  }

  get #count() {
    return this.#selection.matching?.count ?? this.#there.length;
  }

  // Nothing can be done while the server is away.
  /** @param {boolean} isAway */
  away(isAway) {
    this.#isAway = isAway;
    this.draw();
  }

  // Follows the selection and how many devices there are.
  draw() {
    const can = !this.#isAway, { size, matching } = this.#selection;
    const there = this.#count, some = can && there > 0;
    const all = can && this.#devices.connected > 0, clips = !this.#clips.isEmpty;
    byId("selected").textContent = size ? `${count(size)} selected` : "None selected";
    byId("clear").hidden = !size;
    byId("bar").classList.toggle("active", size > 0);
    byId("play").disabled = !some || !clips;
    byId("stop").disabled = !some;
    byId("announce").disabled = !some || !clips;
    byId("speak").disabled = !some || matching !== null;
    for (const one of byId("presses").children) one.disabled = !some;
    byId("rename").disabled = !can || size !== 1 || matching !== null;
    byId("add-tag").disabled = !can || !size;
    byId("untag").hidden = !can || !this.#tags.length;
    byId("forget").hidden = !can || !size || there > 0 || matching !== null;
    byId("play-all").disabled = !all || !clips;
    byId("stop-all").disabled = !all;
    byId("announce-all").disabled = !all || !clips;
  }

  // All of them, or many, are asked for as Play on all is.
  async #playSelected() {
    const target = this.#target, count = this.#count, clip = byId("clip").value;
    const isMany = count >= MANY || (count > 1 && count === this.#devices.connected);
    const question = `Play ${sourceOf(clip)[1]} on ${many(count, "device")}?`;
    if (isMany && !await confirm(question, CUTS, "Play")) return;
    await report(play(target, clip));
  }

  async #playAll() {
    const question = `Play on ${many(this.#devices.connected, "device")}`;
    const clip = await choose(question, "Clip or live channel", byId("clip"), "Play on all", { hint: CUTS });
    if (clip !== null) await report(play("all", clip));
  }

  // The tags that any of the selected devices has.
  get #tags() {
    const tags = this.#selection.ids.flatMap((id) => this.#devices.get(id)?.tags ?? []);
    return [...new Set(tags)].sort();
  }

  async #tag() {
    const { ids, matching, size } = this.#selection;
    const words = await prompt(`Tag ${many(size, "device")}`, "Tags", "", "Tag", { hint: TAG_HINT });
    const tags = words?.split(/[\s,]+/).filter(Boolean) ?? [];
    if (tags.length) await report(tag(matching?.devices ?? ids, tags, []));
  }

  async #untag() {
    const { ids } = this.#selection;
    const tags = make("select", {}, ...this.#tags.map((one) => make("option", { text: one, value: one })));
    const gone = await choose(`Untag ${many(ids.length, "device")}`, "Tag", tags, "Untag");
    if (gone !== null) await report(tag(ids, [], [gone]));
  }

  async #forget() {
    const { ids } = this.#selection, question = `Forget ${many(ids.length, "device")}?`;
    if (await confirm(question, FORGETS, "Forget", { danger: true })) await report(forget(ids));
  }

  async #rename() {
    const [id] = this.#selection.ids;
    const old = this.#devices.get(id)?.name;
    const name = await prompt(`Rename ${id}`, "Name", old, "Rename", { hint: NAME_HINT });
    if (name !== null) await report(rename(id, name));
  }
}
