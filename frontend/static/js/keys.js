// The whole search without a mouse.
const results = () => [...document.querySelectorAll("[data-result]")];
const isTyping = (element) => element.matches?.("input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]");

function step(by) {
  const cards = results();
  if (!cards.length) return false;
  const here = cards.findIndex((card) => card.contains(document.activeElement));
  const next = here < 0 ? (by > 0 ? 0 : cards.length - 1) : Math.min(Math.max(here + by, 0), cards.length - 1);
  const link = cards[next].querySelector("[data-open]");
  link.focus();
  cards[next].scrollIntoView({ block: "nearest" });
  return true;
}

const actions = {
  "/": () => {
    const box = document.querySelector("[data-box]");
    box?.focus();
    box?.select();
    return Boolean(box);
  },
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => document.activeElement?.closest("[data-result]") && step(1),
  ArrowUp: () => document.activeElement?.closest("[data-result]") && step(-1),
  b: () => {
    const tick = document.activeElement?.closest("[data-result]")?.querySelector("[data-pick]");
    tick?.click();
    return Boolean(tick);
  },
  "?": () => {
    document.getElementById("keys").showModal();
    return true;
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (actions[event.key]?.()) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-show-keys]")) document.getElementById("keys").showModal();
});
