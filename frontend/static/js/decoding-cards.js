// The small card beside a token: what draft and target held likely there, and what a choice was worth.
const WORDS = {
  sampled: "drawn from the target model; nothing was drafted",
  accepted: "drafted by the small model, and accepted",
  corrected: "the target model's own token, in place of a refused draft",
  bonus: "one more from the target model, after drafts that all stood",
  chosen: "chosen for the reward that it promises",
};
const TABLES = { target: "Target model", draft: "Draft model", values: "Worth, by expected reward" };

const card = document.createElement("div");
card.className = "token-card";
card.id = "token-card";
card.setAttribute("role", "tooltip");
card.hidden = true;

const visible = (text) => (text === "" ? "·" : text.replace(/\n/g, "↵").replace(/^ /, "␣").replace(/ $/, "␣"));

function table(title, pairs, text, shares) {
  const out = document.createElement("table");
  out.createCaption().textContent = title;
  const most = Math.max(...pairs.map(([, value]) => Math.abs(value)), 1e-9);
  for (const [word, value] of pairs) {
    const row = out.insertRow();
    row.classList.toggle("this", word === text);
    row.insertCell().textContent = visible(word);
    const width = Math.max(0, Math.min(100, (100 * value) / (shares ? 1 : most))).toFixed(1);
    row.insertCell().innerHTML = `<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="of" width="100" height="8"/><rect class="is" width="${width}" height="8"/></svg>`;
    row.insertCell().textContent = shares ? share(value) : value.toFixed(3);
  }
  return out;
}

function share(value) {
  if (value > 0 && value < 0.001) return "< 0.1 %";
  return `${(100 * value).toFixed(1)} %`;
}

function show(token) {
  const { text, kind, ...others } = JSON.parse(token.dataset.card);
  card.replaceChildren();
  const line = card.appendChild(document.createElement("p"));
  const word = line.appendChild(document.createElement("strong"));
  word.className = "mono";
  word.textContent = visible(text);
  line.append(` ${WORDS[kind] ?? kind}`);
  for (const [name, title] of Object.entries(TABLES)) {
    if (others[name]?.length) card.append(table(title, others[name], text, name !== "values"));
  }
  card.hidden = false;
  token.setAttribute("aria-describedby", card.id);
  place(token);
}

function place(token) {
  const box = token.getClientRects()[0] ?? token.getBoundingClientRect();
  const room = document.documentElement.clientWidth - card.offsetWidth - 12;
  const below = box.bottom + 8 + card.offsetHeight < innerHeight || box.top < card.offsetHeight + 8;
  card.style.left = `${scrollX + Math.max(12, Math.min(box.left, room))}px`;
  card.style.top = `${scrollY + (below ? box.bottom + 8 : box.top - card.offsetHeight - 8)}px`;
}

export function hideCard() {
  card.hidden = true;
  document.querySelector(`[aria-describedby="${card.id}"]`)?.removeAttribute("aria-describedby");
}

function walk(token, key) {
  const all = [...token.closest("[data-tokens]").querySelectorAll(".token")];
  const here = all.indexOf(token);
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[key];
  const next = all[to];
  if (!next) return;
  token.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// One token of each lane can be reached with Tab, the others from it with the arrow keys.
export function reach(tokens) {
  const all = tokens.querySelectorAll(".token");
  if (all.length && !tokens.querySelector('.token[tabindex="0"]')) all[0].tabIndex = 0;
}

export function startCards(place) {
  document.body.append(card);
  const tokenOf = (event) => event.target.closest?.("[data-tokens] .token");
  place.addEventListener("pointerover", (event) => {
    const token = tokenOf(event);
    if (token) token.removeAttribute("title");
    token ? show(token) : hideCard();
  });
  place.addEventListener("pointerleave", hideCard);
  place.addEventListener("click", (event) => {
    const token = tokenOf(event);
    if (!token) return;
    token.tabIndex = 0;
    token.focus();
  });
  place.addEventListener("focusin", (event) => {
    const token = tokenOf(event);
    if (token) show(token);
  });
  place.addEventListener("focusout", hideCard);
  place.addEventListener("keydown", (event) => {
    const token = tokenOf(event);
    if (!token || !["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    walk(token, event.key);
  });
}
