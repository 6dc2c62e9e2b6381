// The page of all devices: rows that follow a stream of changes, found, sorted and selected.

import { Bar } from "./bar.js";
import { ask } from "./ask.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { Filter } from "./filter.js";
import { around, button, byId, make, notice, setAttribute, setText } from "./dom.js";
import { Row } from "./row.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { about } from "./shell.js";
import { count, many } from "./words.js";

/** @type {Record<string, string>} */
const COLUMNS = {
  name: "Device", leds: "LEDs", mode: "Mode", plays: "Plays", press: "Last press", lead: "Lead",
  round: "Round trip", battery: "Battery", errors: "Errors", address: "Address", since: "Connected",
};
const CHANGES = "/api/devices/changes";
const TICK_MS = 250;
const LOOK_MS = 120;  // after the last step of scrolling
const ASK_MS = 300;  // after the last key, so that a search is asked for once
const WHOLE_MS = 2000;  // after which all devices have been told, which takes several events
const AWAY_AT_ONCE = 5000;  // devices that are away in one answer
const WINDOW = 200;  // rows of a cluster at a time: those in sight, and some above and below
const RESORT_MS = 500;  // the order follows the news at most this often, so that rows can be hit

class Fleet {
  #devices = new Devices();
  #selection = new Selection(() => this.#draw());
  #bar = new Bar(this.#devices, this.#selection);
  #filter = new Filter(this.#devices, () => this.#search());
  #order = "name";
  #backwards = false;
  #told = false;      // whether the devices have been told yet
  #isAway = false;
  #round = 0;         // how often all devices were told
  #query = "";        // which devices of a cluster are followed
  #offset = 0;        // the place in the list of a cluster from which they are followed
  #hasEntered = false;  // whether Enter waits for what a search finds
  /** @type {number | undefined} */
  #asking;
  /** @type {number | undefined} */
  #timer;
  #drawn = 0;

