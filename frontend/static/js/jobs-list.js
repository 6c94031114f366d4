// The list looks again by itself every few seconds: what has not changed is not touched, ticks and focus stay.
const place = document.getElementById("jobs");
const form = document.getElementById("jobs-form");
let ticked = new Set();
let focused = "";
let seen = null;

const ticks = () => [...place.querySelectorAll('input[name="job"]')];

function say() {
  const all = ticks();
  const many = all.filter((tick) => tick.checked).length;
  const text = form.querySelector("[data-ticked]");
  if (text) text.textContent = many ? `With the ${many} ticked:` : "With those ticked:";
  form.querySelector(".bulk")?.classList.toggle("none", many === 0);
  form.querySelector(".bulk")?.classList.toggle("some", many > 0);
  const head = place.querySelector("[data-all]");
  if (!head) return;
  head.checked = many > 0 && many === all.length;
  head.indeterminate = many > 0 && many < all.length;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt === place && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target !== place) return;
  const text = event.detail.xhr.responseText;
  if (text === seen || event.detail.xhr.status !== 200) {
    event.detail.shouldSwap = false;
    return;
  }
  seen = text;
  ticked = new Set(ticks().filter((tick) => tick.checked).map((tick) => tick.value));
  focused = place.contains(document.activeElement) ? document.activeElement.id : "";
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== place) return;
  for (const tick of ticks()) tick.checked = ticked.has(tick.value);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  say();
});

form.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) for (const tick of ticks()) tick.checked = event.target.checked;
  say();
});

say();
