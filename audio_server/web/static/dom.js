// Small things that every page does with its document.

/** @template {keyof Elements} K @param {K} id @returns {Elements[K]} */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

// The element round the target of an event that a selector finds.
/** @param {Event} event @param {string} selector */
export function around(event, selector) {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}

// An element with properties (`class`, `text`, `aria-…` and other attributes) and children.
/**
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {Record<string, any>} attributes
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/**
 * @param {string} text @param {((event: Event) => unknown) | null} act
 * @param {Record<string, any>} attributes
 */
export function button(text, act, attributes = {}) {
  return make("button", { type: "button", text, onclick: act, ...attributes });
}

// Write only what has changed: each write costs layout, and a screen reader may read it again.
/** @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {string} name @param {string | null} value */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {Element} element @param {string} text */
export function notice(element, text, bad = false) {
  setText(element, text);
  element.classList.toggle("bad", bad);
}
