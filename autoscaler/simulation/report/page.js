"use strict";
// plotly.js 4 would offer to send a plot to its makers' server: a site's load stays with the site.
const config = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};
const read = (name) => JSON.parse(document.getElementById(name).textContent);
for (const plot of read("plots")) Plotly.newPlot(plot.name, plot.data, plot.layout, config);

const moves = read("moves");
// More rows are slow to lay out, more circles slow to draw.
const ROWS = 100;
const CIRCLES = 500;
const time = (run, place) =>
  new Date((moves.begin_s + run.at_s[place]) * 1000).toISOString().slice(0, 19).replace("T", " ");
// A transfer that changes no workers put memory or CPU right, or was to grow and got too little.
function workersOf(run, place) {
  const [from, to] = [run.workers_from[place], run.workers_to[place]];
  if (from !== to) return `${from} to ${to}`;
  return `${from}, ${moves.reasons[run.reason[place]].startsWith("put right") ? "put right" : "tried"}`;
}
const told = (run, place) => [
  time(run, place),
  moves.hosts[run.host[place]],
  workersOf(run, place),
  run.moved_mib[place],
  run.swapped_mib[place],
  moves.reasons[run.reason[place]],
];

// Plotly takes some HTML in texts for its own.
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const plotlyText = (text) => text.replace(/[&<>]/g, (sign) => ENTITIES[sign]);
const wrapped = (text) => text.replace(/(.{1,80})(\s+|$)/g, "$1\n").trim().split("\n");
function hover(run, place) {
  const [, host, workers, moved, swapped, reason] = told(run, place);
  const lines = [
    `${run.policy}, ${host}: workers ${workers}`,
    `${moved} MiB moved, ${swapped} MiB into swap`,
    ...wrapped(reason),
  ];
  return lines.map(plotlyText).join("<br>");
}

// What plotly says of a time, such as 2026-03-02 08:00 or 2026-03-02, as the moves count it.
const seconds = (text) => Date.parse(text.replace(" ", "T") + (text.includes(":") ? "Z" : "")) / 1000 - moves.begin_s;

// Circles for the moves of the time that is looked at, evenly chosen where they are too many.
function circles(run, from_s, to_s) {
  const inside = [...run.at_s.keys()].filter((place) => from_s <= run.at_s[place] && run.at_s[place] <= to_s);
  const step = Math.ceil(inside.length / CIRCLES) || 1;
  return inside.filter((_, count) => count % step === 0);
}
const workers = document.getElementById("workers");
if (workers) {
  const runs = new Map(moves.runs.map((run) => [run.policy, run]));
  const traces = [...workers.data.keys()].filter((place) => workers.data[place].mode === "markers");
  const draw = () => {
    const drawn = { x: [], y: [], text: [] };
    for (const trace of traces) {
      const run = runs.get(workers.data[trace].legendgroup);
      const places = circles(run, ...workers.layout.xaxis.range.map(seconds));
      drawn.x.push(places.map((place) => time(run, place)));
      drawn.y.push(places.map((place) => run.supply[place]));
      drawn.text.push(places.map((place) => hover(run, place)));
    }
    Plotly.restyle(workers, drawn, traces);
  };
  draw();
  workers.on("plotly_relayout", draw);
}

function list(details, run) {
  const [body] = details.querySelector("table").tBodies;
  const words = details.querySelector("input");
  const [earlier, later] = details.querySelectorAll("button");
  let first = 0;
  const row = (place) => {
    const row = document.createElement("tr");
    for (const value of told(run, place)) {
      const cell = row.insertCell();
      cell.textContent = value;
      if (typeof value === "number") cell.className = "number";
    }
    return row;
  };
  const show = () => {
    const wanted = words.value.toLowerCase();
    const found = [...run.at_s.keys()].filter((place) => told(run, place).join(" ").toLowerCase().includes(wanted));
    const end = Math.min(first + ROWS, found.length);
    body.replaceChildren(...found.slice(first, end).map(row));
    details.querySelector("output").textContent = found.length ? `${first + 1} to ${end} of ${found.length}` : "none";
    earlier.disabled = first === 0;
    later.disabled = end === found.length;
  };
  const turn = (to) => {
    first = to;
    show();
  };
  words.addEventListener("input", () => turn(0));
  earlier.addEventListener("click", () => turn(first - ROWS));
  later.addEventListener("click", () => turn(first + ROWS));
  show();
}
document.querySelectorAll("details.moves").forEach((details, place) => {
  if (details.querySelector("table")) {
    details.addEventListener("toggle", () => list(details, moves.runs[place]), { once: true });
  }
});

// A click on a heading sorts by it, another one the other way round; what is missing stays last.
for (const heading of document.querySelectorAll("table.sortable th")) {
  heading.querySelector("button").addEventListener("click", () => {
    const body = heading.closest("table").tBodies[0];
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const value = (row) => row.cells[heading.cellIndex].dataset.value;
    const order = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (isNaN(a) || isNaN(b) ? (a < b ? -1 : a > b ? 1 : 0) : a - b);
    };
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    body.append(...[...body.rows].sort(order));
  });
}
