// Rows of which only those in sight are in the document, so that thousands cost what a screenful does.
//
// Each keeps its element while it is in sight, and as long as it has the focus; an element that is free
// again shows the next row that comes into sight.

/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
const BEYOND = 6;  // rows that are kept ready above and below

export class Rows {
  /** @type {HTMLElement} */
  #box;
  /** @type {HTMLElement} */
  #body;
  /** @type {() => import("./row.js").Row} */
  #make;
  /** @type {string[]} */
  #ids = [];
  /** @type {Map<string, import("./row.js").Row>} */
  #shown = new Map();   // id → row
  /** @type {import("./row.js").Row[]} */
  #free = [];
  #height = 0;
  #asked = 0;
  /** @type {Map<string, number>} */
  #places = new Map();  // where those in the document were last
  /** @type {{ index: number, control: number } | null} */
  #wish = null;         // what gets the focus once its row is here
  /** @type {(first: number, last: number) => void} */
  #looked;

  // `box` scrolls where there is room for that, else the page does; `body` holds the rows. `make`
  // gives a row: `element`, `show(id, index)`. `looked` is told which places of the list are in sight:
  // there may be no ids at them yet.
  /**
   * @param {HTMLElement} box @param {HTMLElement} body @param {() => import("./row.js").Row} make
   * @param {(first: number, last: number) => void} looked
   */
  constructor(box, body, make, looked) {
    this.#looked = looked;
    this.#box = box;
    this.#body = body;
    this.#make = make;
    const soon = () => this.#soon();
    for (const scrolls of [box, window]) scrolls.addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => this.#measure()).observe(box);
    body.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {string[]} ids */
  show(ids) {
    this.#ids = ids;
    this.#measure();
  }

  // Scrolls back to the first row.
  toTop() {
    this.#box.scrollTop = 0;
    const { top } = this.#box.getBoundingClientRect();
    if (top < 0) scrollBy(0, top);
    this.draw();
  }

  // Rows that are in sight.
  get inSight() {
    return this.#shown.values();
  }

  #measure() {
    this.#height = lineHeight(this.#body);
    const height = `${this.#ids.length * this.#height}px`;
    if (this.#body.style.height !== height) this.#body.style.height = height;
    this.draw();
  }

  #soon() {
    this.#asked ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#asked);
    this.#asked = 0;
    const [first, last] = this.#range();
    /** @type {Map<string, number>} */
    const wanted = new Map();
    for (let index = first; index < last; index++) {
      if (this.#ids[index] !== undefined) wanted.set(this.#ids[index], index);
    }
    this.#keepFocused(wanted);
    this.#release(wanted);
    const order = [...wanted].sort((a, b) => a[1] - b[1]);
    const kept = new Set([...this.#shown.values()].map((row) => row.element));
    this.#places = wanted;
    this.#place(order.map(([id, index]) => this.#row(id, index).element), kept);
    if (this.#wish) this.#focus(this.#wish.index, this.#wish.control);
    this.#looked(first, last);
  }

  #range() {
    const body = this.#body.getBoundingClientRect(), box = this.#box.getBoundingClientRect();
    const top = Math.max(0, box.top) - body.top, bottom = Math.min(innerHeight, box.bottom) - body.top;
    const first = Math.max(0, Math.floor(top / this.#height) - BEYOND);
    return [first, Math.min(this.#ids.length, Math.ceil(bottom / this.#height) + BEYOND)];
  }

  /** @param {Map<string, number>} wanted */
  #keepFocused(wanted) {
    for (const [id, row] of this.#shown) {
      if (wanted.has(id) || !row.element.contains(document.activeElement)) continue;
      const place = this.#places.get(id) ?? -1;
      const index = this.#ids.indexOf(id), isBeyond = index < 0 && !(place in this.#ids);
      if (index >= 0) wanted.set(id, index);
      else if (isBeyond && place >= 0 && place < this.#ids.length) wanted.set(id, place);
    }
  }

  /** @param {Map<string, number>} wanted */
  #release(wanted) {
    for (const [id, row] of this.#shown) {
      if (wanted.has(id)) continue;
      this.#shown.delete(id);
      this.#free.push(row);
    }
  }

  /** @param {string} id @param {number} index */
  #row(id, index) {
    const row = this.#shown.get(id) ?? this.#free.shift() ?? this.#make();
    this.#shown.set(id, row);
    row.show(id, index);
    row.element.style.transform = `translateY(${index * this.#height}px)`;
    return row;
  }

  // In their order, which is what a screen reader and the Tab key follow. Those that were in sight
  // before stay where they are, if their order is still the same; the others move around them.
  /** @param {Element[]} elements @param {Set<Element>} kept */
  #place(elements, kept) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    for (const { element } of this.#free) element.remove();
    let there = this.#body.firstElementChild;
    for (const element of elements) {
      while (there && kept.has(element) && !kept.has(there)) there = there.nextElementSibling;
      if (there === element) there = there.nextElementSibling;
      else this.#body.insertBefore(element, there);
    }
    const isLost = focused !== document.activeElement && this.#body.contains(focused);
    if (isLost) focused?.focus({ preventScroll: true });
  }

  // Arrow keys go from row to row, on the same control of each.
  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLInputElement} */ (event.target);
    const row = [...this.#shown].find(([, shown]) => shown.element.contains(target));
    const step = STEPS[event.key];
    if (!row || step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const last = this.#ids.length - 1;
    const at = this.#wish?.index ?? this.#places.get(row[0]) ?? 0;
    const index = Math.min(last, Math.max(0, at + step));
    const control = row[1].controls.indexOf(target);
    this.#wish = { index, control: Math.max(0, control) };
    this.#reveal(index);
  }

  // Gives a row the focus, now or when it comes.
  /** @param {number} index @param {number} control */
  #focus(index, control) {
    const row = this.#shown.get(this.#ids[index]);
    if (!row) return;
    this.#wish = null;
    row.controls[control].focus({ preventScroll: true });
  }

  /** @param {number} index */
  #reveal(index) {
    const body = this.#body.getBoundingClientRect(), box = this.#box.getBoundingClientRect();
    const head = this.#body.offsetTop;
    const top = body.top + index * this.#height;
    const above = Math.max(0, box.top) + head, below = Math.min(innerHeight, box.bottom) - this.#height;
    const by = top < above ? top - above : top > below ? top - below : 0;
    if (this.#box.scrollHeight > this.#box.clientHeight) this.#box.scrollBy(0, by);
    else scrollBy(0, by);
    this.draw();
  }
}

// The height of a row in px: it grows with the text.
/** @param {Element} body */
function lineHeight(body) {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return rem * parseFloat(getComputedStyle(body).getPropertyValue("--row-rem"));
}
