// The fleet: rows that follow a stream of changes. Only rows that are shown are drawn, and bars
// move by themselves, so that thousands of devices cost a browser little.

const SHOWN = 200;
const DRAW_MS = 250;
const SHAPES = ["home", "square", "rhomboid", "triangle", "circle"];
const BUTTONS = ["mode", "stop", "play", "connect"];

const byId = (id) => document.getElementById(id);
const text = (a, b) => a.localeCompare(b, undefined, { numeric: true });
const ORDERS = {
  id: (a, b) => text(a.id, b.id),
  since: (a, b) => b.since - a.since,
  mode: (a, b) => a.mode - b.mode,
  playing: (a, b) => (a.playing === null) - (b.playing === null),
  press: (a, b) => (b.last_press?.at ?? 0) - (a.last_press?.at ?? 0),
};

class Fleet {
  #devices = new Map();
  #drawn = new Map();   // id → the row that shows it, and what it shows
  #chosen = null;
  #actions = false;
  #timer = null;

  constructor() {
    byId("search").addEventListener("input", () => this.#draw());
    byId("sort").addEventListener("change", () => this.#draw());
    document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    this.#begin();
  }

  async #begin() {
    try {
      const about = await (await fetch("/api/about")).json();
      this.#actions = about.actions;
    } catch {
      setTimeout(() => this.#begin(), 1000);
      return;
    }
    this.#watch();
  }

  #watch() {
    const stream = new EventSource("/api/devices/changes");
    stream.addEventListener("all", ({ data }) => {
      this.#devices.clear();
      this.#take(JSON.parse(data));
      this.#notice("");
    });
    stream.addEventListener("changes", ({ data }) => this.#take(JSON.parse(data)));
    stream.onerror = () => {
      this.#notice("The server is away; this page comes back with it.", true);
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.#watch(), 1000);
    };
  }

  #take({ rows, gone }) {
    for (const row of rows) this.#devices.set(row.id, row);
    for (const id of gone) this.#devices.delete(id);
    this.#timer ??= setTimeout(() => this.#draw(), rows.length > SHOWN ? DRAW_MS : 0);
  }

  #notice(words, bad = false) {
    byId("notice").textContent = words;
    byId("notice").classList.toggle("bad", bad);
  }

  // -- drawing

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const found = this.#found();
    const shown = found.slice(0, SHOWN);
    byId("count").textContent = this.#devices.size;
    byId("more").textContent = this.#devices.size === 0 ? "No device is connected."
      : found.length > SHOWN ? `${SHOWN} of ${found.length} are shown; search for the others.`
        : found.length === 0 ? "None matches." : "";
    const rows = shown.map((device) => this.#row(device));
    const ids = new Set(shown.map((device) => device.id));
    for (const id of this.#drawn.keys()) if (!ids.has(id)) this.#drawn.delete(id);
    const focused = document.activeElement.closest?.("tr")?.dataset.id;
    place(byId("rows"), rows);
    this.#drawn.get(focused)?.row.querySelector("button").focus();
    this.#drawChosen();
  }

  #found() {
    const words = byId("search").value.trim().toLowerCase();
    const order = ORDERS[byId("sort").value];
    const found = [...this.#devices.values()].filter((device) => !words || haystack(device).includes(words));
    return found.sort((a, b) => order(a, b) || ORDERS.id(a, b));
  }

  #row(device) {
    const drawn = this.#drawn.get(device.id);
    const current = device.id === this.#chosen;
    if (drawn?.device === device && drawn.current === current) return drawn.row;
    const row = document.createElement("tr");
    row.dataset.id = device.id;
    row.classList.toggle("current", current);
    row.append(cell(this.#name(device)), cell(lamps(device.leds)), cell(modeName(device)),
      plays(device), cell(device.last_press ? `${device.last_press.button}, ${clock(device.last_press.at)}` : "none yet"),
      cell(clock(device.since)));
    this.#drawn.set(device.id, { device, current, row });
    return row;
  }

  #name(device) {
    const button = element("button", "id", device.id);
    button.type = "button";
    button.addEventListener("click", () => this.#choose(device.id));
    return button;
  }

  // -- the chosen device

  #choose(id) {
    this.#chosen = id;
    byId("pressed").textContent = "";
    byId("chosen").hidden = false;
    byId("chosen-id").textContent = id;
    byId("presses").replaceChildren(...(this.#actions ? BUTTONS.map((name) => this.#button(name))
      : ["Buttons can be pressed from here only while the pages listen on loopback."]));
    this.#draw();
    byId("presses").querySelector("button")?.focus();
  }

  #button(name) {
    const button = element("button", "", name[0].toUpperCase() + name.slice(1));
    button.type = "button";
    button.addEventListener("click", () => this.#press(name));
    return button;
  }

  async #press(name) {
    const path = `/api/devices/${encodeURIComponent(this.#chosen)}/press`;
    try {
      const answer = await fetch(path, { method: "POST", body: JSON.stringify({ button: name }) });
      byId("pressed").textContent = answer.ok ? `${name} pressed.` : await answer.text();
    } catch {
      byId("pressed").textContent = "The server is away.";
    }
  }

  #drawChosen() {
    if (this.#chosen === null) return;
    const gone = !this.#devices.has(this.#chosen);
    for (const button of byId("presses").querySelectorAll("button")) button.disabled = gone;
    if (gone) byId("pressed").textContent = "It is not connected.";
  }
}

// Put rows in place with as few moves as there are changes.
function place(body, rows) {
  rows.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  while (body.childElementCount > rows.length) body.lastElementChild.remove();
}

function element(tag, name, content = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(content);
  return made;
}

function cell(content) {
  return element("td", "", content);
}

function lamps(leds) {
  const box = element("span", "lamps");
  const lit = leds.flatMap((rgba, number) => (rgba.endsWith("00") ? [] : [number]));
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `LEDs lit: ${lit.join(", ") || "none"}`);
  for (const rgba of leds) {
    const lamp = element("span", "lamp");
    lamp.style.setProperty("--light", rgba.slice(0, 7));
    lamp.style.setProperty("--intensity", parseInt(rgba.slice(7), 16) / 255);
    box.append(lamp);
  }
  return box;
}

function modeName(device) {
  const shape = SHAPES[device.mode && ((device.mode - 1) % 4) + 1];
  return `${device.mode}, ${device.mode_name || shape}`;
}

function plays(device) {
  const made = cell("");
  made.className = "plays";
  if (device.state === "error") made.append(element("span", "failed", "cannot play"));
  if (device.playing === null) return made;
  const { clip, seconds, position_s: position, at } = device.playing;
  const bar = element("span", "bar", element("span", ""));
  const begun = at - position - Date.now() / 1000;
  bar.firstChild.style.setProperty("--length", `${seconds}s`);
  bar.firstChild.style.setProperty("--begun", `${begun}s`);
  made.append(`${clip} (${seconds.toFixed(0)} s)`, bar);
  return made;
}

function haystack(device) {
  return [device.id, modeName(device), device.playing?.clip ?? ""].join(" ").toLowerCase();
}

function clock(at) {
  return new Date(1000 * at).toLocaleTimeString([], { hour12: false });
}

new Fleet();
