// The explanation answers to the pointer and to the focus: a word lights its motifs and atoms, a motif its words and atoms.
const SVG = "http://www.w3.org/2000/svg";
const FAINT = 0.08;

const data = (root) => {
  const source = root.querySelector("#light-data");
  return source ? JSON.parse(source.textContent) : null;
};

const indices = (element, kind) => [...element.classList]
  .filter((name) => name.startsWith(`${kind}-`))
  .map((name) => Number(name.slice(kind.length + 1)));

const middle = (points) => ({
  x: points.reduce((sum, point) => sum + point.x, 0) / points.length,
  y: points.reduce((sum, point) => sum + point.y, 0) / points.length,
});

const corners = (path) => [...path.getAttribute("d").matchAll(/(-?[\d.]+)[ ,](-?[\d.]+)/g)]
  .map(([, x, y]) => ({ x: Number(x), y: Number(y) }));

function bondsOf(drawing) {
  const bonds = new Map();
  for (const path of drawing.querySelectorAll("path[class*='bond-']")) {
    const [bond] = indices(path, "bond");
    bonds.set(bond, [...(bonds.get(bond) ?? []), path]);
  }
  return [...bonds.values()];
}

// Both ends of a bond. A line runs from one atom to the other; a wedge begins with its tip; a hash is a row of dashes.
function ends(paths) {
  const [first, last] = [corners(paths[0]), corners(paths.at(-1))];
  if (paths.length > 4) return [middle(first), middle(last), false];
  if (first.length > 2) return [first[0], middle(last.slice(1, 3)), false];
  return [first[0], last[1], true];
}

// Where the atoms of a drawing lie: read off plain bonds, off wedges where there are no others, or off the label.
function places(drawing) {
  const sure = new Map();
  const guessed = new Map();
  for (const paths of bondsOf(drawing)) {
    const [from, to] = indices(paths[0], "atom");
    if (to === undefined) continue;
    const [start, end, plain] = ends(paths);
    for (const [atom, point] of [[from, start], [to, end]]) {
      const points = plain ? sure : guessed;
      points.set(atom, [...(points.get(atom) ?? []), point]);
    }
  }
  const where = new Map();
  for (const atom of new Set([...sure.keys(), ...guessed.keys()])) where.set(atom, middle(sure.get(atom) ?? guessed.get(atom)));
  const nearest = new Map();
  for (const path of drawing.querySelectorAll("path[class*='atom-']:not([class*='bond-'])")) {
    const [atom] = indices(path, "atom");
    const box = path.getBBox();
    const letter = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const bond = where.get(atom) ?? letter;
    const far = Math.hypot(letter.x - bond.x, letter.y - bond.y);
    if (!nearest.has(atom) || far < nearest.get(atom).far) nearest.set(atom, { far, letter });
  }
  for (const [atom, { letter }] of nearest) where.set(atom, letter);
  return where;
}

// The middle one of all bond lengths, in the drawing's own units: halos keep their size whatever the scale.
function bondLength(drawing, where) {
  const lengths = [...drawing.querySelectorAll("path[class*='bond-']")].map((path) => {
    const [a, b] = indices(path, "atom").map((atom) => where.get(atom));
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }).filter(Boolean).sort((one, two) => one - two);
  return lengths[Math.floor(lengths.length / 2)] ?? 40;
}

function halo(drawing, strength) {
  drawing.querySelector(".halo")?.remove();
  if (!strength.size) return;
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("class", "halo");
  const where = places(drawing);
  const reach = 0.18 * bondLength(drawing, where);
  for (const [path] of bondsOf(drawing)) {
    const [from, to] = indices(path, "atom");
    const weakest = Math.min(strength.get(from) ?? 0, strength.get(to) ?? 0);
    if (weakest <= FAINT || !where.has(from) || !where.has(to)) continue;
    const line = document.createElementNS(SVG, "line");
    const [a, b] = [where.get(from), where.get(to)];
    Object.entries({ x1: a.x, y1: a.y, x2: b.x, y2: b.y, "stroke-width": 2 * reach }).forEach(([name, value]) => line.setAttribute(name, value));
    line.style.setProperty("--strength", weakest);
    group.append(line);
  }
  for (const [atom, value] of strength) {
    if (value <= FAINT || !where.has(atom)) continue;
    const dot = document.createElementNS(SVG, "circle");
    const { x, y } = where.get(atom);
    Object.entries({ cx: x, cy: y, r: reach }).forEach(([name, number]) => dot.setAttribute(name, number));
    dot.style.setProperty("--strength", value);
    group.append(dot);
  }
  const backdrop = drawing.querySelector(":scope > rect");
  if (backdrop) backdrop.after(group);
  else drawing.prepend(group);
}

