// What the page shows: LEDs, words for them, position, level, and a log.

import { AWAY as SERVER_AWAY } from "./ask.js";
import { ledText } from "./colours.js";
import { byId, setText } from "./dom.js";
import { capital, clock, span, title } from "./words.js";

const SHAPES = ["square", "rhomboid", "triangle", "circle"];
const LOG_LINES = 200;
// LEDs run through all shapes after connecting (about a second): they are no mode yet.
const STARTUP_MS = 1200;
/** @type {Record<string, string>} */
const AWAY = {
  off: "Off. Press Connect.",
  connecting: "Connecting …",
  waiting: "The server does not answer; trying again.",
  away: SERVER_AWAY,
};


// The buttons of the device.
export const pressers = () => [...document.querySelectorAll("button")].filter((one) => one.dataset.press);

/** @param {string} name */
const presser = (name) => pressers().find((one) => one.dataset.press === name);

export class Face {
  /** @type {{ modes: Page.Mode[], states: Record<string, number> }} */
  #hello = { modes: [], states: {} };
  #link = "off";
  #leds = [0xffffffff, 0, 0, 0, 0, 0];
  /** @type {Page.Mode | null | undefined} */
  #playing = null;
  #starting = false;
  /** @type {number | undefined} */
  #greeting;    // the timer that runs while LEDs show the start-up sequence

  /** @param {string} id */
  constructor(id) {
    byId("device-id").textContent = id;
    byId("seen").href = `/devices/${encodeURIComponent(id)}`;
    document.title = `${id} · Streaming Audio Server`;
    this.power(false);
    this.#draw();
  }

  // -- what happens

  /** @param {Page.Event} event */
  event(event) {
    switch (event.event) {
      case "hello": this.#hello = event; this.#draw(); break;
      case "link": this.link(event.link); break;
      case "leds": this.#show(event.leds); break;
      case "sent": this.log(`${capital(event.button)} pressed`); break;
      case "acked": this.#acked(event); break;
      case "lost": if (event.reason) this.log(`Connection lost: ${event.reason}`, true); break;
      case "call lost": this.log(`${event.call} lost: ${event.reason}`, true); break;
      case "call reopened": this.log(`${event.call} opened again`); break;
    }
  }

