// What can be done to devices: those that are selected, or all.

import { BUTTONS, play, press, rename, report, stop } from "./actions.js";
import { ClipMenu } from "./clip-menu.js";
import { choose, confirm, prompt } from "./dialog.js";
import { button, byId } from "./dom.js";
import { capital, count, many, title } from "./words.js";

const MANY = 5;  // devices, from which on Play asks first
const CUTS = "What plays now is cut.";
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
    on("stop", () => report(stop(selection.ids)));
    on("rename", () => this.#rename());
    on("play-all", () => this.#playAll());
    on("stop-all", () => report(stop("all")));
    byId("presses").append(...BUTTONS.map((name) => this.#presser(name)));
  }

  /** @param {string} name */
  #presser(name) {
    return button(capital(name), () => report(press(this.#selection.ids, name)), { disabled: true });
  }

  // Nothing can be done while the server is away.
  /** @param {boolean} isAway */
  away(isAway) {
    this.#isAway = isAway;
    this.draw();
  }

  // Follows the selection and how many devices there are.
  draw() {
    const can = !this.#isAway, { size } = this.#selection;
    const some = can && size > 0, all = can && this.#devices.size > 0, clips = !this.#clips.isEmpty;
    byId("selected").textContent = size ? `${count(size)} selected` : "None selected";
    byId("clear").hidden = !size;
    byId("bar").classList.toggle("active", size > 0);
    byId("play").disabled = !some || !clips;
    byId("stop").disabled = !some;
    for (const one of byId("presses").children) one.disabled = !some;
    byId("rename").disabled = !can || size !== 1;
    byId("play-all").disabled = !all || !clips;
    byId("stop-all").disabled = !all;
  }

  /** @param {string[] | "all"} devices */
  #play(devices, clip = byId("clip").value) {
    return play(devices, clip, title(clip));
  }

  // All of them, or many, are asked for as Play on all is.
  async #playSelected() {
    const { ids } = this.#selection, clip = byId("clip").value;
    const isMany = ids.length >= MANY || (ids.length > 1 && ids.length === this.#devices.size);
    const question = `Play ${title(clip)} on ${many(ids.length, "device")}?`;
    if (isMany && !await confirm(question, CUTS, "Play")) return;
    await report(this.#play(ids, clip));
  }

  async #playAll() {
    const question = `Play on ${many(this.#devices.size, "device")}`;
    const clip = await choose(question, "Clip", byId("clip"), "Play on all", { hint: CUTS });
    if (clip !== null) await report(this.#play("all", clip));
  }

  async #rename() {
    const [id] = this.#selection.ids;
    const old = this.#devices.get(id)?.name;
    const name = await prompt(`Rename ${id}`, "Name", old, "Rename", { hint: NAME_HINT });
    if (name !== null) await report(rename(id, name));
  }
}
