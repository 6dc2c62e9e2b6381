// All devices as the server last told of them, also those that are away: found by words and filters, in
// an order, and how far they play.

import { differs } from "./lamps.js";
import { mode } from "./words.js";

const compare = new Intl.Collator([], { numeric: true, sensitivity: "base" }).compare;
/** @type {Record<string, (row: Api.Device) => string | number | null>} */
const SORTS = {
  name: (row) => row.name ?? row.id,
  mode: (row) => row.mode,
  plays: (row) => (row.playing ? row.playing.clip : null),
  press: (row) => (row.last_press ? -row.last_press.at : null),
  lead: (row) => row.lead_ms,
  round: (row) => row.round_trip_ms,
  battery: (row) => row.battery,
  errors: (row) => -row.errors,
  address: (row) => row.address,
  since: (row) => -row.since,
};

/** @type {Record<string, (row: Api.Device) => boolean>} */
const STATES = {
  connected: (row) => row.connected,
  playing: (row) => row.connected && Boolean(row.playing),
  idle: (row) => row.connected && !row.playing && row.state !== "error",
  error: (row) => row.connected && row.state === "error",
  away: (row) => !row.connected,
};

const KEPT = 5000;  // rows of a cluster

export class Devices {
  isFiltered = false;  // whether only devices come that a filter or a search lets through
  /** @type {Map<string, Api.Device>} */
  #rows = new Map();
  /** @type {string[] | null} */
  #found = null;      // what the last question found, while it still holds
  /** @type {unknown[]} */
  #asked = [];
  #ahead_s = 0;       // of the server's clock before this browser's
  /** @type {Api.Changes | null} */
  #window = null;     // of a cluster: only the rows that were asked for come, and how many there are

