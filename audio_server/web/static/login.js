// The form works without this; with it one gets back to the page that was asked for.

import { byId } from "./dom.js";

const asked = new URLSearchParams(location.search);
const NOTICES = { wrong: "That is not the token.", slow: "Too many wrong tokens. Wait a little and try again." };

// A path of this server, and nothing that a browser would take for another one, as it does `/\t/`.
const wanted = asked.get("next") ?? "/";
const next = /^\/(?![/\\])[!-~]*$/.test(wanted) ? wanted : "/";

for (const form of document.forms) form.next.value = next;
for (const [why, words] of Object.entries(NOTICES)) {
  if (asked.has(why)) byId("notice").textContent = words;
}

// Who follows a link from elsewhere comes without the cookie, though logged in: a request of the page
// itself brings it. Asking for a page, and not for the API, is no error where the answer is no.
const page = await fetch(next, { redirect: "manual" }).catch(() => null);
if (page?.ok) location.replace(next);
