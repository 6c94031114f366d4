// The decoding page: a run is streamed into its lanes; stopping, or leaving, closes the stream and the server stops.
import { hideCard, reach, startCards } from "./decoding-cards.js";
import { follow } from "./decoding-stream.js";

const place = document.getElementById("run");
const form = () => document.getElementById("decoding-form"); // it is fetched anew when its questions change
let running = null;

const say = (text) => { document.getElementById("announce").textContent = text; };

function fail(text) {
  const failure = document.getElementById("failure");
  failure.hidden = !text;
  failure.querySelector("[data-text]").textContent = text;
}

function busy(is) {
  const stop = form().querySelector("[data-stop]");
  const held = document.activeElement === stop;
  stop.hidden = !is;
  form().querySelector("[data-run]").disabled = is;
  place.setAttribute("aria-busy", String(is));
  if (held && !is) form().querySelector("[data-run]").focus();
}

const lane = (number) => place.querySelector(`[data-lane="${number}"]`);

function now(box, state, text) {
  box.dataset.state = state;
  box.querySelector("[data-now]").textContent = text;
}

// Plain decoding goes first, for the others are timed against it; then they come in order.
function next() {
  const box = place.querySelector('[data-state="waiting"][data-method="autoregressive"]') ?? place.querySelector('[data-state="waiting"]');
  if (box) now(box, "writing", "reading the prompt");
}

const handlers = {
  opened({ html, address }) {
    place.innerHTML = html;
    if (address && address !== location.pathname + location.search) history[running.push ? "pushState" : "replaceState"]({}, "", address);
    if (place.getBoundingClientRect().top > 0.75 * innerHeight) place.scrollIntoView({ block: "start" });
    next();
    say("The first lane begins.");
  },
  drafted(event) {
    const box = lane(event.lane);
    box.querySelector("[data-tokens]").insertAdjacentHTML("beforeend", event.html);
    if (!running.written) now(box, "writing", `${event.drafts}…`);
  },
  token(event) {
    const box = lane(event.lane);
    const tokens = box.querySelector("[data-tokens]");
    tokens.insertAdjacentHTML("beforeend", event.html);
    reach(tokens);
    running.written += 1;
    now(box, "writing", `writing, ${tokens.querySelectorAll(".token").length} tokens`);
  },
  done(event) {
    const box = lane(event.lane);
    if (event.rest) box.querySelector("[data-tokens]").insertAdjacentHTML("beforeend", event.rest);
    box.querySelector("[data-end]").innerHTML = event.html;
    now(box, "done", "");
    running.written = 0;
    next();
    say(event.said);
  },
  closed(event) {
    for (const [number, html] of Object.entries(event.speeds)) {
      const speed = lane(number).querySelector("[data-speed]");
      speed.innerHTML = html;
      speed.hidden = false;
    }
    const closing = place.querySelector("[data-closing]");
    closing.innerHTML = event.html;
    htmx.process(closing);
    running.closed = true;
    say(event.said);
  },
  fault({ html, field }) {
    document.getElementById("fault").innerHTML = html;
    running.closed = true;
    const wrong = field && form().elements.namedItem(field);
    if (wrong instanceof HTMLElement) {
      wrong.setAttribute("aria-invalid", "true");
      wrong.closest("details")?.setAttribute("open", "");
      wrong.focus();
    }
    end("stopped by a fault");
  },
};

// Lanes that had not come to their end say so.
function end(why) {
  for (const box of place.querySelectorAll('[data-state="writing"], [data-state="waiting"]')) {
    const written = box.querySelectorAll("[data-tokens] .token").length;
    now(box, "stopped", written ? `${why} after ${written} tokens` : why);
  }
}

async function start({ push = true } = {}) {
  stop();
  const mine = { controller: new AbortController(), push, written: 0, closed: false };
  running = mine;
  fail("");
  document.getElementById("fault").replaceChildren();
  document.querySelector(".decoding-examples")?.remove();
  document.getElementById("moved")?.toggleAttribute("hidden", push);
  for (const wrong of form().querySelectorAll("[aria-invalid]")) wrong.removeAttribute("aria-invalid");
  busy(true);
  try {
    await follow(form().dataset.stream, form(), mine.controller.signal, (name, data) => {
      if (running === mine) handlers[name]?.(data);
    });
    if (running === mine && !mine.closed) {
      fail("The connection was lost before the answers were complete. Run it again.");
      end("lost");
    }
  } catch (problem) {
    if (running === mine) {
      fail(problem instanceof TypeError ? "The server cannot be reached. Check that it is running, then run it again." : problem.message);
      end("lost");
    }
  } finally {
    if (running === mine) {
      running = null;
      busy(false);
    }
  }
}

function stop() {
  if (!running) return false;
  const { controller } = running;
  running = null;
  controller.abort();
  end("stopped");
  busy(false);
  say("Stopped.");
  return true;
}

document.addEventListener("submit", (event) => {
  if (event.target !== form() || (event.submitter && event.submitter.value !== "run")) return;
  event.preventDefault();
  start();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-stop]")) stop();
  if (event.target.closest("[data-reseed]")) document.getElementById("seed").value = Math.floor(Math.random() * 1e6);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (!stop()) hideCard();
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.id === "prompt") {
    event.preventDefault();
    form().requestSubmit(form().querySelector("[data-run]"));
  }
});

// The slider moves α in powers of ten; the number beside it is what is sent.
function follows(slider) {
  const number = document.getElementById(slider.dataset.powerOf);
  const value = Number(number.value);
  if (value > 0) slider.value = Math.log10(value);
}
document.addEventListener("input", (event) => {
  const slider = event.target.closest("[data-power-of]");
  if (slider) document.getElementById(slider.dataset.powerOf).value = Number((10 ** slider.value).toPrecision(2));
  const own = document.querySelector(`[data-power-of="${event.target.id}"]`);
  if (own) follows(own);
});
function settle() {
  for (const slider of document.querySelectorAll("[data-power-of]")) follows(slider);
  if (running) busy(true);
}
document.addEventListener("htmx:afterSwap", settle);
addEventListener("popstate", () => location.reload());

if (place) {
  startCards(place);
  settle();
  for (const tokens of place.querySelectorAll("[data-tokens]")) reach(tokens);
  if (form().dataset.begin !== undefined && !place.querySelector("[data-lane]")) start({ push: false });
}
