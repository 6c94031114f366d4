// A form that was sent once is not sent again by a second click; coming back to the page frees it. What stood open stays open.
let open = false;

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-once]");
  if (!form) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-once]")) delete form.dataset.sent;
});

document.addEventListener("htmx:beforeSwap", () => {
  open = Boolean(document.getElementById("options")?.open);
});

document.addEventListener("htmx:afterSettle", () => {
  const options = document.getElementById("options");
  if (options && open) options.open = true;
});

document.querySelector(".faulty input, .faulty select")?.focus();
