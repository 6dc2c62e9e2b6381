// Six LEDs as the device draws them: what it last confirmed, and whether that is what was sent.

import { LED_NAMES, ledText } from "./colours.js";
import { make, setAttribute } from "./dom.js";

const OWN = 0;  // the device's own LED, which it lights as it likes

// "#rrggbb" and "#rrggbbaa" alike, black where it is dark.
/** @param {string | undefined} led */
function colour(led) {
  if (!led || led.slice(7) === "00") return "#000000";
  return led.slice(0, 7).toLowerCase();
}

/** @param {string} led */
export const isLit = (led) => colour(led) !== "#000000";

/** @param {Lit} device */
export function differs(device) {
  const { leds, confirmed } = device;
  return confirmed !== null && leds.some((led, at) => at !== OWN && colour(led) !== colour(confirmed[at]));
}

/** @returns {ListOf<HTMLElement>} */
export function lamps() {
  /** @type {any} */
  const box = make("span", { class: "lamps", role: "img" });
  box.append(...LED_NAMES.map((shape) => make("span", { class: `lamp ${shape}` })));
  return box;
}

// Shows the LEDs of a row of the API in a box that `lamps` made.
/** @param {ListOf<HTMLElement>} box @param {Lit} device */
export function light(box, device) {
  const shown = device.confirmed ?? device.leds;
  shown.forEach((led, at) => {
    const lamp = box.children[at];
    lamp.classList.toggle("lit", isLit(led));
    if (lamp.dataset.light === led) return;
    lamp.dataset.light = led;
    lamp.style.setProperty("--light", colour(led));
  });
  const wrong = differs(device);
  box.classList.toggle("wrong", wrong);
  box.classList.toggle("unconfirmed", !device.confirmed);
  const words = wording(device, wrong);
  setAttribute(box, "aria-label", words);
  setAttribute(box, "title", words);
}

/** @param {Lit} device @param {boolean} wrong */
function wording(device, wrong) {
  const lit = list(device.confirmed ?? device.leds);
  if (!device.confirmed) return `LEDs sent, not confirmed yet: ${lit}`;
  return `LEDs lit: ${lit}${wrong ? `; other than sent: ${list(device.leds)}` : ""}`;
}

/** @param {string[]} leds */
function list(leds) {
  return ledText(leds.map((led) => Number.parseInt(colour(led).slice(1), 16)));
}
