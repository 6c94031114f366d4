// A job's page as it changes: parts come as HTML by the event stream; curves are fetched anew, but not too often.
const LOOK_EVERY = 3000; // ms between two looks where there is no event stream
const DRAW_EVERY = 1500; // ms between two drawings of the curves
const live = document.getElementById("live");
const curves = document.getElementById("curves");
const shown = new Map();
let measured = "";
let drawn = 0; // when the curves were last asked for
let waiting = null;
let drawing = false;

function replace(part, html) {
  if (shown.get(part) === html) return;
  const first = !shown.has(part);
  shown.set(part, html);
  const place = document.querySelector(`[data-part="${part}"]`);
  if (!place || (part === "log" && !first && !document.getSelection().isCollapsed && place.contains(document.getSelection().anchorNode))) return;
  const focused = place.contains(document.activeElement) ? document.activeElement.id || place.querySelector("pre") && "log" : null;
  const log = place.querySelector("pre.log");
  const atEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  const top = log?.scrollTop ?? 0;
  place.innerHTML = html;
  const after = place.querySelector("pre.log");
  if (after) after.scrollTop = atEnd ? after.scrollHeight : top;
  if (focused === null) return;
  const again = focused === "log" ? after : document.getElementById(focused);
  (again ?? place).focus({ preventScroll: true });
}

function take(news) {
  for (const [part, html] of Object.entries(news.parts)) replace(part, html);
  const announce = document.getElementById("announce");
  const text = `${news.standing}. ${news.sentence}`;
  if (announce.dataset.standing !== news.standing) announce.textContent = text;
  announce.dataset.standing = news.standing;
  document.querySelector("[data-cut]").hidden = true;
  if (news.measured !== measured) {
    measured = news.measured;
    draw();
  }
}

function draw() {
  if (waiting) return;
  waiting = setTimeout(async () => {
    drawn = Date.now();
    try {
      if (!drawing) await fetchCurves();
    } finally {
      waiting = null;
    }
  }, Math.max(0, drawn + DRAW_EVERY - Date.now()));
}

async function fetchCurves() {
  drawing = true;
  const asked = measured;
  try {
    const answer = await fetch(curves.dataset.curves, { headers: { "HX-Request": "true" } });
    const html = await answer.text();
    const inside = curves.querySelector("[data-curves-inside]");
    const focused = inside.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    if (answer.ok || answer.status === 503) inside.innerHTML = html;
    if (focused) inside.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  } catch {
    // The server is away; the stream says so, and the next news draws again.
  } finally {
    drawing = false;
  }
  if (asked !== measured) setTimeout(draw, 0);
}

function listen() {
  const source = new EventSource(live.dataset.events);
  source.addEventListener("state", (event) => take(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    draw();
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, LOOK_EVERY);
    document.querySelector("[data-cut]").hidden = false;
  });
}

function look() {
  const timer = setInterval(async () => {
    try {
      const answer = await fetch(live.dataset.look);
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      take(news);
      if (!news.open) clearInterval(timer);
    } catch {
      document.querySelector("[data-cut]").hidden = false;
    }
  }, LOOK_EVERY);
}

curves.addEventListener("click", (event) => {
  const chip = event.target.closest("a[data-axis]");
  if (!chip || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = new URL(location.href);
  address.searchParams.set("x", chip.dataset.axis);
  address.searchParams.delete("curves");
  address.hash = "";
  history.replaceState(null, "", address);
  curves.dataset.curves = `${curves.dataset.curves.split("?")[0]}?x=${chip.dataset.axis}`;
  fetchCurves();
});

const log = document.querySelector("pre.log");
if (log) log.scrollTop = log.scrollHeight;
if (!curves.querySelector(".chart")) draw();
if (live.dataset.events) "EventSource" in window ? listen() : look();
