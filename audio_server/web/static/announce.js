// Announcements: the question to the user, the order, and what has become of it in words.

import { post, report, said } from "./actions.js";
import { ask } from "./ask.js";
import { clipsOf } from "./clip-menu.js";
import { show } from "./dialog.js";
import { make } from "./dom.js";
import { many, title } from "./words.js";

const TEXT_MAX = 2000;
const LOOK_MS = 1000;
const LOOKS_MAX = 600;
const HINT = "What plays is held, and goes on afterwards. Stop on a device ends both.";

/** @type {Record<string, string>} */
const HEARINGS = {
  cut: "was cut", lost: "was lost", stalled: "stalled", failed: "could not be played",
  not_connected: "is not connected",
};

// Ask for an announcement, make it, and report: that it plays, and in the end who has heard it.
/** @param {Which} devices @param {number} count @param {HTMLSelectElement} clips */
export async function announce(devices, count, clips) {
  const wanted = await wish(`Announce on ${many(count, "device")}`, clips);
  if (wanted !== null) await order(devices, wanted);
}

// Make an announcement, and report. `wanted` is the request without its devices.
/** @param {Which} devices @param {object} wanted */
export async function order(devices, wanted) {
  /** @type {Promise<Api.Announced>} */
  const asked = post("/api/announce", { devices, ...wanted });
  await report(asked.then((made) => said(made, (done) => `Announced on ${many(done, "device")}`)));
  const made = await asked.catch(() => null);
  if (made?.done) await report(heard(made));
}

/** @param {string} head @param {HTMLSelectElement} clips */
function wish(head, clips) {
  const text = make("input", {
    type: "text", name: "say", maxlength: TEXT_MAX, autocomplete: "off", placeholder: "Dinner is ready",
  });
  const select = clipsOf(clips);
  const chime = make("input", { type: "checkbox", name: "chime", checked: true });
  const urgent = make("input", { type: "checkbox", name: "urgent" });
  const content = [
    make("label", {}, "Text to speak", text),
    make("label", {}, "or, without a text, the clip", select),
    make("label", { class: "check" }, chime, "A chime before it"),
    make("label", { class: "check" }, urgent, "Urgent: in the place of another announcement"),
    make("p", { class: "quiet", text: HINT }),
  ];
  const read = () => ({
    ...(text.value.trim() ? { say: text.value.trim() } : { clip: select.value }),
    chime: chime.checked, priority: urgent.checked ? 9 : 0,
  });
  return show(head, content, "Announce", false, read, text);
}

// Looks again and again, not with a request that waits: a browser has six connections for all tabs.
/** @param {Api.Announced} made @returns {Promise<Said>} */
async function heard(made) {
  await new Promise((resolve) => setTimeout(resolve, 1000 * made.seconds));
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    /** @type {Api.Announcement} */
    const now = await ask(`/api/announcements/${encodeURIComponent(made.id)}`);
    if (now.over) return outcome(now);
  }
  return { text: "The announcement still waits on some devices.", well: true };
}

/** @param {Api.Announcement} announcement @returns {Said} */
function outcome(announcement) {
  const all = Object.entries(announcement.devices);
  const others = all.filter(([, one]) => one.hearing !== "heard");
  const words = `${title(announcement.sound)} was heard on ${many(all.length - others.length, "device")}`;
  if (!others.length) return { text: `${words}.`, well: true };
  const [id, { hearing, reason }] = others[0];
  const first = `${id} ${HEARINGS[hearing] ?? hearing}${reason ? ` (${reason})` : ""}`;
  const more = others.length > 1 ? `, and ${others.length - 1} more` : "";
  return { text: `${words}; ${first}${more}.`, well: false };
}
