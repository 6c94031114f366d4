// Names while one types: a list under the box, walked with the arrow keys. Late answers are thrown away.
const PAUSE = 130;
const LONGEST = 40;
let timer;
let running;

const boxOf = () => document.querySelector("[data-suggest]");
const listOf = () => document.getElementById("suggestions");
const options = () => [...(listOf()?.children ?? [])];
const chosen = () => options().find((option) => option.getAttribute("aria-selected") === "true");

export function close() {
  clearTimeout(timer);
  running?.abort();
  const list = listOf();
  if (list) {
    list.hidden = true;
    list.replaceChildren();
  }
  const box = boxOf();
  box?.setAttribute("aria-expanded", "false");
  box?.removeAttribute("aria-activedescendant");
}

function draw(suggestions) {
  const list = listOf();
  list.replaceChildren(...suggestions.map((suggestion, at) => {
    const option = document.createElement("li");
    option.id = `suggestion-${at}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.dataset.text = suggestion.text ?? suggestion.name;
    option.textContent = option.dataset.text;
    if (suggestion.text && suggestion.text !== suggestion.name) {
      const also = document.createElement("span");
      also.className = "quiet small";
      also.textContent = ` ${suggestion.name}`;
      option.append(also);
    }
    return option;
  }));
  list.hidden = !suggestions.length;
  boxOf().setAttribute("aria-expanded", String(!list.hidden));
}

async function ask(text) {
  running?.abort();
  running = new AbortController();
  try {
    const url = `${boxOf().dataset.suggest}?q=${encodeURIComponent(text)}`;
    const answer = await fetch(url, { signal: running.signal, headers: { Accept: "application/json" } });
    if (!answer.ok) return close();
    const { suggestions } = await answer.json();
    if (boxOf()?.value.trim() === text && document.activeElement === boxOf()) draw(suggestions);
  } catch (problem) {
    if (problem.name !== "AbortError") close();
  }
}

function choose(option) {
  const box = boxOf();
  box.value = option.dataset.text;
  close();
  box.form.requestSubmit();
}

function move(by) {
  const all = options();
  const here = all.indexOf(chosen());
  const next = all[(here + by + all.length + (here < 0 && by < 0 ? 1 : 0)) % all.length];
  all.forEach((option) => option.setAttribute("aria-selected", String(option === next)));
  boxOf().setAttribute("aria-activedescendant", next.id);
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-suggest]")) return;
  clearTimeout(timer);
  const text = event.target.value.trim();
  if (text.length < 2 || text.length > LONGEST || text.includes("\n")) return close();
  timer = setTimeout(ask, PAUSE, text);
});

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-suggest]") || listOf()?.hidden) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    event.preventDefault();
    close();
  } else if (event.key === "Enter" && chosen()) {
    event.preventDefault();
    choose(chosen());
  }
}, true);

document.addEventListener("pointerdown", (event) => {
  const option = event.target.closest?.("#suggestions li");
  if (option) {
    event.preventDefault();
    choose(option);
  }
});
document.addEventListener("focusout", (event) => {
  if (event.target.matches("[data-suggest]")) close();
});
document.addEventListener("htmx:beforeRequest", close);
