// A list whose items are put in order: dragged by a handle, or moved by arrow keys on it.

export class Order {
  /** @type {ListOf<HTMLElement>} */
  #list;
  /** @type {Moved} */
  #moved;
  /** @type {Drag | null} */
  #drag = null;

  // `moved(from, to)` is told of each change of place; the list is drawn anew by whoever is told.
  /** @param {ListOf<HTMLElement>} list @param {Moved} moved */
  constructor(list, moved) {
    this.#list = list;
    this.#moved = moved;
  }

  get isDragging() {
    return this.#drag !== null;
  }

  /** @param {HTMLElement} item @param {HTMLButtonElement} handle */
  add(item, handle) {
    handle.addEventListener("keydown", (event) => this.#key(event, item, handle));
    handle.addEventListener("pointerdown", (event) => this.#grab(event, item, handle));
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} item @param {HTMLButtonElement} handle */
  #key(event, item, handle) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") this.#drop(false);
    if (!step || this.#drag) return;
    event.preventDefault();
    const from = this.#index(item), to = from + step;
    if (to < 0 || to >= this.#list.childElementCount) return;
    this.#moved(from, to);
    handle.focus();
  }

  /** @param {HTMLElement} item */
  #index(item) {
    return [...this.#list.children].indexOf(item);
  }

  // -- by pointer: while it is held nothing but the drawing moves

  /** @param {PointerEvent} event @param {HTMLElement} item @param {HTMLButtonElement} handle */
  #grab(event, item, handle) {
    if (event.button !== 0 || handle.disabled) return;
    handle.setPointerCapture(event.pointerId);
    const ends = new AbortController();
    /**
     * @param {"pointermove" | "pointerup" | "pointercancel"} name
     * @param {(event: PointerEvent) => void} act
     */
    const on = (name, act) => handle.addEventListener(name, act, { signal: ends.signal });
    const tops = [...this.#list.children].map((child) => child.offsetTop);
    this.#drag = { item, ends, tops, from: this.#index(item), to: this.#index(item) };
    item.classList.add("dragged");
    this.#list.classList.add("dragging");
    on("pointermove", (moved) => this.#follow(moved.pageY - event.pageY));
    on("pointerup", () => this.#drop(true));
    on("pointercancel", () => this.#drop(false));
  }

  /** @param {number} by */
  #follow(by) {
    if (!this.#drag) return;
    const { item, tops, from } = this.#drag;
    const at = tops[from] + by;
    /** @param {number} index */
    const off = (index) => Math.abs(tops[index] - at);
    const to = tops.reduce((best, _, index) => (off(index) < off(best) ? index : best), from);
    this.#drag.to = to;
    item.style.transform = `translateY(${by}px)`;
    [...this.#list.children].forEach((child, index) => {
      if (child !== item) child.style.transform = `translateY(${shift(index, from, to, tops)}px)`;
    });
  }

  /** @param {boolean} well */
  #drop(well) {
    if (!this.#drag) return;
    const { item, ends, from, to } = this.#drag;
    this.#drag = null;
    ends.abort();
    item.classList.remove("dragged");
    this.#list.classList.remove("dragging");
    for (const child of this.#list.children) child.style.transform = "";
    if (well && from !== to) this.#moved(from, to);
  }
}

// How far an item makes room for the one that is dragged.
/** @param {number} index @param {number} from @param {number} to @param {number[]} tops */
function shift(index, from, to, tops) {
  if (index > from && index <= to) return tops[index - 1] - tops[index];
  if (index < from && index >= to) return tops[index + 1] - tops[index];
  return 0;
}
