// Drawing by hand: strokes become lines of the coordinates box, and the form is sent when the pointer is lifted.
import { toast } from "./toast.js";

const STEP = 0.07; // share of the board's height between two points of a stroke
const REACH = 14; // pixels of the drawing around the eraser
const MOST = 2000;
let tool = "source";

const isPoint = (line) => line.trim() && !line.trim().startsWith("#") && !/[a-df-z]/i.test(line);
const numbers = (line) => line.replaceAll("−", "-").split(/[,;\s]+/).filter(Boolean).map(Number);

function viewOf(board) {
  const { left, top, scale } = board.dataset;
  return { left: Number(left), top: Number(top), scale: Number(scale) };
}

function pixel(board, event) {
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(board.getScreenCTM().inverse());
  return [place.x, place.y];
}

function coordinates(board, [x, y]) {
  const view = viewOf(board);
  const digits = view.scale > 20000 ? 7 : 3;
  return [view.left + x / view.scale, view.top - y / view.scale].map((value) => Number(value.toFixed(digits)));
}

// The coordinates box of a side; a sampled cloud is written into a new one first, as it is drawn.
function boxOf(lab, board, side) {
  const box = lab.querySelector(`[data-points-of="${side}"]`);
  if (box) return box;
  const raw = board.dataset[side].split(" ").filter(Boolean);
  const select = lab.querySelector(`#${side}`);
  const made = document.createElement("textarea");
  made.name = `${side}_points`;
  made.dataset.pointsOf = side;
  made.hidden = true;
  made.value = raw.map((pair) => pair.split(",").map((value) => Number(Number(value).toFixed(3))).join(", ")).join("\n");
  select.value = "points";
  select.after(made);
  return made;
}

function drawable(lab, board, side) {
  const box = lab.querySelector(`[data-points-of="${side}"]`);
  if (!box && !board.dataset[side] && lab.querySelector(`#${side}`).value !== "points") {
    toast("This cloud has too many points, or too many coordinates, to draw on.");
    return false;
  }
  const first = box?.value.split("\n").find(isPoint);
  const weighted = /weight|mass/i.test(box?.value.split("\n").find((line) => line.trim()) ?? "");
  if (first && numbers(first).length !== (weighted ? 3 : 2)) {
    toast("These points do not lie in the plane; change them in the coordinates box.");
    return false;
  }
  return true;
}

function add(lab, board, side, places) {
  const box = boxOf(lab, board, side);
  const lines = box.value.split("\n").filter((line) => line.trim());
  const weighted = /weight|mass/i.test(lines[0] ?? "");
  const points = places.map((place) => [...coordinates(board, place), ...(weighted ? [1] : [])].join(", "));
  if (lines.length + points.length > MOST) {
    toast(`At most ${MOST.toLocaleString("en")} points are drawn by hand; upload larger clouds.`);
    return;
  }
  box.value = [...lines, ...points].join("\n");
}

function erase(lab, board, places) {
  const view = viewOf(board);
  for (const side of ["source", "target"]) {
    if (!drawable(lab, board, side)) continue;
    const near = (x, y) => places.some(([px, py]) => Math.hypot((x - view.left) * view.scale - px, (view.top - y) * view.scale - py) < REACH);
    const existing = lab.querySelector(`[data-points-of="${side}"]`)?.value ?? board.dataset[side].split(" ").join("\n");
    if (!existing.split("\n").some((line) => isPoint(line) && near(...numbers(line)))) continue;
    const box = boxOf(lab, board, side);
    box.value = box.value.split("\n").filter((line) => !isPoint(line) || !near(...numbers(line))).join("\n");
  }
}

function mark(board, [x, y], side) {
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: x, cy: y, r: side === "erase" ? REACH : 4, class: side === "erase" ? "gone" : side })) dot.setAttribute(name, value);
  board.querySelector(".drawn").append(dot);
}

function solve(lab) {
  const form = lab.querySelector("#lab-form");
  form.requestSubmit();
}

export function startDrawing(lab) {
  let stroke = null;
  lab.addEventListener("change", (event) => {
    if (event.target.name === "tool") tool = event.target.value;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const kept = lab.querySelector(`[name="tool"][value="${tool}"]`);
    if (kept) kept.checked = true;
  });
  lab.addEventListener("pointerdown", (event) => {
    const board = event.target.closest("svg[data-board]");
    if (!board || event.button !== 0) return;
    if (tool !== "erase" && !drawable(lab, board, tool)) return;
    event.preventDefault();
    board.setPointerCapture(event.pointerId);
    board.classList.add("drawing", "stale");
    stroke = { board, tool, places: [pixel(board, event)] };
    mark(board, stroke.places[0], tool);
  });
  lab.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const place = pixel(stroke.board, event);
    const last = stroke.places.at(-1);
    const step = stroke.tool === "erase" ? REACH : STEP * stroke.board.viewBox.baseVal.height;
    if (Math.hypot(place[0] - last[0], place[1] - last[1]) < step) return;
    stroke.places.push(place);
    mark(stroke.board, place, stroke.tool);
  });
  const lift = () => {
    if (!stroke) return;
    const { board, tool: used, places } = stroke;
    stroke = null;
    board.classList.remove("drawing");
    if (used === "erase") erase(lab, board, places);
    else add(lab, board, used, places);
    solve(lab);
  };
  lab.addEventListener("pointerup", lift);
  lab.addEventListener("pointercancel", lift);
  lab.addEventListener("click", (event) => {
    if (!event.target.closest("[data-clear]")) return;
    const board = lab.querySelector("svg[data-board]");
    for (const side of ["source", "target"]) boxOf(lab, board, side).value = "";
    solve(lab);
  });
}
