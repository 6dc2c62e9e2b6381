// Server-sent events that come back by themselves.
//
// By fetch and not by EventSource, which does not tell why a server says no: a login that has ended,
// or too many pages that watch.

import { open } from "./ask.js";

const FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 5000;
const SILENT_MS = 45_000;  // the server says something each 15 s

// `take(name, data, id)` gets each event; `state(error)` null when events come, else why they do not.
export function follow(path, { take, state }) {
  const stopped = new AbortController();
  run(path, take, state, stopped.signal);
  addEventListener("pagehide", () => stopped.abort(), { once: true });
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  return () => stopped.abort();
}

async function run(path, take, state, signal) {
  let pause = FIRST_PAUSE_MS, last = null;
  while (!signal.aborted) {
    try {
      await watch(path, last, signal, () => {
        pause = FIRST_PAUSE_MS;
        state(null);
      }, (name, data, id) => {
        last = id ?? last;
        take(name, data);
      });
    } catch (error) {
      if (signal.aborted) return;
      state(error);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

// Until the stream ends, which the server does to a page that is too slow, or falls silent.
async function watch(path, last, signal, opened, take) {
  const silent = new AbortController();
  const wait = () => setTimeout(() => silent.abort(), SILENT_MS);
  let timer = wait();
  try {
    const headers = last === null ? {} : { "last-event-id": last };
    const answer = await open(path, { headers, signal: AbortSignal.any([signal, silent.signal]) });
    opened();
    for await (const event of events(answer.body)) {
      clearTimeout(timer);
      timer = wait();
      if (event.data) take(event.name, JSON.parse(event.data), event.id);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const texts = (kept + part.value).split("\n\n");
    kept = texts.pop();
    for (const text of texts) yield parse(text);
  }
}

function parse(text) {
  const event = { name: "message", data: "", id: null };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const [field, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "event") event.name = value;
    else if (field === "data") event.data += value;
    else if (field === "id") event.id = value;
  }
  return event;
}
