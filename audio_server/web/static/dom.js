// Small things that every page does with its document.

export const byId = (id) => document.getElementById(id);

// An element with properties (`class`, `text`, `aria-…` and other attributes) and children.
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

export function button(text, act, attributes = {}) {
  return make("button", { type: "button", text, onclick: act, ...attributes });
}

// Write only what has changed: each write costs layout, and a screen reader may read it again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function notice(element, text, bad = false) {
  setText(element, text);
  element.classList.toggle("bad", bad);
}