function strengthOf({ atoms, motifs }, chosen) {
  const strength = new Map();
  const scores = chosen?.word === undefined ? null : atoms[chosen.word] ?? [];
  if (chosen?.motif !== undefined) {
    for (const atom of motifs[chosen.motif] ?? []) strength.set(atom, scores ? Math.max(scores[atom] ?? 0, 0.3) : 0.8);
  } else if (scores) {
    // A word's own strongest atoms stand out, however strong other words are.
    const [low, high] = [Math.min(...scores), Math.max(...scores)];
    scores.forEach((score, atom) => strength.set(atom, high > low ? ((score - low) / (high - low)) ** 1.5 : 0.5));
  }
  return strength;
}

// A part is lit when everything that it shares with the choice is equal, and something is shared.
function fits(part, chosen) {
  const shared = ["word", "motif"].filter((name) => part.dataset[name] !== undefined && chosen[name] !== undefined);
  return shared.length > 0 && shared.every((name) => part.dataset[name] === String(chosen[name]));
}

// What a screen reader calls the button of a part: the group of the picture itself, the label inside a table heading.
const buttonOf = (part) => (part.matches("[role=button]") ? part : part.querySelector("[role=button]"));

function isKept({ kept }, part) {
  const own = choiceOf(part);
  return Boolean(kept) && kept.word === own.word && kept.motif === own.motif;
}

function light(root, chosen) {
  root.light ??= data(root);
  const strength = strengthOf(root.light, chosen);
  for (const drawing of root.querySelectorAll("[data-drawing] svg")) halo(drawing, strength);
  root.classList.toggle("choosing", Boolean(chosen));
  for (const part of root.querySelectorAll("[data-word], [data-motif]")) {
    part.classList.toggle("lit", Boolean(chosen) && fits(part, chosen));
    part.classList.remove("linked");
    buttonOf(part)?.setAttribute("aria-pressed", String(isKept(root, part)));
  }
  const crossings = [...root.querySelectorAll("[data-mass].lit")];
  const most = Math.max(0, ...crossings.map((ribbon) => Number(ribbon.dataset.mass)));
  for (const { dataset } of crossings) {
    if (Number(dataset.mass) < most / 3) continue;
    root.querySelector(`.bank[data-word="${dataset.word}"]`)?.classList.add("linked");
    root.querySelector(`.bank[data-motif="${dataset.motif}"]`)?.classList.add("linked");
  }
}

const choiceOf = (element) => {
  const { word, motif } = element.dataset;
  if (word !== undefined && motif !== undefined) return { word: Number(word), motif: Number(motif) };
  return word !== undefined ? { word: Number(word) } : { motif: Number(motif) };
};

function handler(on) {
  return (event) => {
    const part = event.target.closest?.("[data-word], [data-motif]");
    const root = part?.closest("[data-explanation]");
    if (!root) return;
    if (on) light(root, choiceOf(part));
    else if (!part.contains(event.relatedTarget)) light(root, root.kept ?? null);
  };
}

document.addEventListener("pointerover", handler(true));
document.addEventListener("pointerout", handler(false));
document.addEventListener("focusin", handler(true));
document.addEventListener("focusout", handler(false));

// Pressing keeps the choice, pressing again lets it go; touch screens have nothing else.
function press(event) {
  const part = event.target.closest?.("[data-word], [data-motif]");
  const root = part?.closest("[data-explanation]");
  if (!root) return;
  event.preventDefault();
  if (event.repeat) return;
  root.kept = isKept(root, part) ? null : choiceOf(part);
  light(root, root.kept);
}

document.addEventListener("click", press);
// Enter on a link is a click already; everything else that takes the focus needs both keys.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " || (event.key === "Enter" && !event.target.closest?.("a"))) press(event);
});
