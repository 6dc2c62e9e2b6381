// Numbers and times as people read them.

/** @type {Intl.DateTimeFormatOptions} */
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const TIME = new Intl.DateTimeFormat([], { ...CLOCK, second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat([], CLOCK);
const DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
const EXACT = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const NUMBER = new Intl.NumberFormat("en");
const DAY_S = 86400;
/** @type {[string, number][]} */
const AGES = [["d", DAY_S], ["h", 3600], ["min", 60]];

export const NONE = "–";

/** @param {number} value */
export const count = (value) => NUMBER.format(value);
/** @param {number} value @param {string} one */
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;
/** @param {string} word */
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

// Seconds since 1970: the time of day, and the day too when that was long ago.
/** @param {number} at */
export function clock(at) {
  const long = Math.abs(Date.now() / 1000 - at) > DAY_S / 2;
  return long ? `${DAY.format(1000 * at)} ${MINUTE.format(1000 * at)}` : TIME.format(1000 * at);
}

// How long ago, in the largest unit.
/** @param {number} seconds */
export function age(seconds) {
  for (const [unit, length_s] of AGES) {
    if (seconds >= length_s) return `${Math.floor(seconds / length_s)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/** @param {number} at */
export const exact = (at) => EXACT.format(1000 * at);

// Minutes and seconds, as players show them.
/** @param {number} seconds */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A length: with a decimal where it is short.
/** @param {number} seconds */
export function length(seconds) {
  if (seconds >= 60) return span(seconds);
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

// Null is not known.
/** @param {number | null} value */
export const ms = (value) => (value === null ? NONE : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

/** @param {number | null} part */
export const percent = (part) => (part === null ? NONE : `${Math.round(100 * part)} %`);

// A clip without the number that puts its file in order.
/** @param {string} clip */
export const title = (clip) =>
  clip.replace(/^((\d{1,2}|0\d+)-|0\d+[ _]+(-[ _]*)?)(?=.)/s, "");

/** @param {Api.Device} device */
export const mode = (device) => `${device.mode}${device.mode_name ? ` ${title(device.mode_name)}` : ""}`;
