// One loudspeaker for all clips: what is listened to here is heard by no device.

export class Listener {
  #audio = new Audio();
  /** @type {Sounding | null} */
  #row = null;
  /** @type {(text: string) => void} */
  #failed;
  #frame = 0;

  // A row is told `sounding(on)` and `at(part)`, how far it is (0 to 1).
  /** @param {(text: string) => void} failed */
  constructor(failed) {
    this.#failed = failed;
    this.#audio.preload = "none";
    this.#audio.addEventListener("ended", () => this.stop());
    this.#audio.addEventListener("error", () => this.#fail());
  }

  // Listen to a clip of that many seconds from `from_s` on.
  /** @param {Sounding} row @param {string} url @param {number} seconds */
  async play(row, url, seconds, from_s = 0) {
    if (this.#row !== row) {
      this.stop();
      this.#row = row;
      this.#audio.src = url;
    }
    try {
      if (from_s) await this.#seek(from_s);
      await this.#audio.play();
    } catch {
      return;  // stopped before it began, or an error, which has an event of its own
    }
    row.sounding(true);
    this.#follow(seconds);
  }

  stop(row = this.#row) {
    if (row === null || row !== this.#row) return;
    cancelAnimationFrame(this.#frame);
    this.#row = null;
    this.#audio.pause();
    this.#audio.removeAttribute("src");  // or the browser keeps the connection, of which it has six
    this.#audio.load();
    row.sounding(false);
    row.at(0);
  }

  /** @param {number} from_s */
  async #seek(from_s) {
    if (this.#audio.readyState === 0) {
      this.#audio.load();
      await new Promise((resolve) => this.#audio.addEventListener("loadedmetadata", resolve, { once: true }));
    }
    this.#audio.currentTime = from_s;
  }

  // The length is the server's word: a browser may know it only when it has heard all.
  /** @param {number} seconds */
  #follow(seconds) {
    cancelAnimationFrame(this.#frame);
    if (!this.#row) return;
    this.#row.at(Math.min(1, this.#audio.currentTime / seconds));
    this.#frame = requestAnimationFrame(() => this.#follow(seconds));
  }

  #fail() {
    if (!this.#row) return;
    this.stop();
    this.#failed("This browser cannot play the clip, or the server did not send it.");
  }
}
