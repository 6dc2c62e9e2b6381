// The clips as the server has them, and the order that the user wants while the server is told.

import { ask } from "./ask.js";
import { clipUrl } from "./group-menu.js";

export class Shelf {
  #group = "";
  /** @type {Api.Clip[]} */
  #served = [];
  /** @type {string[] | null} */
  #wanted = null;   // keys in the order that is asked for; null when that is the server's
  #saving = false;
  /** @type {string | null} */
  fixed = null;     // why nothing can be changed here
  isOwn = true;     // false for a group that has the clips of all devices

  // Without a group the clips of all devices.
  /** @param {string} group */
  constructor(group) {
    this.#group = group;
  }

  // An answer of the API.
  /** @param {Api.Clips} answer */
  take({ clips, fixed_because: fixed = null, own = true }) {
    this.#served = clips;
    this.isOwn = own;
    this.fixed = fixed;
  }

  // Each with a `key` that stays the same when an order gives its file another name.
  /** @returns {KeyedClip[]} */
  get clips() {
    const keyed = withKeys(this.#served);
    if (!this.#wanted) return keyed;
    const byKey = new Map(keyed.map((clip) => [clip.key, clip]));
    const known = this.#wanted.flatMap((key) => byKey.get(key) ?? []);
    return known.map((clip, mode) => ({ ...clip, mode }));
  }

  get isSaving() {
    return this.#saving;
  }

  // At once here; `save` tells the server.
  /** @param {number} from @param {number} to */
  move(from, to) {
    const keys = this.clips.map((clip) => clip.key);
    keys.splice(to, 0, ...keys.splice(from, 1));
    this.#wanted = keys;
  }

  // Until the server has the order that is wanted, whatever is wanted meanwhile: each order gives
  // files other names, so the next one needs those. Raises `Refusal`; the order is the server's then.
  async save() {
    if (this.#saving) return;
    this.#saving = true;
    try {
      while (this.#wanted) {
        const asked = this.#wanted;
        const names = this.clips.map((clip) => clip.name);
        this.take(await ask(clipUrl(this.#group, "/order"), { method: "PUT", json: { names } }));
        if (this.#wanted === asked) this.#wanted = null;
      }
    } finally {
      this.#wanted = null;
      this.#saving = false;
    }
  }
}

/** @param {Api.Clip} clip */
export const title = (clip) => clip.title ?? clip.name;

/** @param {Api.Clip[]} clips @returns {KeyedClip[]} */
function withKeys(clips) {
  const seen = new Map();
  return clips.map((clip) => {
    const key = [title(clip), clip.seconds, clip.bit_rate_bps].join("|");
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return { ...clip, key: `${key}|${seen.get(key)}` };
  });
}
