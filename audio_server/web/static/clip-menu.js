// A select of the clips and live channels as they are now; others may change them while the page is open.

import { ask } from "./ask.js";
import { make } from "./dom.js";
import { title } from "./words.js";

export const LIVE = "live/";  // before the name of a channel; no clip has a slash in its name

export class ClipMenu {
  /** @type {HTMLSelectElement} */
  #select;
  /** @type {() => void} */
  #changed;
  /** @type {string[]} */
  #names = [];

  #url = "/api/clips";

  // With the id of a device the clips are those of its group.
  /** @param {HTMLSelectElement} select @param {() => void} changed @param {string} [device] */
  constructor(select, changed, device) {
    this.#select = select;
    if (device !== undefined) this.#url += `?${new URLSearchParams({ device })}`;
    this.#changed = changed;
    this.refresh();
    addEventListener("focus", () => this.refresh());
  }

  get isEmpty() {
    return this.#names.length === 0;
  }

  async refresh() {
    /** @type {[Api.Clip[] | null, Api.Channel[]]} */
    const [clips, channels] = await Promise.all([
      ask(this.#url).then((answer) => answer.clips, () => null),
      ask("/api/live").then((answer) => answer.channels, () => []),
    ]);
    const names = [...(clips ?? []).map((clip) => clip.name), ...channels.map(value)];
    if (!clips || names.join("\n") === this.#names.join("\n")) return;
    const chosen = this.#select.value;
    this.#names = names;
    this.#select.replaceChildren(...clips.map(option), ...group(channels, clips.length));
    if (names.includes(chosen)) this.#select.value = chosen;
    this.#select.disabled = this.isEmpty;
    this.#changed();
  }
}

// What a value of the select stands for, for a request, and its words.
/** @param {string} chosen @returns {[{ clip: string } | { live: string }, string]} */
export function sourceOf(chosen) {
  if (!chosen.startsWith(LIVE)) return [{ clip: chosen }, title(chosen)];
  const live = chosen.slice(LIVE.length);
  return [{ live }, live];
}

// A copy of the select with the clips alone.
/** @param {HTMLSelectElement} select */
export function clipsOf(select) {
  const copy = /** @type {HTMLSelectElement} */ (select.cloneNode(true));
  copy.removeAttribute("id");
  copy.querySelector("optgroup")?.remove();
  if (!select.value.startsWith(LIVE)) copy.value = select.value;
  return copy;
}

/** @param {Api.Channel} channel */
const value = (channel) => `${LIVE}${channel.name}`;

/** @param {Api.Clip} clip */
function option(clip) {
  return make("option", { value: clip.name, text: `${clip.mode} ${clip.title ?? title(clip.name)}` });
}

// Channels are the modes after the clips.
/** @param {Api.Channel[]} channels @param {number} clips */
function group(channels, clips) {
  const options = channels.map((one, at) => make("option", { value: value(one), text: `${clips + at} ${one.name}` }));
  return options.length ? [make("optgroup", { label: "Live" }, ...options)] : [];
}
