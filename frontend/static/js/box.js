// The search box: grows with its text, Enter searches, a pasted molfile goes by POST so that no address overflows.
const LONGEST_ADDRESS = 1500;

function fit(box) {
  box.rows = 1;
  const lines = box.value.split("\n").length;
  const line = parseFloat(getComputedStyle(box).lineHeight) || 24;
  box.rows = Math.min(Math.max(lines, Math.round(box.scrollHeight / line) - 1, 1), 10);
}

function isLong(text) {
  return text.trim().includes("\n") || text.length > LONGEST_ADDRESS;
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-box]")) return;
  fit(event.target);
  // A new text is read afresh, not the way the old one was told to be read.
  event.target.form.querySelector("[name=read_as]")?.remove();
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-box]") || event.key !== "Enter") return;
  if (event.shiftKey || event.isComposing || event.defaultPrevented) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

document.addEventListener("htmx:configRequest", (event) => {
  const form = event.detail.elt;
  // Not form.elements: the filter named "elements" hides it.
  const text = form.matches?.("[data-search-form]") && form.querySelector("[data-box]")?.value;
  if (text && isLong(text)) event.detail.verb = "post";
});

// After an answer: the new box takes its text's size, and the outcome is read out.
document.addEventListener("htmx:afterSettle", () => {
  const box = document.querySelector("[data-box]");
  if (box) fit(box);
  const said = document.querySelector("#problem, #count")?.textContent.replace(/\s+/g, " ").trim();
  const place = document.getElementById("announce");
  if (place && said) place.textContent = said;
});
const box = document.querySelector("[data-box]");
if (box) fit(box);
