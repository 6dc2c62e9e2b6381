// Colours in words, for people who do not see them: what `fleet/led_text.py` says of them too.

const NAMES = {
  white: 0xffffff, grey: 0x808080, red: 0xff2000, orange: 0xff7000, amber: 0xffb000, yellow: 0xffe000,
  lime: 0xa0ff00, green: 0x00ff40, cyan: 0x00e0ff, blue: 0x0060ff, violet: 0x8060ff, pink: 0xff40c0,
};
export const LED_NAMES = ["power", "status", "square", "rhomboid", "triangle", "circle"];

// The name of the colour that is nearest to 0xRRGGBB.
/** @param {number} rgb */
export function colourName(rgb) {
  /** @param {[string, number]} named */
  const far = ([, named]) => distance(named, rgb);
  return Object.entries(NAMES).reduce((best, one) => (far(one) < far(best) ? one : best))[0];
}

// Which LEDs are lit, each with its colour. `leds` are 0xRRGGBB each, 0 for one that is dark.
/** @param {number[]} leds */
export function ledText(leds) {
  const lit = leds.flatMap((rgb, at) => (rgb ? [`${LED_NAMES[at]} ${colourName(rgb)}`] : []));
  return lit.join(", ") || "none";
}

/** @param {number} one @param {number} other */
function distance(one, other) {
  /** @param {number} shift */
  const part = (shift) => ((one >> shift) & 0xff) - ((other >> shift) & 0xff);
  return [16, 8, 0].reduce((sum, shift) => sum + part(shift) ** 2, 0);
}
