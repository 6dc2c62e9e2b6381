// Loads that may take long share few of a browser's six connections, over all its tabs, so that there is
// always one left for a Stop.

const SLOTS = 2;

let turn = Math.floor(Math.random() * SLOTS);
let last = Promise.resolve();

// What `load` resolves to, once it is its turn.
export function inTurn(load) {
  turn += 1;
  // Locks are shared by all tabs, but on a page that came by plain HTTP from elsewhere there are none.
  if (navigator.locks) return navigator.locks.request(`load-${turn % SLOTS}`, load);
  const mine = last.then(load);
  last = mine.catch(() => {});
  return mine;
}
