// The form works without this; with it one gets back to the page that was asked for.

const asked = new URLSearchParams(location.search);
const next = asked.get("next") ?? "/";
const NOTICES = { wrong: "That is not the token.", slow: "Too many wrong tokens; wait a little." };

document.querySelector("[name=next]").value = next;
for (const [why, words] of Object.entries(NOTICES)) {
  if (asked.has(why)) document.getElementById("notice").textContent = words;
}
