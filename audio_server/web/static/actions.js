// What is done to devices by the API, and what came of it in words.

import { Refusal, ask, wording } from "./ask.js";
import { sourceOf } from "./clip-menu.js";
import { byId, notice } from "./dom.js";
import { capital, many } from "./words.js";

export const BUTTONS = ["mode", "stop", "play", "connect"];
const AT_ONCE = 3;  // requests that are on their way: a browser has six connections for all its tabs

/** @param {string} id */
export const deviceAt = (id) => `/api/devices/${encodeURIComponent(id)}`;

/** @param {string} path @param {object} json */
export const post = (path, json) => ask(path, { method: "POST", json, priority: "high" });

// Each gives words and whether all went well. `devices`: ids, or "all". They raise `Refusal`.

// `chosen` is a value of a `ClipMenu`.
/** @param {Which} devices @param {string} chosen */
export async function play(devices, chosen) {
  const [source, words] = sourceOf(chosen);
  const outcomes = await post("/api/play", { devices, ...source });
  return said(outcomes, (done) => `${words} plays on ${many(done, "device")}`);
}

/** @param {Which} devices */
export async function stop(devices) {
  return said(await post("/api/stop", { devices }), (done) => `${many(done, "device")} stopped`);
}

/** @param {Which} devices @param {string} button */
export async function press(devices, button) {
  const outcomes = Array.isArray(devices)
    ? await each(devices, (id) => post(`${deviceAt(id)}/press`, { button }))
    : await post("/api/press", { devices, button });
  return said(outcomes, (done) => `${capital(button)} pressed on ${many(done, "device")}`);
}

// One request for each device, a few at a time.
/** @param {string[]} ids @param {(id: string) => Promise<unknown>} act */
async function each(ids, act) {
  /** @type {Api.Outcomes} */
  const outcomes = { done: 0, gone: [], failed: {} };
  const waiting = [...ids];
  const some = async () => {
    for (let id; (id = waiting.shift()); ) await one(id, act, outcomes);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, some));
  return outcomes;
}

/** @param {string} id @param {(id: string) => Promise<unknown>} act @param {Api.Outcomes} outcomes */
async function one(id, act, outcomes) {
  try {
    await act(id);
    outcomes.done += 1;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) outcomes.gone.push(id);
    else outcomes.failed[id] = wording(error);
  }
}

/** @param {Which} devices @param {string[]} add @param {string[]} remove @returns {Promise<Said>} */
export async function tag(devices, add, remove) {
  const outcomes = await post("/api/tags", { devices, add, remove });
  const words = [...add.map((one) => `${one} added to`), ...remove.map((one) => `${one} taken from`)];
  return said(outcomes, (done) => `${words.join(", ")} ${many(done, "device")}`);
}

/** @param {string[]} ids */
export async function forget(ids) {
  const outcomes = await each(ids, (id) => ask(deviceAt(id), { method: "DELETE" }));
  return said(outcomes, (done) => `${many(done, "device")} forgotten`);
}

// Show the outcome of an action.
/** @param {Promise<Said>} action */
export async function report(action) {
  try {
    const { text, well } = await action;
    notice(byId("done"), text, !well);
  } catch (error) {
    notice(byId("done"), wording(error), true);
  }
}

// An empty name takes it away.
/** @param {string} id @param {string} name @returns {Promise<Said>} */
export async function rename(id, name) {
  await ask(deviceAt(id), { method: "PATCH", json: { name: name || null } });
  return { text: name ? `${id} is called ${name}.` : `${id} has no name.`, well: true };
}

/** @param {Api.Outcomes} outcomes @param {(done: number) => string} words @returns {Said} */
export function said({ done, gone = [], failed = {}, missing = [] }, words) {
  const parts = [words(done)];
  const reasons = Object.entries(failed);
  if (gone.length) parts.push(`${many(gone.length, "device")} not connected`);
  if (reasons.length) parts.push(`${reasons.length} failed (${reasons[0].join(": ")})`);
  if (missing.length) parts.push(`no answer from ${missing.join(", ")}`);
  const well = gone.length + reasons.length + missing.length === 0;
  return { text: `${parts.join("; ").replace(/\.$/, "")}.`, well };
}
