// The page of one device: what it is, what it does, what happened to it, and buttons to press.

import { announce } from "./announce.js";
import { BUTTONS, deviceAt, play, press, rename, report, stop, tag } from "./actions.js";
import { Refusal, ask } from "./ask.js";
import { NAME_HINT, TAG_HINT } from "./bar.js";
import { ClipMenu } from "./clip-menu.js";
import { Connection } from "./connection.js";
import { Devices } from "./devices.js";
import { prompt } from "./dialog.js";
import { button, byId, make, notice, setText } from "./dom.js";
import { Findings } from "./findings.js";
import { Judging } from "./judging.js";
import { lamps, light } from "./lamps.js";
import { about } from "./shell.js";
import { speak } from "./speak.js";
import { Take } from "./take.js";
import { Timeline } from "./timeline.js";
import { NONE, age, capital, clock, count, exact, mode, ms, percent, title } from "./words.js";

const LOOK_MS = 5000;
const TICK_MS = 250;
const SOON_MS = 120;  // after something has happened, so that what belongs together is seen at once

class Page {
  #id = decodeURIComponent(location.pathname.replace(/.*\//, ""));
  #devices = new Devices();
  #lamps = byId("leds").appendChild(lamps());
  #take = new Take(this.#devices, byId("bar"), byId("time"));
  #timeline = new Timeline(() => this.#devices.now);
  #findings = new Findings();
  #judging = new Judging(this.#id);
  /** @type {number | undefined} */
  #timer;
  /** @type {Api.Device | null} */
  #row = null;
  #isAway = false;      // the server, not the device
  #isUnknown = false;   // it is asked for again when something happens to it

