// The choice of whose clips are shown: those of all devices, or those of a group. It is kept in the address.

import { ask } from "./ask.js";
import { byId, make } from "./dom.js";

const ALL = "all devices";

export class GroupMenu {
  #select = byId("group");
  #shown = "";
  /** @type {string} */
  value = new URLSearchParams(location.search).get("group") ?? "";

  /** @param {() => void} changed */
  constructor(changed) {
    this.#options([]);
    this.#select.addEventListener("change", () => {
      this.value = this.#select.value;
      history.replaceState(null, "", this.value ? `?${new URLSearchParams({ group: this.value })}` : location.pathname);
      changed();
    });
    addEventListener("focus", () => this.refresh());
    this.refresh();
  }

  async refresh() {
    /** @type {Api.Group[] | null} */
    const groups = await ask("/api/groups?all=true").then((answer) => answer.groups, () => null);
    if (groups) this.#options(groups.map((group) => group.name));
  }

  // The group of the address stays, also one that is none: its page says so.
  /** @param {string[]} names */
  #options(names) {
    const all = this.value && !names.includes(this.value) ? [...names, this.value] : names;
    if (all.join("\n") === this.#shown && this.#select.options.length) return;
    this.#shown = all.join("\n");
    const options = all.map((name) => make("option", { value: name, text: name }));
    this.#select.replaceChildren(make("option", { value: "", text: ALL }), ...options);
    this.#select.value = this.value;
  }
}

// The address of a part of the API of clips.
/** @param {string} group @param {string} [path] @param {Record<string, string>} [more] */
export function clipUrl(group, path = "", more = {}) {
  const query = new URLSearchParams(group ? { ...more, group } : more);
  return `/api/clips${path}${query.size ? `?${query}` : ""}`;
}

/** @param {string} group @param {Api.Clip} clip @param {string} [part] @param {Record<string, string>} [more] */
export const urlOf = (group, clip, part = "", more = {}) =>
  clipUrl(group, `/${encodeURIComponent(clip.name)}${part}`, more);
