// A request that brought no page back still gets an answer: what went wrong and what to do.
function show(text) {
  const place = document.getElementById("failure");
  if (!place) return;
  place.hidden = false;
  place.querySelector("[data-text]").textContent = text;
}

document.addEventListener("htmx:beforeRequest", () => {
  const place = document.getElementById("failure");
  if (place) place.hidden = true;
});
document.addEventListener("htmx:sendError", () => {
  show("The server cannot be reached. Check that it is running and that you are online, then search again.");
});
document.addEventListener("htmx:timeout", () => {
  show("The server took too long. Make the question narrower or try again in a moment.");
});
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if ([404, 409, 413, 422, 429, 503].includes(status)) return; // those bring their own explanation
  if (status === 414 || status === 431) {
    show("That text is too long for an address. Paste a shorter one.");
  } else {
    show(`The server could not answer (${status}). Your question is still in the box: try again, and tell the operator if it stays so.`);
  }
});
