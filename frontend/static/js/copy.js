// Copy buttons: data-copy holds the text, data-copy-from the address or selector that yields it.
import { toast } from "./toast.js";

async function textOf(button) {
  if (button.dataset.copy !== undefined) return button.dataset.copy;
  const source = button.dataset.copyFrom;
  if (source.startsWith("#")) return document.querySelector(source).textContent;
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.text();
}

function copyTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser does not allow it");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  event.preventDefault();
  try {
    const text = await textOf(button);
    if (navigator.clipboard && isSecureContext) await navigator.clipboard.writeText(text);
    else copyTheOldWay(text);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
    toast(`Copied ${button.dataset.what ?? "to the clipboard"}.`);
  } catch (problem) {
    toast(`Could not copy: ${problem.message}. Select the text and copy it by hand.`);
  }
});