  constructor() {
    this.#heads();
    this.rows = new Rows(byId("table"), byId("rows"), () => new Row(this.#devices, this.#selection,
      (id, on, range) => this.#selection.set(id, on, range, this.#found())),
    (first, last) => this.#look(first, last));
    this.#listen();
    this.#restore();
    setInterval(() => this.#tick(), TICK_MS);
    about();
    this.connection = new Connection(CHANGES, {
      take: (name, data) => this.#take(data, name === "all"),
      changed: (isAway, words) => this.#away(isAway, words),
    });
  }

  #heads() {
    const check = make("input", { type: "checkbox", "aria-label": "Select all that are found", id: "all" });
    check.addEventListener("change", () => this.#selectAll(check.checked));
    byId("heads").append(make("div", { role: "columnheader", class: "c-check" }, make("label", {}, check)));
    for (const [key, text] of Object.entries(COLUMNS)) {
      const sorts = key === "leds" ? text : button(text, () => this.#sort(key));
      const name = `c-${key === "name" ? "device" : key}`;
      byId("heads").append(make("div", { role: "columnheader", class: name, "data-key": key }, sorts));
    }
  }

  #listen() {
    byId("search").addEventListener("input", () => this.#search());
    byId("sort").addEventListener("change", () => this.#sort(byId("sort").value, false));
    byId("match").addEventListener("click", () => this.#selectAll(true));
    document.querySelector(".filters")?.addEventListener("submit", (event) => this.#enter(event));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const writes = around(event, "input[type=search], input[type=text], select, dialog");
    if (event.key === "/" && !writes) {
      event.preventDefault();
      byId("search").select();
    } else if (event.key === "Escape" && !writes) {
      this.#selection.clear();
    }
  }

  // Of a cluster the servers select what matches.
  /** @param {boolean} on */
  #selectAll(on) {
    const found = this.#found();
    if (!this.#devices.isCut) this.#selection.setAll(found, on);
    else this.#selection.setMatching(on ? { devices: this.#match(), count: found.length } : null);
  }

  /** @returns {Which} */
  #match() {
    const filters = this.#filters();
    if (!filters.size) return "all";
    const { state = "all", leds, errors, ...match } = Object.fromEntries(filters);
    return { match: { state, ...match, ...(leds && { leds }), ...(errors && { errors: true }) } };
  }

  // Enter in the search opens the only device that is found, or goes to the first of several.
  /** @param {Event} event */
  #enter(event) {
    event.preventDefault();
    this.#search();
    if (this.#isAsked) this.#open();
    else this.#hasEntered = true;  // a cluster has yet to search
  }

  // Whether what is here is what the search and the filters ask for.
  get #isAsked() {
    return !this.#devices.window || this.#query === this.#wanted();
  }

  #open() {
    const links = byId("rows").querySelectorAll("a");
    if (this.#found().length === 1) links[0]?.click();
    else links[0]?.focus();
  }

  // -- search and order, which the address keeps for a reload

  // What is found is another list: it is seen from its beginning.
  #search() {
    this.#hasEntered = false;
    this.#offset = 0;
    this.#selection.searched();
    this.#draw();
    this.rows.toTop();
    this.#askWindow();
  }

  #restore() {
    const kept = new URLSearchParams(location.search);
    byId("search").value = kept.get("q") ?? "";
    const order = kept.get("sort") ?? "";
    if (order in COLUMNS) this.#order = order;
    this.#backwards = kept.has("backwards");
    this.#filter.restore(kept);
  }

  #keep() {
    const kept = new URLSearchParams();
    if (byId("search").value) kept.set("q", byId("search").value);
    if (this.#order !== "name") kept.set("sort", this.#order);
    if (this.#backwards) kept.set("backwards", "");
    this.#filter.keep(kept);
    const query = kept.size ? `?${kept}` : location.pathname;
    if (query !== (location.search || location.pathname)) history.replaceState(null, "", query);
  }

  /** @param {string} key */
  #sort(key, turns = true) {
    this.#backwards = turns && key === this.#order && !this.#backwards;
    this.#order = key;
    this.#offset = 0;
    if (this.#devices.isCut) this.rows.toTop();
    this.#draw();
    this.#askWindow();
  }

  #found() {
    if (this.#devices.isCut) return this.#devices.placed;
    const words = byId("search").value.trim();
    return this.#devices.find(words, this.#order, this.#backwards, this.#filter.chosen);
  }

  // -- what the server tells

  /** @param {Api.Changes} data @param {boolean} all */
  #take(data, all) {
    this.#devices.take(data, all);
    this.#told = true;
    this.#drawWindow();
    if (all) this.#askWindow();
    if (all) setTimeout(() => this.#forget(), WHOLE_MS);
    if (all) this.#askAway();
    if (!this.#devices.isCut) this.#selection.drop([...data.gone, ...(data.forgotten ?? [])]);
    this.#drawSoon();
    if (all && this.#hasEntered && this.#isAsked) {
      this.#hasEntered = false;
      this.#draw();
      this.#open();
    }
  }

  // The rows in sight of a cluster's list, and some around them, are asked for when they are not here.
  /** @param {number} first @param {number} last */
  #look(first, last) {
    if (!this.#devices.isCut) return;
    const { found = 0, offset = 0, ids = [] } = this.#devices.window ?? {};
    const end = Math.min(last, found);
    if (first >= offset && end <= offset + ids.length) return;
    if (first >= this.#offset && end <= this.#offset + WINDOW) return;  // they are on their way
    this.#offset = Math.max(0, Math.round((first + last - WINDOW) / 2));
    this.#askWindow(LOOK_MS);
  }

  // A cluster tells of the devices that are asked for, and of no others.
  #askWindow(wait = ASK_MS) {
    if (!this.#devices.window) return;  // all are here, to be found and sorted
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => {
      const query = this.#wanted();
      if (query === this.#query) return;
      this.#query = query;
      this.#devices.isFiltered = this.#filters().size > 0;
      this.connection.follow(`${CHANGES}?${query}`);
    }, wait);
  }

  #wanted() {
    const query = this.#filters();
    if (!query.has("state")) query.set("state", "all");
    query.set("sort", this.#order);
    if (this.#backwards) query.set("backwards", "true");
    query.set("limit", String(WINDOW));
    if (this.#offset) query.set("offset", String(this.#offset));
    return String(query);
  }

  #filters() {
    const { state, tag, firmware, errors, differ } = this.#filter.chosen;
    const query = new URLSearchParams();
    if (state) query.set("state", state === "away" ? "offline" : state);
    if (tag) query.set("tag", tag);
    if (firmware) query.set("firmware", firmware);
    if (errors) query.set("errors", "true");
    if (differ) query.set("leds", "differ");
    const words = byId("search").value.trim();
    if (words) query.set("q", words);
    return query;
  }

  #drawWindow() {
    const missing = this.#devices.window?.missing ?? [];
    const words = missing.length ? `No answer from ${missing.join(", ")}: devices there are not shown.` : "";
    setText(byId("cluster"), words);
    byId("cluster").classList.toggle("bad", missing.length > 0);
  }

  // Those that are away are asked for, some thousands at a time, after those that are connected. A
  // cluster tells of them in its window.
  async #askAway() {
    if (this.#devices.window) return;
    const round = this.#round += 1;
    /** @type {string | null} */
    let cursor = "";
    try {
      while (cursor !== null && round === this.#round) {
        const query = new URLSearchParams({ state: "offline", limit: String(AWAY_AT_ONCE), cursor });
        const { rows, next } = await ask(`/api/devices?${query}`);
        if (round !== this.#round) return;
        this.#devices.takeAway(rows);
        this.#drawSoon();
        cursor = next;
      }
    } catch (error) {
      this.connection.failed(error);
    }
  }

  #drawSoon() {
    const wait = Math.max(0, this.#drawn + RESORT_MS - performance.now());
    this.#timer ??= setTimeout(() => this.#draw(), this.#devices.size > 100 ? wait : 0);
  }

  // Rows stay as they were told last, and nothing moves.
  /** @param {boolean} isAway @param {string} words */
  #away(isAway, words) {
    this.#isAway = isAway;
    byId("table").classList.toggle("away", isAway);
    notice(byId("notice"), words, Boolean(words));
    this.#bar.away(isAway);
  }

  #forget() {
    if (!this.#devices.isCut) this.#selection.keepOnly((id) => this.#devices.get(id));
  }

  #tick() {
    if (this.#isAway) return;
    for (const row of this.rows.inSight) row.tick();
  }

  // -- drawing

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawn = performance.now();
    const found = this.#found();
    this.rows.show(found);
    this.#drawHeads(found);
    this.#drawCount(found.length);
    this.#drawEmpty(found.length);
    this.#filter.draw();
    this.#bar.draw();
    this.#keep();
  }

  /** @param {string[]} found */
  #drawHeads(found) {
    for (const head of byId("heads").children) {
      const sorted = head.dataset.key === this.#order;
      setAttribute(head, "aria-sort", sorted ? (this.#backwards ? "descending" : "ascending") : null);
    }
    const chosen = this.#selection.matching ? found.length : found.filter((id) => this.#selection.has(id)).length;
    byId("all").checked = chosen > 0 && chosen === found.length;
    byId("all").indeterminate = chosen > 0 && chosen < found.length;
    byId("sort").value = this.#order;
    setAttribute(byId("table"), "aria-rowcount", String(found.length + 1));
  }

  /** @param {number} found */
  #drawCount(found) {
    const rows = [...this.#devices.values()];
    const counts = this.#devices.window?.counts;
    const playing = counts?.playing ?? rows.filter((row) => row.playing).length;
    const failing = counts?.failing ?? rows.filter((row) => row.state === "error").length;
    const { connected, isCut } = this.#devices, isWhole = !this.#filters().size;
    const elsewhere = isWhole ? Math.max(0, found - connected) : 0;
    const away = isCut ? elsewhere : rows.filter((row) => !row.connected).length;
    const parts = [`${count(connected)} connected`, `${count(playing)} playing`];
    if (failing) parts.push(`${count(failing)} cannot play`);
    if (away) parts.push(`${count(away)} away`);
    if (counts) parts.push(many(counts.nodes, "node"));
    const isPart = counts ? !isWhole : found !== rows.length;
    if (isPart) parts.push(`${count(found)} found`);
    setText(byId("count"), this.#told ? parts.join(" · ") : "");
    setText(byId("match"), `Select ${isPart ? "the" : "all"} ${count(found)}`);
    byId("match").hidden = found < 2;
    byId("table").classList.toggle("no-battery", rows.every((row) => row.battery === null));
  }

  /** @param {number} found */
  #drawEmpty(found) {
    const empty = byId("empty"), nobody = this.#devices.size === 0 && !this.#devices.isFiltered;
    empty.hidden = found > 0 || !this.#told;
    byId("table").hidden = found === 0;
    if (empty.hidden || empty.dataset.nobody === String(nobody)) return;
    empty.dataset.nobody = String(nobody);
    empty.replaceChildren(...(nobody ? this.#invitation() : this.#nothing()));
  }

  #invitation() {
    const here = make("a", { href: "/device", text: "in this browser" });
    const command = make("code", { text: "audio-device" });
    return [make("strong", { text: "No device is connected" }),
      make("p", {}, "Open one ", here, ", or run ", command, " in a terminal.")];
  }

  #nothing() {
    const all = () => {
      byId("search").value = "";
      this.#filter.clear();
      this.#search();
      byId("search").focus();
    };
    return [make("strong", { text: "No device matches" }), make("p", {}, button("Show all devices", all))];
  }
}

new Fleet();
