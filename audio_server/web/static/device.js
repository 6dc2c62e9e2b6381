// The device: what is drawn follows from what the server's device reports; buttons go back to it.

import { around, byId } from "./dom.js";
import { Face, pressers } from "./face.js";
import { Link } from "./link.js";
import { oggOpus } from "./ogg.js";
import { unpack } from "./packet.js";
import { Player, canDecode } from "./player.js";
import { about } from "./shell.js";

/** @type {Record<string, string>} */
const KEYS = { c: "connect", m: "mode", s: "stop", p: "play", " ": "play" };

// Each page (tab) is a device of its own, and stays it when it is loaded again.
function deviceId() {
  const asked = new URLSearchParams(location.search).get("id");
  if (asked) return asked;
  const kept = sessionStorage.getItem("device-id");
  const id = kept ?? `browser-${anyName()}`;
  sessionStorage.setItem("device-id", id);
  return id;
}

function anyName() {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Device {
  #wanted = false;     // whether it is switched on, wherever the server is
  #stopsPending = 0;   // Stops that have been pressed and were not acknowledged yet
  /** @type {string[]} */
  #sent = [];
  /** @type {string[]} */
  #waiting = [];       // what was pressed before the page was connected for the first time
  #isAway = false;
  #deaf = false;       // what comes belongs to a take that has been stopped
  /** @type {Uint8Array<ArrayBuffer>[] | null} */
  #recorded = null;
  /** @type {string | null} */
  #fileUrl = null;

  constructor() {
    this.id = deviceId();
    this.face = new Face(this.id);
    this.player = new Player((words) => this.face.log(words, true));
    this.link = new Link(this.id, canDecode().then((can) => !can), this);
    this.face.keepDrawing(this.player);
    this.#listen();
    about();
  }

  #listen() {
    for (const button of pressers()) {
      button.addEventListener("click", () => this.press(button.dataset.press ?? ""));
    }
    byId("power").addEventListener("click", () => this.power(false));
    byId("record").addEventListener("click", () => this.record());
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("pointerdown", () => this.player.unlock(), { passive: true });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const onControl = around(event, "button, a, input");
    const name = KEYS[event.key.toLowerCase()];
    if (!name || (event.key === " " && onControl)) return;
    event.preventDefault();
    this.press(name);
    this.face.flash(name);
  }

  // -- what the user does

  /** @param {string} name */
  press(name) {
    this.player.unlock();
    if (this.#isAway) return;  // a press that the user has forgotten would come as a surprise
    if (name === "connect" && !this.#wanted) {
      this.power(true);
      return;
    }
    if (!this.#wanted) {
      this.face.say("Off. Press Connect.");
      return;
    }
    const said = this.link.say({ press: name });
    if (!said) this.#waiting.push(name);
    else if (name === "stop") this.#silence();
  }

  #silence() {
    this.#stopsPending += 1;
    this.#deaf = true;
    this.player.flush();
  }

  /** @param {boolean} on */
  power(on) {
    this.#wanted = on;
    this.#waiting = [];
    this.face.power(on);
    if (!on) this.player.flush();
    this.link.say({ power: on });
  }

  record() {
    const recorded = this.#recorded;
    this.#recorded = recorded ? null : [];
    this.face.recording(!recorded);
    if (recorded?.length) this.#keep(recorded);
    else if (recorded) this.face.log("Nothing was heard, so there is nothing to keep");
  }

  /** @param {Uint8Array<ArrayBuffer>[]} packets */
  #keep(packets) {
    if (this.#fileUrl) URL.revokeObjectURL(this.#fileUrl);
    this.#fileUrl = URL.createObjectURL(oggOpus(packets));
    this.face.recorded(this.#fileUrl, packets.length);
  }

  // -- what the link says

  opened() {
    this.#away(false);
    this.#stopsPending = 0;
    this.#sent = [];
    this.#deaf = false;
    if (!this.#wanted) return;
    this.link.say({ power: true });
    for (const name of this.#waiting.splice(0)) this.link.say({ press: name });
  }

  closed() {
    this.player.flush();
    this.#waiting = [];
    this.#away(true);
    this.face.link("away");
  }

  /** @param {boolean} isAway */
  #away(isAway) {
    this.#isAway = isAway;
    this.face.away(isAway);
  }

  /** @param {string} reason */
  refused(reason) {
    this.#wanted = false;
    this.#away(false);
    this.player.flush();
    this.face.refuse(reason);
  }

  /** @param {Page.Event} event */
  event(event) {
    if (event.event === "sent") this.#sent.push(event.button);
    if (event.event === "acked" && this.#sent.shift() === "stop") {
      this.#stopsPending = Math.max(0, this.#stopsPending - 1);
    }
    if (event.event === "lost") this.#lose();
    this.face.event(event);
  }

  #lose() {
    this.player.flush();
    this.#sent = [];
    this.#stopsPending = 0;
    this.#deaf = false;
  }

  // What was sent before a Stop was obeyed is not heard; the next take is.
  /** @param {ArrayBuffer} buffer */
  packet(buffer) {
    const packet = unpack(buffer);
    this.#recorded?.push(packet.opus.slice());
    if (packet.isStart && !this.#stopsPending) this.#deaf = false;
    if (packet.isStart) this.face.takeStarts();
    if (!this.#deaf) this.player.accept(packet);
  }
}

Object.assign(globalThis, { device: new Device() });
