// A changed filter is a new search (the button is for those without scripts); the panel stands open where there is room.
import { read, write } from "./store.js";

const wide = matchMedia("(min-width: 60.01rem)");

export function placePanel() {
  const panel = document.getElementById("filters");
  if (!panel || panel.dataset.placed) return;
  panel.dataset.placed = "yes";
  if (wide.matches) panel.open = read("filters", true);
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-filter]")?.form;
  // A field that is just being swapped away also says that it has changed.
  if (form?.isConnected && form.checkValidity()) form.requestSubmit();
});

document.addEventListener("click", (event) => {
  const panel = event.target.closest("#filters > summary")?.parentElement;
  if (panel && wide.matches) write("filters", !panel.open);
});

document.addEventListener("htmx:load", placePanel);
placePanel();
