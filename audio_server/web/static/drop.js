// Files that are dropped anywhere on the page. `veil` is shown while they are held over it.

export function dropFiles(veil, welcome, take) {
  const holdsFiles = (event) => Boolean(event.dataTransfer?.types.includes("Files"));
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = welcome() ? "copy" : "none";
    veil.hidden = !welcome();
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    if (welcome()) take([...event.dataTransfer.files]);
  });
}
