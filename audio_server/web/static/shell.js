// What all pages behind the login share: the way out, and what the server says of itself.

import { ask, logOut } from "./ask.js";
import { byId } from "./dom.js";

// What `/api/about` says; null while the server is away.
export async function about() {
  try {
    const facts = await ask("/api/about");
    byId("logout").hidden = !facts.login;
    byId("logout").addEventListener("submit", logOut);
    return facts;
  } catch {
    return null;
  }
}
