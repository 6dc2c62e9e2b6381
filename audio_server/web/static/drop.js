// Files that are dropped anywhere on the page. `veil` is shown while they are held over it.

/** @param {HTMLElement} veil @param {() => boolean} welcome @param {(files: File[]) => void} take */
export function dropFiles(veil, welcome, take) {
  /** @param {DragEvent} event */
  const holdsFiles = (event) => Boolean(event.dataTransfer?.types.includes("Files"));
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer || !holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = welcome() ? "copy" : "none";
    veil.hidden = !welcome();
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!event.dataTransfer || !holdsFiles(event)) return;
    event.preventDefault();
    if (welcome()) take([...event.dataTransfer.files]);
  });
}
