// One device in the table.

import { around, make, setAttribute, setText } from "./dom.js";
import { lamps, light } from "./lamps.js";
import { Take } from "./take.js";
import { NONE, age, capital, clock, exact, mode, ms, percent, title } from "./words.js";

export class Row {
  /** @type {import("./devices.js").Devices} */
  #devices;
  /** @type {import("./selection.js").Selection} */
  #selection;
  /** @type {Record<string, HTMLElement>} */
  #cells = {};
  /** @type {Api.Device | undefined} */
  #device;
  /** @type {Take} */
  #take;

  // `chosen(id, on, range)` is told what the user ticks.
  /**
   * @param {import("./devices.js").Devices} devices @param {import("./selection.js").Selection} selection
   * @param {Chosen} chosen
   */
  constructor(devices, selection, chosen) {
    this.#devices = devices;
    this.#selection = selection;
    this.check = make("input", { type: "checkbox" });
    this.link = make("a", { class: "name" });
    this.id = make("span", { class: "id quiet" });
    this.lamps = lamps();
    this.clip = make("span", { class: "clip" });
    this.time = make("span", { class: "time quiet" });
    this.bar = make("span");
    this.#take = new Take(devices, this.bar, this.time);
    this.element = this.#build();
    this.element.addEventListener("click", (event) => this.#click(event, chosen));
    this.element.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
  }

  #build() {
    const plays = make("span", { class: "take" }, this.clip, this.time);
    /** @type {Record<string, HTMLElement[]>} */
    const parts = {
      check: [this.check], device: [this.link, this.id], leds: [this.lamps], mode: [],
      plays: [plays, make("span", { class: "progress" }, this.bar)],
      press: [], lead: [], round: [], battery: [], errors: [], address: [], since: [],
    };
    for (const [name, content] of Object.entries(parts)) {
      this.#cells[name] = make("div", { role: "cell", class: `c-${name}` }, ...content);
    }
    return make("div", { role: "row", class: "row" }, ...Object.values(this.#cells));
  }

  // What the arrow keys stop at.
  get controls() {
    return [this.check, this.link];
  }

  /** @param {string} id @param {number} index */
  show(id, index) {
    const device = this.#devices.get(id);
    setAttribute(this.element, "aria-rowindex", String(index + 2));
    this.#tick(this.#selection.has(id));
    if (!device || device === this.#device) return;
    this.#device = device;
    this.#who(device);
    this.#what(device);
    this.#figures(device);
  }

  /** @param {boolean} on */
  #tick(on) {
    this.check.checked = on;
    this.element.classList.toggle("selected", on);
  }

  /** @param {MouseEvent} event @param {Chosen} chosen */
  #click(event, chosen) {
    if (around(event, "a") || !getSelection()?.isCollapsed) return;
    if (!this.#device) return;
    const on = event.target === this.check ? this.check.checked : !this.check.checked;
    chosen(this.#device.id, on, event.shiftKey);
  }

  /** @param {Api.Device} device */
  #who(device) {
    setText(this.link, device.name ?? device.id);
    setText(this.id, [...(device.name ? [device.id] : []), ...device.tags].join(" · "));
    setAttribute(this.link, "href", `/devices/${encodeURIComponent(device.id)}`);
    const tags = device.tags.length ? `, tags: ${device.tags.join(", ")}` : "";
    setAttribute(this.link, "title", (device.name ? `${device.name} (${device.id})` : device.id) + tags);
    setAttribute(this.check, "aria-label", `Select ${device.name ?? device.id}`);
    const { worker: number, node } = device;
    const worker = node ? `, node ${node}` : typeof number === "number" ? `, worker ${number}` : "";
    setText(this.#cells.address, device.address ?? NONE);
    setAttribute(this.#cells.address, "title", `${device.address ?? "no address"}${worker}`);
    const seen = device.last_seen ?? device.since;
    setText(this.#cells.since, clock(device.connected ? device.since : seen));
    const when = device.connected ? `Connected since ${exact(device.since)}` : `Last seen ${exact(seen)}`;
    setAttribute(this.#cells.since, "title", when);
  }

  /** @param {Api.Device} device */
  #what(device) {
    light(this.lamps, device);
    setText(this.#cells.mode, mode(device));
    setAttribute(this.#cells.mode, "title", mode(device));
    this.element.classList.toggle("failed", device.state === "error");
    this.element.classList.toggle("playing", Boolean(device.playing));
    this.element.classList.toggle("absent", !device.connected);
    setText(this.clip, device.playing ? title(device.playing.clip) : this.#silent(device));
    setAttribute(this.clip, "title", device.playing?.clip ?? null);
    this.#take.show(device.playing);
  }

  /** @param {Api.Device} device */
  #silent(device) {
    if (!device.connected) return `away ${age(this.#devices.now - (device.last_seen ?? device.since))}`;
    return device.state === "error" ? "cannot play" : "idle";
  }

  // The position in figures, or how long it is away; the bar moves by itself.
  tick() {
    this.#take.tick();
    if (this.#device && !this.#device.connected) setText(this.clip, this.#silent(this.#device));
  }

  /** @param {Api.Device} device */
  #figures(device) {
    const press = device.last_press;
    setText(this.#cells.press, press ? `${capital(press.button)} ${clock(press.at)}` : NONE);
    setText(this.#cells.lead, ms(device.lead_ms));
    setText(this.#cells.round, ms(device.round_trip_ms));
    setText(this.#cells.battery, percent(device.battery));
    setText(this.#cells.errors, String(device.errors));
    this.#cells.errors.classList.toggle("bad", device.errors > 0);
    setAttribute(this.#cells.errors, "title", device.last_error ?? null);
  }
}
