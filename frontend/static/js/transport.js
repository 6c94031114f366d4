// The transport laboratory: drawing on the board, links of a point under the pointer, what stands open stays open.
import { startDrawing } from "./transport-board.js";
import { startWatching } from "./transport-watch.js";

const lab = document.getElementById("lab");
let open = new Set();

lab.addEventListener("pointerover", (event) => {
  const dot = event.target.closest("circle, rect");
  const board = event.target.closest("svg");
  if (!board) return;
  for (const line of board.querySelectorAll(".lit")) line.classList.remove("lit");
  board.classList.toggle("looking", Boolean(dot && dot.closest(".sources, .targets")));
  if (!dot) return;
  const [key, index] = dot.dataset.s === undefined ? ["t", dot.dataset.t] : ["s", dot.dataset.s];
  for (const line of board.querySelectorAll(`.links [data-${key}="${index}"]`)) line.classList.add("lit");
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target !== lab) return;
  if (lab.querySelector("svg.drawing")) event.detail.shouldSwap = false; // the next stroke is under way
  open = new Set([...lab.querySelectorAll("details[open][id]")].map((part) => part.id));
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== lab) return;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const verdict = lab.querySelector(".verdicts .notice p, #problem p");
  document.getElementById("announce").textContent = verdict?.textContent ?? "";
});

startDrawing(lab);
startWatching(lab);
