// Which devices are shown: by their state, a tag, their firmware, errors, and LEDs that differ. The
// address keeps it.

import { isState } from "./devices.js";
import { byId, make } from "./dom.js";

export class Filter {
  /** @type {import("./devices.js").Devices} */
  #devices;
  #tag = "";
  #firmware = "";

  /** @param {import("./devices.js").Devices} devices @param {() => void} changed */
  constructor(devices, changed) {
    this.#devices = devices;
    for (const one of [byId("show"), byId("with-errors"), byId("leds-differ")]) {
      one.addEventListener("change", changed);
    }
    byId("tag").addEventListener("change", () => {
      this.#tag = byId("tag").value;
      changed();
    });
    byId("firmware").addEventListener("change", () => {
      this.#firmware = byId("firmware").value;
      changed();
    });
  }

  // What is set alone.
  get chosen() {
    /** @type {Filters} */
    const filters = {};
    if (byId("show").value) filters.state = byId("show").value;
    if (this.#tag) filters.tag = this.#tag;
    if (this.#firmware) filters.firmware = this.#firmware;
    if (byId("with-errors").checked) filters.errors = true;
    if (byId("leds-differ").checked) filters.differ = true;
    return filters;
  }

  /** @param {URLSearchParams} kept */
  restore(kept) {
    const state = kept.get("state") ?? "";
    byId("show").value = isState(state) ? state : "";
    this.#tag = kept.get("tag") ?? "";
    this.#firmware = kept.get("firmware") ?? "";
    byId("with-errors").checked = kept.has("errors");
    byId("leds-differ").checked = kept.has("differ");
  }

  /** @param {URLSearchParams} kept */
  keep(kept) {
    const { state, tag, firmware, errors, differ } = this.chosen;
    if (state) kept.set("state", state);
    if (tag) kept.set("tag", tag);
    if (firmware) kept.set("firmware", firmware);
    if (errors) kept.set("errors", "");
    if (differ) kept.set("differ", "");
  }

  clear() {
    this.restore(new URLSearchParams());
  }

  // The tags and the firmware that there are. One that a link names is offered before a device has it.
  draw() {
    offer("tag", this.#devices.tags, this.#tag);
    offer("firmware", this.#devices.firmwares, this.#firmware);
  }
}

/** @param {"tag" | "firmware"} id @param {string[]} values @param {string} chosen */
function offer(id, values, chosen) {
  if (chosen && !values.includes(chosen)) values.push(chosen);
  const select = byId(id);
  byId(`${id}s`).hidden = values.length === 0;
  const offered = JSON.stringify(values);
  if (select.dataset.offered !== offered) {
    select.dataset.offered = offered;
    const options = values.map((value) => make("option", { value, text: value }));
    select.replaceChildren(make("option", { value: "", text: "Any" }), ...options);
  }
  select.value = chosen;
}