  /** @param {{ ack: boolean, ms: number }} event */
  #acked({ ack, ms }) {
    this.#greet(false);
    byId("ack").textContent = `${ms.toFixed(1)} ms`;
    if (!ack) this.log("The server refused the event", true);
  }

  /** @param {string} link */
  link(link) {
    if (link !== this.#link) this.log({ online: "Connected", off: "Switched off" }[link] ?? AWAY[link]);
    this.#link = link;
    if (link !== "online") this.#playing = null;
    this.#greet(link === "online");
  }

  // A press ends the start-up sequence, and so does its time.
  /** @param {boolean} on */
  #greet(on) {
    clearTimeout(this.#greeting);
    this.#greeting = on ? setTimeout(() => this.#greet(false), STARTUP_MS) : undefined;
    this.#draw();
  }

  // Nothing can be pressed while the server is away.
  /** @param {boolean} isAway */
  away(isAway) {
    for (const button of pressers()) button.disabled = isAway;
  }

  /** @param {boolean} on */
  power(on) {
    byId("power").disabled = !on;
    presser("connect")?.classList.toggle("wanted", !on);
  }

  /** @param {string} reason */
  refuse(reason) {
    this.power(false);
    this.#link = "off";
    this.#greet(false);
    this.say(reason);
    this.log(reason, true);
  }

  /** @param {(number | null)[]} leds */
  #show(leds) {
    this.#leds = leds.map((led) => led ?? 0);
    const mode = this.#mode();
    if (this.#starting && this.#status() === "playing" && mode) {
      this.#playing = mode;
      this.#starting = false;
    }
    this.#draw();
  }

  // The mode that the LEDs show is the one that plays, unless their frame is still on its way.
  takeStarts() {
    this.#playing = this.#mode();
    this.#starting = this.#status() !== "playing";
  }

  // -- what the LEDs say

  #mode() {
    const shown = this.#leds.slice(2).join();
    return this.#hello.modes.find((mode) => mode.leds.join() === shown);
  }

  #status() {
    return Object.entries(this.#hello.states).find(([, colour]) => colour === this.#leds[1])?.[0];
  }

  #words() {
    if (this.#link !== "online") return AWAY[this.#link];
    const mode = this.#mode(), status = this.#status();
    if (this.#greeting || !mode || !status) return "Connected. Starting up.";
    const number = this.#hello.modes.indexOf(mode);
    const shape = number ? `, ${SHAPES[(number - 1) % SHAPES.length]}` : ", home";
    const state = { idle: "Idle", playing: "Playing", error: "Cannot play this clip" }[status];
    const name = mode.name && title(mode.name) !== shape.slice(2) ? ` (${title(mode.name)})` : "";
    return `${state}. Mode ${number}${shape}${name}.`;
  }

  // -- drawing

  #draw() {
    const on = this.#link === "online";
    const shown = this.#leds.map((rgba, number) => (on || number === 0 ? rgba : 0));
    shown.forEach((rgba, number) => light(byId(`led-${number}`), rgba));
    setText(byId("leds-title"), `LEDs lit: ${ledText(shown.map((rgba) => (rgba & 0xff ? rgba >>> 8 : 0)))}`);
    this.say(this.#words());
  }

  /** @param {string} text */
  say(text) {
    setText(byId("state"), text);
  }

  /** @param {string} name */
  flash(name) {
    presser(name)?.classList.add("down");
    setTimeout(() => presser(name)?.classList.remove("down"), 120);
  }

  /** @param {boolean} on */
  recording(on) {
    byId("record").setAttribute("aria-pressed", String(on));
    byId("record").textContent = on ? "Stop recording" : "Record";
  }

  /** @param {string} url @param {number} packets */
  recorded(url, packets) {
    const link = byId("recording");
    link.href = url;
    link.download = `${byId("device-id").textContent}.opus`;
    link.textContent = `Save the recording (${(packets * 0.02).toFixed(1)} s)`;
    link.hidden = false;
    this.log("Recording ready to be saved");
  }

  /** @param {string} text */
  log(text, bad = false) {
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = clock(Date.now() / 1000);
    line.append(time, text);
    line.classList.toggle("bad", bad);
    byId("log").prepend(line);
    while (byId("log").childElementCount > LOG_LINES) byId("log").lastElementChild?.remove();
  }

  /** @param {import("./player.js").Player} player */
  keepDrawing(player) {
    const draw = () => {
      this.#drawSound(player);
      requestAnimationFrame(draw);
    };
    draw();
  }

  /** @param {import("./player.js").Player} player */
  #drawSound(player) {
    const { position, level } = player;
    const length = this.#playing?.seconds ?? 0;
    byId("position").max = length || 1;
    byId("position").value = position ?? 0;
    byId("clip").textContent = position === null ? "\u00a0" : title(this.#playing?.name ?? "\u00a0");
    byId("time").textContent = position === null ? "" : length ? `${span(position)} / ${span(length)}` : span(position);
    byId("level").value = level;
    byId("buffered").textContent = `${Math.round(1000 * player.ahead)} ms`;
    setText(byId("sound"), player.state);
    for (const part of [byId("cone"), byId("cap")]) part.style.setProperty("--throw", String(1 + 0.06 * level));
  }
}

/** @param {SVGElement} led @param {number} rgba */
function light(led, rgba) {
  const intensity = (rgba & 0xff) / 255;
  const colour = `#${(rgba >>> 8).toString(16).padStart(6, "0")}`;
  led.classList.toggle("lit", intensity > 0);
  led.style.setProperty("--light", colour);
  led.style.setProperty("--intensity", String(intensity));
}
