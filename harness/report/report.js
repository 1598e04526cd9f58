"use strict";
// Hover, zoom, sort and filter. Without it the page still shows everything but the time axis.
const all = (selector) => [...document.querySelectorAll(selector)];
const group = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });

// One layer is lit wherever it is.
let lit = null;
function light(layer) {
  if (layer === lit) return;
  all(".lit").forEach((element) => element.classList.remove("lit"));
  if (layer !== null) {
    all(`[data-layer="${layer}"]`).forEach((element) => element.classList.add("lit"));
  }
  lit = layer;
}

const tip = document.getElementById("tip");
function say(text, x, y) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
}
// Titles serve readers without scripts; here they become tips, which a touch shows too.
all("svg title").forEach((title) => {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
});
all(".point").forEach((point) => {
  point.dataset.tip = point.title;
  point.removeAttribute("title");
});
function hover(event) {
  const target = event.target.closest?.("[data-layer]") ?? null;
  light(target ? target.dataset.layer : null);
  say(target?.dataset.tip ?? "", event.clientX, event.clientY);
}
document.addEventListener("pointermove", hover);
document.addEventListener("pointerdown", hover);
document.addEventListener("pointerleave", () => { light(null); say(""); });

// The charts over time show the cycles from `first` to `last`.
const time = document.getElementById("time");
const charts = time.querySelector(".time");
const plots = [...charts.querySelectorAll(".plot")];
const total = Number(time.dataset.cycles);
const mhz = Number(time.dataset.mhz);
let first = 0;
let last = total;

function show(from, to) {
  const least = Math.min(total, 50);
  const length = Math.min(total, Math.max(least, to - from));
  first = Math.max(0, Math.min(from, total - length));
  last = first + length;
  for (const plot of plots) {
    const height = plot.viewBox.baseVal.height;
    plot.setAttribute("viewBox", `${first} 0 ${length} ${height}`);
  }
  axis(length);
  document.getElementById("window").textContent =
    `cycles ${group(first)} to ${group(last)}, ${Number((length / mhz / 1e3).toPrecision(4))} ms`;
}
function axis(length) {
  const box = document.getElementById("axis");
  const start = first / mhz / 1e3;
  const width = length / mhz / 1e3;
  const rough = width / Math.max(2, Math.floor(box.clientWidth / 110));
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((factor) => unit * factor >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  box.replaceChildren();
  for (let n = Math.ceil(start / step); n * step <= start + width * 0.97; n += 1) {
    const tick = document.createElement("span");
    tick.className = n * step - start < width * 0.02 ? "edge" : "";
    tick.style.left = `${(100 * (n * step - start)) / width}%`;
    tick.textContent = `${(n * step).toFixed(digits)} ms`;
    box.append(tick);
  }
}
time.querySelector(".zoom").addEventListener("click", (event) => {
  const length = last - first;
  switch (event.target.dataset.zoom) {
    case "whole": return show(0, total);
    case "in": return show(first + length / 4, last - length / 4);
    case "out": return show(first - length / 2, last + length / 2);
    case "left": return show(first - length / 2, last - length / 2);
    case "right": return show(first + length / 2, last + length / 2);
  }
});
// A drag with mouse or pen chooses what to see; fingers scroll the page.
const bar = document.createElement("div");
bar.className = "select";
let origin = null;
function where(event) {
  const box = plots[0].getBoundingClientRect();
  return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
}
charts.addEventListener("pointerdown", (event) => {
  if (event.pointerType === "touch" || event.button !== 0) return;
  origin = where(event);
  charts.setPointerCapture(event.pointerId);
});
charts.addEventListener("pointermove", (event) => {
  if (origin === null) return;
  const now = where(event);
  const left = plots[0].getBoundingClientRect().left - charts.getBoundingClientRect().left;
  bar.style.left = `${left + Math.min(origin, now) * plots[0].clientWidth}px`;
  bar.style.width = `${Math.abs(now - origin) * plots[0].clientWidth}px`;
  charts.append(bar);
});
function drop(event) {
  const now = where(event);
  if (event.type === "pointerup" && origin !== null && Math.abs(now - origin) > 0.005) {
    const length = last - first;
    show(first + Math.min(origin, now) * length, first + Math.max(origin, now) * length);
  }
  origin = null;
  bar.remove();
}
charts.addEventListener("pointerup", drop);
charts.addEventListener("pointercancel", drop);
charts.addEventListener("dblclick", () => show(0, total));
addEventListener("resize", () => axis(last - first));
show(0, total);

// The table of layers.
const table = document.getElementById("layers");
const body = table.tBodies[0];
const value = (row, column) => {
  const cell = row.cells[column];
  const known = cell.dataset.value ?? cell.textContent.trim();
  return known !== "" && !Number.isNaN(Number(known)) ? Number(known) : known;
};
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number"
    ? a - b
    : String(a).localeCompare(String(b), "en", { numeric: true });
table.tHead.addEventListener("click", (event) => {
  const heading = event.target.closest("th");
  if (!heading || !event.target.closest("button")) return;
  const column = heading.cellIndex;
  const numeric = heading.classList.contains("n") && column > 0;
  const before = heading.getAttribute("aria-sort");
  const descending = before ? before === "ascending" : numeric;
  all("#layers [aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...body.rows];
  rows.sort((a, b) => (descending ? -1 : 1) * compare(value(a, column), value(b, column)));
  body.append(...rows);
});
body.addEventListener("click", (event) => {
  const row = event.target.closest("button")?.closest("tr");
  if (!row) return;
  const slot = charts.querySelector(`.plot:not(.tall) [data-layer="${row.dataset.layer}"]`);
  const own = [...charts.querySelectorAll(`.slot[data-layer="${row.dataset.layer}"]`)];
  const boxes = (own.length ? own : [slot]).filter(Boolean);
  if (!boxes.length) return;
  const from = Math.min(...boxes.map((box) => box.x.baseVal.value));
  const to = Math.max(...boxes.map((box) => box.x.baseVal.value + box.width.baseVal.value));
  show(from - (to - from) / 2, to + (to - from) / 2);
  time.scrollIntoView({ behavior: "smooth" });
  light(row.dataset.layer);
});
function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const bound = document.getElementById("bound").value;
  let count = 0;
  let cycles = 0;
  for (const row of body.rows) {
    const name = row.querySelector("th").textContent.toLowerCase();
    row.hidden =
      !words.every((word) => name.includes(word)) || (bound !== "" && row.dataset.bound !== bound);
    if (!row.hidden) {
      count += 1;
      cycles += Number(row.dataset.cycles);
    }
  }
  document.getElementById("shown").textContent =
    `${count} of ${body.rows.length} layers, ${group(cycles)} cycles`;
}
document.getElementById("filter").addEventListener("input", filter);
document.getElementById("bound").addEventListener("change", filter);
document.getElementById("all").addEventListener("change", (event) =>
  table.classList.toggle("every", event.target.checked));
filter();
