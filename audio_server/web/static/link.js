// The connection to the device that the server keeps for this page. It comes back by itself.
//
// The server says something every few seconds. A connection that is silent for longer is as good as
// closed, and one that does not open: a browser would wait for either for minutes.

import { ask } from "./ask.js";

const FIRST_PAUSE_MS = 250, LONGEST_PAUSE_MS = 3000;
const SILENT_MS = 12_000;  // the server says something each 5 s
const OPEN_MS = 10_000;
const LOOK_MS = 500;
const BEAT = '{"event": "beat"}';
const GIVEN_UP = new Map([
  [4001, "This device was opened in another page."],
  [4003, "The server gives this page no device"],
  [1008, "The server did not understand this page. Load it again."],
]);

export class Link {
  /** @type {WebSocket | null} */
  #socket = null;
  #pause = FIRST_PAUSE_MS;
  #address = "";
  /** @type {DevicePage} */
  #listener;
  #heardAt = 0;

  // `pcm` promises whether sound is wanted decoded too. The listener has `opened`, `event`, `packet`,
  // `closed`, and `refused` with the reason.
  /** @param {string} id @param {Promise<boolean>} pcm @param {DevicePage} listener */
  constructor(id, pcm, listener) {
    this.#listener = listener;
    pcm.then((wanted) => {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const query = new URLSearchParams({ id, pcm: wanted ? "1" : "0" });
      this.#address = `${scheme}://${location.host}/device/socket?${query}`;
      this.#open();
      setInterval(() => this.#look(), LOOK_MS);
    });
  }

  /** @param {object} message */
  say(message) {
    if (!this.#socket || !this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #open() {
    const socket = new WebSocket(this.#address);
    socket.binaryType = "arraybuffer";
    let opened = false;
    this.#heardAt = performance.now();
    socket.onopen = () => {
      opened = true;
      this.#heardAt = performance.now();
      this.#listener.opened();
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason, opened);
    this.#socket = socket;
  }

  #look() {
    const bound = this.isOpen ? SILENT_MS : OPEN_MS;
    if (this.#socket === null || performance.now() - this.#heardAt < bound) return;
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#closed(0, "", true);
  }

  /** @param {ArrayBuffer | string} data */
  #take(data) {
    this.#heardAt = performance.now();
    this.#pause = FIRST_PAUSE_MS;
    if (data instanceof ArrayBuffer) this.#listener.packet(data);
    else if (data !== BEAT) this.#listener.event(JSON.parse(data));
  }

  /** @param {number} code @param {string} reason @param {boolean} opened */
  #closed(code, reason, opened) {
    this.#socket = null;
    const words = GIVEN_UP.get(code);
    if (words) {
      this.#listener.refused(reason ? `${words}: ${reason}.` : words);
      return;
    }
    this.#listener.closed();
    // A WebSocket does not tell why it was not let in; what leads to the login page is a question.
    if (!opened) ask("/api/about").catch(() => {});
    // One that fails is an error in the browser's console; asking first would be one too.
    setTimeout(() => this.#open(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
  }
}
