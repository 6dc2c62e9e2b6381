// Loads that may take long share few of a browser's six connections, over all its tabs, so that there is
// always one left for a Stop.

const SLOTS = 2;  // of each kind: "load" and "upload"

let turn = Math.floor(Math.random() * SLOTS);
/** @type {Map<string, Promise<any>>} */
const last = new Map();

// What `load` resolves to, once it is its turn among those of its kind.
/** @template T @param {string} kind @param {() => Promise<T>} load @returns {Promise<T>} */
export function inTurn(kind, load) {
  turn += 1;
  // Locks are shared by all tabs, but on a page that came by plain HTTP from elsewhere there are none.
  if (navigator.locks) return navigator.locks.request(`${kind}-${turn % SLOTS}`, load);
  const mine = (last.get(kind) ?? Promise.resolve()).then(load);
  last.set(kind, mine.catch(() => {}));
  return mine;
}
