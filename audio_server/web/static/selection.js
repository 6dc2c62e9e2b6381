// Which devices are selected: one by one, from one to another (Shift), or all that are found.

export class Selection {
  #ids = new Set();
  #anchor = null;
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  get size() {
    return this.#ids.size;
  }

  get ids() {
    return [...this.#ids];
  }

  has(id) {
    return this.#ids.has(id);
  }

  // With `range`, all between the one that was last set and this become what this becomes.
  set(id, on, range, found) {
    const [from, to] = [found.indexOf(this.#anchor), found.indexOf(id)];
    const ids = range && from >= 0 ? found.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
    for (const one of ids) this.#one(one, on);
    this.#anchor = id;
    this.#changed();
  }

  setAll(ids, on) {
    for (const id of ids) this.#one(id, on);
    this.#changed();
  }

  clear() {
    this.#ids.clear();
    this.#changed();
  }

  // Devices that are gone are selected no more.
  keepOnly(isThere) {
    const gone = this.ids.filter((id) => !isThere(id));
    for (const id of gone) this.#ids.delete(id);
    if (gone.length) this.#changed();
  }

  #one(id, on) {
    if (on) this.#ids.add(id);
    else this.#ids.delete(id);
  }
}
