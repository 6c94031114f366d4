// The basket lives in this browser: it survives paging, new searches and coming back.
import { read, write } from "./store.js";
import { toast } from "./toast.js";

const MOST = 500;

export function picked() {
  const keys = read("basket", []);
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
}

function keep(keys) {
  write("basket", keys);
  show();
}

export function show() {
  const keys = new Set(picked());
  for (const place of document.querySelectorAll("[data-basket-count]")) {
    place.textContent = keys.size ? String(keys.size) : "";
  }
  for (const tick of document.querySelectorAll("[data-pick]")) {
    tick.checked = keys.has(tick.value);
    tick.closest("[data-result]")?.classList.toggle("picked", tick.checked);
  }
  for (const option of document.querySelectorAll("[data-basket-option]")) {
    option.textContent = `the ${keys.size} in the basket`;
    option.disabled = !keys.size;
  }
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick]")) return;
  const { value, checked, dataset } = event.target;
  const rest = picked().filter((key) => key !== value);
  if (checked && rest.length >= MOST) {
    event.target.checked = false;
    toast(`The basket is full: it holds ${MOST} molecules. Export it or take some out.`);
    return;
  }
  keep(checked ? [...rest, value] : rest);
  toast(checked ? `${dataset.name} is in the basket.` : `${dataset.name} is out of the basket.`);
});

document.addEventListener("click", (event) => {
  const take = event.target.closest("[data-take-out]");
  if (take) {
    event.preventDefault();
    keep(picked().filter((key) => key !== take.dataset.takeOut));
    take.closest("[data-basket-row]")?.remove();
    const left = document.querySelectorAll("[data-basket-row]").length;
    const total = document.querySelector("[data-basket-total]");
    if (total) total.textContent = String(left);
    if (!left) location.assign(location.pathname);
  }
  if (event.target.closest("[data-empty-basket]")) {
    event.preventDefault();
    keep([]);
    location.assign(location.pathname);
  }
});

// An export of "what is in the basket" carries the basket's keys, and nothing else.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-export-form]");
  if (!form) return;
  form.querySelectorAll("[data-added]").forEach((field) => field.remove());
  if (form.elements.scope?.value !== "basket") return;
  for (const key of picked()) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "pick", value: key });
    field.dataset.added = "yes";
    form.append(field);
  }
});

// The basket page is drawn by the server from the keys that the browser holds.
function fillPage() {
  const place = document.querySelector("[data-basket-page]");
  if (!place || place.dataset.filled || !window.htmx) return;
  place.dataset.filled = "yes";
  const named = place.dataset.named ? place.dataset.named.split("\n") : [];
  const keys = [...new Set([...picked(), ...named])].slice(0, MOST);
  if (keys.join() !== picked().join()) write("basket", keys);
  if (keys.some((key) => !named.includes(key))) window.htmx.ajax("POST", place.dataset.basketPage, { target: place, swap: "innerHTML", values: { pick: keys } });
  show();
}

window.addEventListener("storage", show);
document.addEventListener("htmx:load", show);
document.addEventListener("DOMContentLoaded", fillPage);
if (document.readyState !== "loading") fillPage();
show();
