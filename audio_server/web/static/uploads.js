// Files on their way to the server, each with how far it is, and what the server said if it said no.

import { jsonOf, reason, toLogin, wording } from "./ask.js";
import { button, make, setText } from "./dom.js";
import { inTurn } from "./slots.js";

const DONE_MS = 4000;
const BROKEN_OFF = "Not sent: the server is away, or the file cannot be read any more. Try again.";

export class Uploads {
  /** @type {Element} */
  #list;
  /** @type {(answer: any, path: string) => void} */
  #done;

  // `done` gets the server's answer to each that it has taken, and where it was sent.
  /** @param {Element} list @param {(answer: any, path: string) => void} done */
  constructor(list, done) {
    this.#list = list;
    this.#done = done;
  }

  // Returns when the server has answered, whatever it has said.
  /** @param {File} file @param {string} method @param {string} path @param {string} words */
  async send(file, method, path, words) {
    const line = new Line(file.name);
    this.#list.append(line.element);
    const begin = () => send(file, method, path, (part) => line.at(part));
    const { status, text } = await inTurn("upload", begin);
    if (status === 401) await toLogin();
    if (status < 200 || status >= 300) {
      line.failed(status ? reason(text, status) : BROKEN_OFF);
      return;
    }
    try {
      this.#done(jsonOf(text), path);
      line.done(words);
    } catch (error) {
      line.failed(wording(error));
    }
  }
}

class Line {
  /** @param {string} name */
  constructor(name) {
    this.name = make("strong", { text: name });
    this.said = make("span", { class: "quiet", role: "status", text: "waiting" });
    this.bar = make("progress", { max: 1, value: 0, "aria-label": `${name} on its way` });
    this.element = make("li", { class: "upload card" }, this.name, this.bar, this.said);
  }

  // The server needs a while for a file that it has: it decodes and encodes it.
  /** @param {number} part */
  at(part) {
    if (part < 1) this.bar.value = part;
    else this.bar.removeAttribute("value");
    setText(this.said, part < 1 ? `${Math.round(100 * part)} %` : "is being prepared …");
  }

  /** @param {string} words */
  done(words) {
    this.#end(words);
    setTimeout(() => this.element.remove(), DONE_MS);
  }

  /** @param {string} words */
  failed(words) {
    this.#end(words);
    this.element.classList.add("failed");
    const label = `Dismiss ${this.name.textContent}`;
    const remove = () => this.element.remove();
    this.element.append(button("Dismiss", remove, { class: "plain", "aria-label": label }));
  }

  /** @param {string} words */
  #end(words) {
    this.bar.remove();
    setText(this.said, words);
  }
}

// By XMLHttpRequest: fetch does not tell how much has been sent.
/**
 * @param {File} file @param {string} method @param {string} path @param {(part: number) => void} progress
 * @returns {Promise<{ status: number, text: string }>}
 */
function send(file, method, path, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1);
    request.upload.onload = () => progress(1);
    request.onloadend = () => resolve({ status: request.status, text: request.responseText });
    request.send(file);
  });
}
