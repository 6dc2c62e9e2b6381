// The page of clips: listen, download, add, rename, replace, remove, and put them in order.

import { AWAY, ask, wording } from "./ask.js";
import { ClipRow } from "./clip-row.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { confirm, prompt } from "./dialog.js";
import { byId, notice, setText } from "./dom.js";
import { dropFiles } from "./drop.js";
import { GroupMenu, clipUrl, urlOf } from "./group-menu.js";
import { Listener } from "./listener.js";
import { Order } from "./order.js";
import { Recordings } from "./recordings.js";
import { Shelf, title } from "./shelf.js";
import { about } from "./shell.js";
import { Uploads } from "./uploads.js";
import { many, title as titleOf } from "./words.js";

const LOOK_MS = 5000;
const COUNT_MS = 500;
const OF_ALL = "This group has the clips of all devices. The first change gives it copies of its own.";

class Clips {
  #group = new GroupMenu(() => this.#turn());
  #shelf = new Shelf(this.#group.value);
  /** @type {Map<string, ClipRow>} */
  #rows = new Map();      // by the key of its clip
  #changes = 0;           // how many have been made: what was asked before one of them is old
  #isTold = false;        // what the clips are
  #isUnsure = true;       // whether they still are
  #isAway = false;
  #devices = new Devices();
  /** @type {number | null} */
  #timer = null;
  #listener = new Listener((text) => this.#say(text, true));
  #order = new Order(byId("clips"), (from, to) => this.#move(from, to));
  #uploads = new Uploads(byId("uploads"), (answer, path) => this.#sent(answer, path));
  recordings = new Recordings((clips) => this.#group.value ? this.#look() : this.#take(clips),
    (text, bad) => this.#say(text, bad));

  constructor() {
    byId("add").addEventListener("click", () => byId("files").click());
    byId("files").addEventListener("change", () => {
      this.#add([...byId("files").files ?? []]);
      byId("files").value = "";
    });
    byId("reload").addEventListener("click", () => this.#reload());
    dropFiles(byId("drop"), () => !this.#shelf.fixed && !this.#isAway, (files) => this.#add(files));
    about();
    this.#look();
    setInterval(() => document.hidden || this.#look(), LOOK_MS);
    this.connection = new Connection("/api/devices/changes", {
      take: (name, data) => this.#count(data, name === "all"),
      changed: (isAway) => this.#followed(isAway),
    });
  }

  // Others change clips too.
  async #look() {
    const changes = this.#changes;
    try {
      const answer = await ask(clipUrl(this.#group.value), { signal: AbortSignal.timeout(LOOK_MS) });
      this.connection.heard();
      if (this.#isUnsure) this.#say("");
      this.#isUnsure = false;
      if (changes === this.#changes && !this.#shelf.isSaving && !this.#order.isDragging) this.#take(answer);
    } catch (error) {
      if (changes !== this.#changes) return;
      this.#isUnsure = true;
      this.#say(wording(error), true);
      this.connection.failed(error);
    }
  }

  // The clips of another group, or of all devices: nothing of the last ones is left.
  #turn() {
    this.#changes += 1;
    this.#listener.stop();
    this.#shelf = new Shelf(this.#group.value);
    this.#rows.clear();
    this.#isTold = false;
    this.#isUnsure = true;
    byId("clips").replaceChildren();
    setText(byId("count"), "");
    setText(byId("whose"), "");
    this.#look();
  }

  // Nothing can be changed while the server is away. What others have changed by then is seen at once.
  /** @param {boolean} isAway */
  #followed(isAway) {
    const wasAway = this.#isAway;
    this.#isAway = isAway;
    if (this.#isTold) this.#draw();
    this.#isUnsure ||= isAway;
    if (isAway) this.#say(AWAY, true);
    else if (wasAway) this.#look();
  }

  /** @param {Api.Clips} answer */
  #take(answer) {
    this.#changes += 1;
    this.#shelf.take(answer);
    this.#isTold = true;
    this.#draw();
  }

  // A file may have been for a group that is not shown any more.
  /** @param {Api.Clips} answer @param {string} path */
  #sent(answer, path) {
    const group = new URL(path, location.href).searchParams.get("group") ?? "";
    if (group === this.#group.value) this.#take(answer);
  }

  /** @param {string} text */
  #say(text, bad = false) {
    notice(byId("notice"), text, bad);
  }

  // -- drawing

  #draw() {
    const { clips, fixed } = this.#shelf;
    const can = { change: !fixed, remove: clips.length > 1, now: !this.#isAway };
    const rows = clips.map((clip) => this.#row(clip.key).show(clip, can));
    const keys = new Set(clips.map((clip) => clip.key));
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    place(byId("clips"), rows);
    setText(byId("count"), [many(clips.length, "clip"), ...(fixed ? [fixed] : [])].join(" · "));
    setText(byId("whose"), this.#shelf.isOwn ? "" : OF_ALL);
    byId("add").disabled = Boolean(fixed) || this.#isAway;
    byId("reload").disabled = this.#isAway;
  }

  // How many devices play each clip: by its title, since an order gives it another name.
  /** @param {Api.Changes} data @param {boolean} all */
  #count(data, all) {
    this.#devices.take(data, all);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const counts = new Map();
      for (const { playing } of this.#devices.values()) {
        if (playing) counts.set(titleOf(playing.clip), (counts.get(titleOf(playing.clip)) ?? 0) + 1);
      }
      for (const row of this.#rows.values()) row.playsOn(counts);
    }, COUNT_MS);
  }

  /** @param {string} key */
  #row(key) {
    const row = this.#rows.get(key) ?? new ClipRow(this.#group.value, this.#listener, this.#order, {
      rename: (clip) => this.#rename(clip),
      replace: (clip, file) => this.#replace(clip, file),
      remove: (clip) => this.#remove(clip),
    });
    this.#rows.set(key, row);
    return row;
  }

  // -- changes

  /** @param {string} method @param {string} path @param {string} words @param {object} [json] */
  async #change(method, path, words, json) {
    try {
      this.#take(await ask(path, { method, json }));
      this.#say(words);
    } catch (error) {
      this.#say(wording(error), true);
    }
  }

  #reload() {
    return this.#change("POST", clipUrl(this.#group.value, "/reload"), "The folder was read again.");
  }

