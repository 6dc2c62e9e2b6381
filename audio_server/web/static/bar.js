// What can be done to devices: those that are selected, or all.

import { BUTTONS, play, press, rename, stop } from "./actions.js";
import { ClipMenu } from "./clip-menu.js";
import { choose, prompt } from "./dialog.js";
import { button, byId, notice } from "./dom.js";
import { capital, count, many, title } from "./words.js";

export const NAME_HINT = "Leave it empty to call the device by its id again.";

export class Bar {
  #selection;
  #devices;
  #clips = new ClipMenu(byId("clip"), () => this.draw());

  constructor(devices, selection) {
    this.#devices = devices;
    this.#selection = selection;
    const on = (id, act) => byId(id).addEventListener("click", act);
    on("clear", () => selection.clear());
    on("play", () => this.#act(this.#play(selection.ids)));
    on("stop", () => this.#act(stop(selection.ids)));
    on("rename", () => this.#rename());
    on("play-all", () => this.#playAll());
    on("stop-all", () => this.#act(stop("all")));
    byId("presses").append(...BUTTONS.map((name) => this.#presser(name)));
  }

  #presser(name) {
    return button(capital(name), () => this.#act(press(this.#selection.ids, name)), { disabled: true });
  }

  // Follows the selection and how many devices there are.
  draw() {
    const { size } = this.#selection, all = this.#devices.size, clips = !this.#clips.isEmpty;
    byId("selected").textContent = size ? `${count(size)} selected` : "None selected";
    byId("clear").hidden = !size;
    byId("bar").classList.toggle("active", size > 0);
    byId("play").disabled = !size || !clips;
    byId("stop").disabled = !size;
    for (const one of byId("presses").children) one.disabled = !size;
    byId("rename").disabled = size !== 1;
    byId("play-all").disabled = !all || !clips;
    byId("stop-all").disabled = !all;
  }

  #play(devices, clip = byId("clip").value) {
    return play(devices, clip, title(clip));
  }

  async #playAll() {
    const question = `Play on ${many(this.#devices.size, "device")}`, hint = "What plays now is cut.";
    const clip = await choose(question, "Clip", byId("clip"), "Play on all", { hint });
    if (clip !== null) await this.#act(this.#play("all", clip));
  }

  async #rename() {
    const [id] = this.#selection.ids;
    const old = this.#devices.get(id)?.name;
    const name = await prompt(`Rename ${id}`, "Name", old, "Rename", { hint: NAME_HINT });
    if (name !== null) await this.#act(rename(id, name));
  }

  async #act(action) {
    try {
      const { text, well } = await action;
      notice(byId("done"), text, !well);
    } catch (error) {
      notice(byId("done"), error.message, true);
    }
  }
}
