// Which devices are selected: one by one, from one to another (Shift), or all that are found.

export class Selection {
  /** @type {Set<string>} */
  #ids = new Set();
  /** @type {string | null} */
  #anchor = null;
  /** @type {() => void} */
  #changed;
  /** @type {Matching | null} */
  #matching = null;  // all that a search has found, which are more than are here

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  get size() {
    return this.#matching ? this.#matching.count : this.#ids.size;
  }

  // What the API is asked to act on where all that match are selected.
  get matching() {
    return this.#matching;
  }

  /** @param {Matching | null} matching */
  setMatching(matching) {
    this.#ids.clear();
    this.#matching = matching;
    this.#changed();
  }

  // The search is another one: those that it found are not what is meant any more.
  searched() {
    if (this.#matching) this.setMatching(null);
  }

  get ids() {
    return [...this.#ids];
  }

  /** @param {string} id */
  has(id) {
    return this.#matching !== null || this.#ids.has(id);
  }

  // With `range`, all between the one that was last set and this become what this becomes.
  /** @param {string} id @param {boolean} on @param {boolean} range @param {string[]} found */
  set(id, on, range, found) {
    const [from, to] = [found.indexOf(this.#anchor ?? ""), found.indexOf(id)];
    const between = found.slice(Math.min(from, to), Math.max(from, to) + 1);
    const ids = range && from >= 0 && to >= 0 ? Object.values(between) : [id];
    this.#matching = null;
    for (const one of ids) this.#one(one, on);
    this.#anchor = id;
    this.#changed();
  }

  /** @param {string[]} ids @param {boolean} on */
  setAll(ids, on) {
    this.#matching = null;
    for (const id of ids) this.#one(id, on);
    this.#changed();
  }

  clear() {
    this.#matching = null;
    this.#ids.clear();
    this.#changed();
  }

  // Devices that have just gone are selected no more: what is about to be done was meant for others.
  /** @param {string[]} ids */
  drop(ids) {
    const { size } = this;
    for (const id of ids) this.#ids.delete(id);
    if (this.size < size) this.#changed();
  }

  // Devices that are not known are selected no more.
  /** @param {(id: string) => unknown} isThere */
  keepOnly(isThere) {
    const gone = this.ids.filter((id) => !isThere(id));
    for (const id of gone) this.#ids.delete(id);
    if (gone.length) this.#changed();
  }

  /** @param {string} id @param {boolean} on */
  #one(id, on) {
    if (on) this.#ids.add(id);
    else this.#ids.delete(id);
  }
}
