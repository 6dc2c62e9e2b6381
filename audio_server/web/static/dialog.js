// Questions to the user, in a dialog of the browser's own: it keeps the focus and gives it back.

import { button, make } from "./dom.js";

let made = 0;

// Whether the user agrees.
/** @param {string} title @param {string} text @param {string} yes */
export async function confirm(title, text, yes, { danger = false } = {}) {
  return await show(title, [make("p", { class: "quiet", text })], yes, danger, () => true) === true;
}

// What the user writes; null for a cancel.
/**
 * @param {string} title @param {string} label @param {string | null | undefined} value @param {string} yes
 * @returns {Promise<string | null>}
 */
export async function prompt(title, label, value, yes, { maxlength = 100, hint = "" } = {}) {
  const input = make("input", { type: "text", value: value ?? "", maxlength, autocomplete: "off" });
  /** @type {Node[]} */
  const content = [make("label", {}, label, input)];
  if (hint) content.push(make("p", { class: "quiet", text: hint }));
  return show(title, content, yes, false, () => input.value.trim(), input);
}

// Which of the options of a select, which stays as it is; null for a cancel.
/** @param {string} title @param {string} label @param {HTMLSelectElement} select @param {string} yes */
export async function choose(title, label, select, yes, { hint = "" } = {}) {
  const chosen = /** @type {HTMLSelectElement} */ (select.cloneNode(true));
  chosen.removeAttribute("id");
  chosen.value = select.value;
  const content = [make("label", {}, label, chosen), make("p", { class: "quiet", text: hint })];
  return show(title, content, yes, false, () => chosen.value, chosen);
}

/**
 * @template T @param {string} title @param {Node[]} content @param {string} yes @param {boolean} danger
 * @param {() => T} read @param {HTMLInputElement | HTMLSelectElement} [first] @returns {Promise<T | null>}
 */
export function show(title, content, yes, danger, read, first) {
  const id = `dialog-${made += 1}`;
  const form = make("form", { method: "dialog" });
  const dialog = make("dialog", { "aria-labelledby": id }, form);
  const go = make("button", { class: danger ? "danger" : "primary", value: "yes", text: yes });
  form.append(make("h2", { id, text: title }), ...content,
    make("div", { class: "foot" }, button("Cancel", () => dialog.close("")), go));
  document.body.append(dialog);
  dialog.showModal();
  (first ?? go).focus();
  if (first instanceof HTMLInputElement) first.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? read() : null);
    });
  });
}
