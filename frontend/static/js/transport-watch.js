// A map that learns: frames come as server-sent events; leaving or stopping closes the stream, and the server stops.
const still = matchMedia("(prefers-reduced-motion: reduce)");
let source = null;

function finish(section, said) {
  source?.close();
  source = null;
  section.querySelector("[data-watch-stop]").hidden = true;
  section.querySelector("[data-watch-said]").textContent = said;
}

function fail(section, text) {
  const fault = section.querySelector("[data-watch-fault]");
  fault.textContent = text;
  fault.hidden = false;
  finish(section, text);
}

function draw(film, frame) {
  for (const part of film.querySelectorAll("[data-film-text]")) part.textContent = frame[part.dataset.filmText];
  film.querySelector("progress").value = frame.share;
  if (still.matches && !frame.last) return;
  for (const part of film.querySelectorAll("[data-film]")) part.setAttribute("d", frame[part.dataset.film]);
}

function start(form) {
  const section = form.closest("section");
  const film = section.querySelector("[data-watch-film]");
  source?.close();
  section.querySelector("[data-watch-fault]").hidden = true;
  section.querySelector("[data-watch-said]").textContent = "Training began.";
  section.querySelector("[data-watch-stop]").hidden = false;
  source = new EventSource(`${form.dataset.watch}?${new URLSearchParams(new FormData(form))}`);
  source.addEventListener("opening", (event) => {
    film.innerHTML = JSON.parse(event.data).html;
    film.hidden = false;
  });
  source.addEventListener("frame", (event) => {
    const frame = JSON.parse(event.data);
    draw(film, frame);
    if (frame.last) finish(section, `Training ended after ${frame.step}. Divergence ${frame.divergence}, Monge gap ${frame.gap}.`);
  });
  source.addEventListener("fault", (event) => fail(section, JSON.parse(event.data).text));
  source.addEventListener("error", () => source && fail(section, "The connection was lost. Train again."));
}

export function startWatching(lab) {
  lab.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-watch]");
    if (!form) return;
    event.preventDefault();
    start(form);
  });
  lab.addEventListener("click", (event) => {
    const button = event.target.closest("[data-watch-stop]");
    if (button) finish(button.closest("section"), "Training was stopped.");
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target !== lab) return;
    source?.close();
    source = null;
  });
}
