// Which devices are shown: by their state, a tag, errors, and LEDs that differ. The address keeps it.

import { isState } from "./devices.js";
import { byId, make } from "./dom.js";

export class Filter {
  /** @type {import("./devices.js").Devices} */
  #devices;
  #tag = "";

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
  }

  // What is set alone.
  get chosen() {
    /** @type {Filters} */
    const filters = {};
    if (byId("show").value) filters.state = byId("show").value;
    if (this.#tag) filters.tag = this.#tag;
    if (byId("with-errors").checked) filters.errors = true;
    if (byId("leds-differ").checked) filters.differ = true;
    return filters;
  }

  /** @param {URLSearchParams} kept */
  restore(kept) {
    const state = kept.get("state") ?? "";
    byId("show").value = isState(state) ? state : "";
    this.#tag = kept.get("tag") ?? "";
    byId("with-errors").checked = kept.has("errors");
    byId("leds-differ").checked = kept.has("differ");
  }

  /** @param {URLSearchParams} kept */
  keep(kept) {
    const { state, tag, errors, differ } = this.chosen;
    if (state) kept.set("state", state);
    if (tag) kept.set("tag", tag);
    if (errors) kept.set("errors", "");
    if (differ) kept.set("differ", "");
  }

  clear() {
    this.restore(new URLSearchParams());
  }

  // The tags that there are. One that a link names is offered before a device has it.
  draw() {
    const tags = this.#devices.tags;
    if (this.#tag && !tags.includes(this.#tag)) tags.push(this.#tag);
    const select = byId("tag");
    byId("tags").hidden = tags.length === 0;
    if (select.dataset.tags !== tags.join(" ")) {
      select.dataset.tags = tags.join(" ");
      const options = tags.map((tag) => make("option", { value: tag, text: tag }));
      select.replaceChildren(make("option", { value: "", text: "Any" }), ...options);
    }
    select.value = this.#tag;
  }
}