  // An event of `/api/devices/changes`.
  /** @param {Api.Changes} changes @param {boolean} all */
  take(changes, all) {
    const { now, rows, gone, away = [], forgotten = [] } = changes;
    if (now) this.#ahead_s = now - Date.now() / 1000;
    const wasCut = this.isCut;
    if (all || changes.counts) this.#window = changes.counts ? changes : null;
    if (all && !this.isCut) this.#rows.clear();
    else if (wasCut && !this.isCut) this.#dropOld(0);
    this.takeAway(away);
    for (const row of rows) {
      const known = this.#rows.get(row.id);
      if (!this.#keepsOrder(row, known)) this.#found = null;
      this.#rows.set(row.id, row);
    }
    for (const id of gone) {
      if (this.isCut) continue;  // it is beyond the window
      if (this.isFiltered) this.#rows.delete(id);
      else this.#leave(id);
    }
    if (this.isCut) this.#dropOld();
    for (const id of forgotten) this.#rows.delete(id);
    if (all || gone.length || forgotten.length) this.#found = null;
  }

  // Rows beyond the window are kept for those that are selected, but not for ever.
  #dropOld(kept = KEPT) {
    const inWindow = new Set(this.#window?.ids);
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= kept) return;
      if (!inWindow.has(id)) this.#rows.delete(id);
    }
  }

  // Devices that are away, unless they have come back by now.
  /** @param {Api.Device[]} rows */
  takeAway(rows) {
    for (const row of rows) {
      if (!this.#rows.get(row.id)?.connected) this.#rows.set(row.id, row);
    }
    if (rows.length) this.#found = null;
  }

  // A device stays as it was seen last.
  /** @param {string} id */
  #leave(id) {
    const row = this.#rows.get(id);
    if (!row) return;
    const last = { connected: false, last_seen: this.now, state: /** @type {"idle"} */ ("idle") };
    this.#rows.set(id, { ...row, ...last, playing: null, lead_ms: null, round_trip_ms: null, streams: [] });
  }

  /** @param {Api.Device} row @param {Api.Device | undefined} known */
  #keepsOrder(row, known) {
    const [order, words, , filters] = this.#asked;
    const key = SORTS[String(order)] ?? SORTS.name;
    return known && !words && !filters && key(known) === key(row);
  }

  get size() {
    return this.#rows.size;
  }

  // Whether only some of the devices that were asked for are here.
  get isCut() {
    const { found = 0, limit = 0, offset = 0 } = this.#window ?? {};
    return this.#window !== null && (found > limit || offset > 0);
  }

  // The whole list of a cluster, of which only the window has ids: the others are not here.
  get placed() {
    const { found = 0, offset = 0, ids = [] } = this.#window ?? {};
    /** @type {string[]} */
    const placed = new Array(Math.max(found, offset + ids.length));
    ids.forEach((id, index) => { placed[offset + index] = id; });
    return placed;
  }

  // What a cluster says of all its devices; null without one.
  get window() {
    return this.#window;
  }

  get connected() {
    if (this.#window?.counts) return this.#window.counts.connected;
    let connected = 0;
    for (const row of this.#rows.values()) if (row.connected) connected += 1;
    return connected;
  }

  // The tags that any device has, in the order of the alphabet.
  get tags() {
    /** @type {Set<string>} */
    const tags = new Set();
    for (const row of this.#rows.values()) for (const tag of row.tags) tags.add(tag);
    return [...tags].sort();
  }

  // The firmware that any device has named, in the order of its numbers.
  get firmwares() {
    /** @type {Set<string>} */
    const found = new Set();
    for (const row of this.#rows.values()) if (row.firmware) found.add(row.firmware);
    return [...found].sort(compare);
  }

  /** @param {string} id */
  get(id) {
    return this.#rows.get(id);
  }

  values() {
    return this.#rows.values();
  }

  // Ids, in the order that is asked for, of the devices that pass the filters and have all words in
  // what is shown of them.
  /** @param {string} words @param {string} order @param {boolean} backwards @param {Filters} [filters] */
  find(words, order, backwards, filters = {}) {
    const asked = [order, words, backwards, Object.entries(filters).join(" ")];
    if (!this.#found || asked.join("\n") !== this.#asked.join("\n")) {
      this.#asked = asked;
      const rows = this.#matching(words).filter((row) => passes(row, filters));
      this.#found = this.#sorted(rows, SORTS[order] ?? SORTS.name, backwards ? -1 : 1);
    }
    return this.#found;
  }

  /** @param {string} words */
  #matching(words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...this.#rows.values()];
    if (!wanted.length) return rows;
    return rows.filter((row) => {
      const text = haystack(row);
      return wanted.every((word) => text.includes(word));
    });
  }

  // What has no value comes last, whichever way.
  /**
   * @param {Api.Device[]} rows @param {(row: Api.Device) => string | number | null} key
   * @param {number} sign
   */
  #sorted(rows, key, sign) {
    /** @type {[string | number | null, Api.Device][]} */
    const keyed = rows.map((row) => [key(row) ?? null, row]);
    keyed.sort(([a, one], [b, two]) => {
      if (a === b) return compare(one.id, two.id);
      if (a === null || b === null) return a === null ? 1 : -1;
      return sign * (typeof a === "number" ? a - Number(b) : compare(a, String(b))) || compare(one.id, two.id);
    });
    return keyed.map(([, row]) => row.id);
  }

  // The server's time, in seconds since 1970.
  get now() {
    return Date.now() / 1000 + this.#ahead_s;
  }

  // How many seconds of the clip have been heard by now.
  /** @param {Api.Playing} playing */
  position(playing) {
    return Math.min(playing.seconds ?? Infinity, Math.max(0, playing.position_s + this.now - playing.at));
  }
}

/** @param {Api.Device} row @param {Filters} filters */
function passes(row, { state, tag, firmware, errors, differ }) {
  if (state && !STATES[state](row)) return false;
  if (tag && !row.tags.includes(tag)) return false;
  if (firmware && row.firmware !== firmware) return false;
  if (errors && !row.errors) return false;
  return !differ || (row.connected && differs(row));
}

/** @param {string} state */
export const isState = (state) => state in STATES;

/** @param {Api.Device} row */
function haystack(row) {
  const state = row.connected ? row.state : "away";
  const parts = [row.name ?? "", row.id, ...row.tags, row.address, mode(row), state, row.playing?.clip ?? "", row.firmware ?? ""];
  if (row.errors) parts.push("errors");
  return parts.join(" ").toLowerCase();
}
