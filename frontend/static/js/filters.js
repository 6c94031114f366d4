// A changed filter is a new search (the button is for those without scripts); the panel stands open where there is room.
import { read, write } from "./store.js";

const wide = matchMedia("(min-width: 60.01rem)");
let opened = false; // where room is scarce, for as long as the page lives
let focused = ""; // id of the field that had the focus when an answer replaced the panel

export function placePanel() {
  const panel = document.getElementById("filters");
  if (!panel || panel.dataset.placed) return;
  panel.dataset.placed = "yes";
  panel.open = wide.matches ? read("filters", true) : panel.open || opened;
  // htmx gives the focus back before the panel is open, and what is hidden cannot take it.
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
  focused = "";
}

document.addEventListener("htmx:beforeSwap", () => {
  focused = document.activeElement?.closest("#filters") ? document.activeElement.id : "";
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-filter]")?.form;
  // A field that is just being swapped away also says that it has changed.
  if (form?.isConnected && form.checkValidity()) form.requestSubmit();
});

document.addEventListener("click", (event) => {
  const panel = event.target.closest("#filters > summary")?.parentElement;
  if (!panel) return;
  if (wide.matches) write("filters", !panel.open);
  else opened = !panel.open;
});

document.addEventListener("htmx:load", placePanel);
placePanel();