  /** @param {Api.Clip} clip @param {File} file */
  #replace(clip, file) {
    return this.#uploads.send(file, "PUT", urlOf(this.#group.value, clip), `${title(clip)} has a new sound.`);
  }

  /** @param {Api.Clip} clip */
  async #rename(clip) {
    const old = title(clip);
    const name = await prompt(`Rename ${old}`, "Title", old, "Rename", { hint: "Its mode stays." });
    if (!name || name === old) return;
    await this.#change("PATCH", urlOf(this.#group.value, clip), `${old} is called ${name}.`, { title: name });
  }

  /** @param {Api.Clip} clip */
  async #remove(clip) {
    const text = "What plays goes on to its end. Each clip after it moves up by one mode.";
    if (!await confirm(`Remove ${title(clip)}?`, text, "Remove", { danger: true })) return;
    await this.#change("DELETE", urlOf(this.#group.value, clip), `${title(clip)} was removed.`);
  }

  /** @param {number} from @param {number} to */
  async #move(from, to) {
    const moved = this.#shelf.clips[from];
    this.#shelf.move(from, to);
    this.#draw();
    setText(byId("moved"), `${title(moved)} is mode ${to} now.`);
    try {
      await this.#shelf.save();
    } catch (error) {
      this.#say(wording(error), true);
    }
    this.#changes += 1;
    this.#draw();
  }

  /** @param {File[]} files */
  async #add(files) {
    const group = this.#group.value;
    for (const file of files) {
      const path = clipUrl(group, "", { name: file.name });
      await this.#uploads.send(file, "POST", path, "was added.");
    }
  }
}

/** @param {Element} list @param {Element[]} elements */
function place(list, elements) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  elements.forEach((element, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  while (list.childElementCount > elements.length) list.lastElementChild?.remove();
  if (focused !== document.activeElement && list.contains(focused)) focused?.focus();
}

new Clips();