  constructor() {
    document.title = `${this.#id} · Streaming Audio Server`;
    setText(byId("name"), this.#id);
    this.#listen();
    this.clips = new ClipMenu(byId("clip"), () => this.#enable(), this.#id);
    about().then((facts) => facts?.judge && this.#findings.command(facts.judge, this.#id));
    this.connection = new Connection(`/api/events?device=${encodeURIComponent(this.#id)}&follow=1`, {
      take: (_, event) => this.#happened(event),
      changed: (isAway, words) => this.#followed(isAway, words),
    });
    setInterval(() => document.hidden || this.#isUnknown || this.#look(), LOOK_MS);
    setInterval(() => this.#isAway || this.#take.tick(), TICK_MS);
  }

  #listen() {
    /** @param {string} name */
    const presser = (name) => button(capital(name), () => this.#act(press([this.#id], name)));
    byId("presses").append(...BUTTONS.map(presser));
    byId("play").addEventListener("click", () => this.#play(byId("clip").value));
    byId("stop").addEventListener("click", () => this.#act(stop([this.#id])));
    byId("announce").addEventListener("click", () => announce([this.#id], 1, byId("clip")));
    byId("speak").addEventListener("click", () => speak([this.#id]));
    byId("rename").addEventListener("click", () => this.#rename());
    byId("add-tag").addEventListener("click", () => this.#tag());
  }

  // -- what the server tells

  /** @param {boolean} isAway @param {string} words */
  async #followed(isAway, words) {
    this.#isAway = isAway;
    byId("known").classList.toggle("away", isAway);
    notice(byId("notice"), words, Boolean(words));
    this.#enable();
    if (words) return;
    await this.#look();
    if (this.#isUnknown) return;
    const past = await ask(`${deviceAt(this.#id)}/events`).catch(() => null);
    this.#timeline.add(past?.events ?? []);
    this.#findings.add(past?.events ?? []);
  }

  /** @param {Api.Event} event */
  #happened(event) {
    this.#timeline.add([event]);
    this.#findings.add([event]);
    this.#timer ??= setTimeout(() => this.#look(), SOON_MS);
  }

  async #look() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      const row = await ask(deviceAt(this.#id), { signal: AbortSignal.timeout(LOOK_MS) });
      this.connection.heard();
      this.#show(row);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) this.#unknown();
      else this.connection.failed(error);
    }
  }

  // -- drawing

  /** @param {Api.Device} row */
  #show(row) {
    if (this.#row && `${row.tags}` !== `${this.#row.tags}`) this.clips.refresh();  // another group's, perhaps
    this.#row = row;
    this.#isUnknown = false;
    this.#devices.take({ now: row.playing?.at, rows: [row], gone: [] }, true);
    setText(byId("name"), row.name ?? row.id);
    setText(byId("id"), row.name ? row.id : "");
    document.title = `${row.name ?? row.id} · Streaming Audio Server`;
    byId("unknown").hidden = true;
    byId("known").hidden = false;
    light(this.#lamps, row);
    setText(byId("doing"), doing(row));
    setText(byId("leds-said"), ledsSaid(row));
    this.#take.show(row.playing);
    this.#facts(row);
    this.#enable();
  }

  /** @param {Api.Device} row */
  #facts(row) {
    const press = row.last_press;
    /** @type {Record<string, string>} */
    const facts = {
      Connected: row.connected ? `since ${clock(row.since)}` : this.#lastSeen(row),
      Tags: row.tags.join(", ") || NONE,
      "First seen": row.first_seen ? exact(row.first_seen) : NONE,
      "Connections, takes": `${count(row.connections)}, ${count(row.takes)}`,
      Address: row.address ?? NONE,
      "Last press": press ? `${capital(press.button)}, ${clock(press.at)}` : NONE,
      "Round trip": ms(row.round_trip_ms), Lead: ms(row.lead_ms), Battery: percent(row.battery),
      "LED corrections": String(row.corrections), Errors: String(row.errors),
      Streams: row.streams.join(", ") || "none",
    };
    if (typeof row.worker === "number") facts.Worker = String(row.worker);
    if (row.node) facts.Node = row.node;
    if (row.last_error) facts["Last error"] = row.last_error;
    /** @param {[string, string]} fact */
    const fact = ([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }));
    byId("facts").replaceChildren(...Object.entries(facts).map(fact));
    byId("facts").children[0].title = exact(row.since);
  }

  /** @param {Api.Device} row */
  #lastSeen(row) {
    return row.last_seen ? `no, last seen ${age(this.#devices.now - row.last_seen)} ago` : "no";
  }

  #enable() {
    const there = Boolean(this.#row?.connected) && !this.#isAway;
    byId("state").classList.toggle("there", there);
    setText(byId("state"), this.#isAway ? "Reconnecting …" : there ? "Connected" : "Not connected");
    for (const one of [...byId("presses").children, byId("stop"), byId("speak")]) one.disabled = !there;
    byId("play").disabled = byId("announce").disabled = !there || this.clips?.isEmpty !== false;
    this.#judging.enable(there);
    byId("rename").disabled = byId("add-tag").disabled = !this.#row || this.#isAway;
  }

  #unknown() {
    this.#row = null;
    this.#isUnknown = true;
    byId("known").hidden = true;
    byId("unknown").hidden = false;
    this.#enable();
  }

  // -- actions

  /** @param {string} clip */
  #play(clip) {
    return this.#act(play([this.#id], clip));
  }

  async #rename() {
    const name = await prompt(`Rename ${this.#id}`, "Name", this.#row?.name, "Rename", { hint: NAME_HINT });
    if (name !== null) await this.#act(rename(this.#id, name));
  }

  // All tags of the device are written anew.
  async #tag() {
    const before = this.#row?.tags ?? [], title = `Tags of ${this.#row?.name ?? this.#id}`;
    const written = await prompt(title, "Tags", before.join(" "), "Keep", { hint: TAG_HINT });
    if (written === null) return;
    const tags = written.split(/[\s,]+/).filter(Boolean);
    const fewer = before.filter((one) => !tags.includes(one));
    const more = tags.filter((one) => !before.includes(one));
    if (more.length || fewer.length) await this.#act(tag([this.#id], more, fewer));
  }

  /** @param {Promise<Said>} action */
  async #act(action) {
    await report(action);
    this.#look();
  }
}

/** @param {Api.Device} row */
function doing(row) {
  if (!row.connected) return `Mode ${mode(row)}`;
  if (row.playing) return `Plays ${title(row.playing.clip)} · mode ${mode(row)}`;
  return `${row.state === "error" ? "Cannot play this clip" : "Idle"} · mode ${mode(row)}`;
}

/** @param {Api.Device} row */
function ledsSaid(row) {
  if (!row.confirmed) return "As sent; the device has not confirmed them yet";
  return "As the device last confirmed them";
}

new Page();
