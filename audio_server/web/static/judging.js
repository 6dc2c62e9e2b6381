// The judge of a device: a trial that the server runs, its steps, and its findings as a table.

import { deviceAt } from "./actions.js";
import { AWAY, Refusal, jsonOf, open, wording } from "./ask.js";
import { byId, make, notice, setText } from "./dom.js";
import { capital, clock } from "./words.js";

const PRESS_S = 30;
const ENDED = "The trial was ended.";
const NO_END = "The trial ended without findings. Try again.";
/** @type {Record<Api.Finding["verdict"], string>} */
const MARKS = { kept: "✓", broken: "✗", "not seen": "–" };

export class Judging {
  #id;
  #there = false;
  /** @type {AbortController | null} */
  #trial = null;

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    byId("judge").addEventListener("click", () => (this.#trial ? this.#trial.abort() : this.#judge()));
  }

  /** @param {boolean} there */
  enable(there) {
    this.#there = there;
    byId("judge").disabled = !there && !this.#trial;
  }

  async #judge() {
    const trial = (this.#trial = new AbortController());
    setText(byId("judge"), "End the trial");
    notice(byId("judge-step"), "It begins …");
    try {
      notice(byId("judge-step"), await this.#followed(trial.signal));
    } catch (error) {
      notice(byId("judge-step"), trial.signal.aborted ? ENDED : wording(error), !trial.signal.aborted);
    }
    this.#trial = null;
    setText(byId("judge"), "Judge");
    this.enable(this.#there);
  }

  // Show the steps, then the findings; gives the words that stay.
  /** @param {AbortSignal} signal */
  async #followed(signal) {
    const json = { press_s: byId("judge-presses").checked ? PRESS_S : 0 };
    const headers = { "content-type": "application/json" };
    const answer = await open(`${deviceAt(this.#id)}/judge`, {
      method: "POST", body: JSON.stringify(json), headers, signal,
    });
    for await (const [name, told] of eventsOf(answer)) {
      if (name === "step") notice(byId("judge-step"), capital(told.text));
      if (name === "failed") throw new Refusal(0, capital(told.reason));
      if (name === "findings") return show(told);
    }
    throw new Refusal(0, NO_END);
  }
}

/** @param {Api.Judged} judged */
function show({ duties, left }) {
  /** @param {Api.Finding["verdict"]} verdict */
  const number = (verdict) => `${duties.filter((one) => one.verdict === verdict).length} ${verdict}`;
  const numbers = `${number("kept")}, ${number("broken")}, ${number("not seen")}`;
  setText(byId("found"), `As judged at ${clock(Date.now() / 1000)}`);
  byId("verdicts").replaceChildren(...duties.map(row));
  byId("findings").hidden = false;
  return left ? `${capital(left)}: the rest was not seen.` : `Judged: ${numbers}.`;
}

/** @param {Api.Finding} finding */
function row({ text, verdict, seen }) {
  const duty = make("th", { scope: "row", text: capital(text) });
  if (seen.length) duty.append(make("ul", { class: "breaches" }, ...seen.map((one) => make("li", { text: one }))));
  const kind = verdict.replace(" ", "-");
  return make("tr", {}, make("td", { class: `verdict ${kind}`, text: `${MARKS[verdict]} ${verdict}` }), duty);
}

// Server-sent events of an answer: those of a POST, which an `EventSource` does not make.
/** @param {Response} answer @returns {AsyncGenerator<[string, any]>} */
async function* eventsOf(answer) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; reader; ) {
    const { value, done } = await reader.read().catch((error) => {
      throw error instanceof DOMException ? error : new Refusal(0, AWAY);
    });
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const [name, data] = event.split("\n");
      if (data !== undefined) yield [name.replace("event: ", ""), jsonOf(data.replace("data: ", ""))];
    }
  }
}
