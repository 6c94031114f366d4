// Light or dark, and the size of the drawings: chosen once, kept.
import { writeText } from "./store.js";

const root = document.documentElement;
const SIZES = ["small", "medium", "large"];

function currentTheme() {
  return root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const next = currentTheme() === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  writeText("theme", next);
});

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-size-slider]")) return;
  const size = SIZES[Number(event.target.value)] ?? "medium";
  root.dataset.size = size;
  event.target.setAttribute("aria-valuetext", size);
  writeText("size", size);
});

export function showSize() {
  for (const slider of document.querySelectorAll("[data-size-slider]")) {
    slider.value = String(Math.max(SIZES.indexOf(root.dataset.size ?? "medium"), 0));
  }
}
document.addEventListener("htmx:load", showSize);
showSize();
