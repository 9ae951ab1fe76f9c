// Keeps the page up to date: takes over from the page itself, asked for anew, whatever has changed, and
// draws the plot. Nothing is put into words here, and no text is ever parsed as markup of its own.
"use strict";

const LOOK = 1000, DRAW = 2000, HIDDEN = 15000;
const LIVE = ["about", "headline", "clock", "guard", "figures", "change", "turns", "history", "sources"];
const byId = (id) => document.getElementById(id);
const plot = { chart: null, marks: [], shown: -1, range: 900, data: null };

// --- the words ---

async function fetched(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!answer.ok && answer.status !== 503) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

async function look() {
  try {
    const fresh = new DOMParser().parseFromString(await (await fetched("./")).text(), "text/html");
    if (!byId("state").isEqualNode(fresh.getElementById("state"))) {
      byId("state").className = fresh.getElementById("state").className;
    }
    // What was not there at the first look, or is no longer, brings another page.
    if (LIVE.some((id) => !byId(id) !== !fresh.getElementById(id))) return location.reload();
    for (const id of LIVE) {
      const [here, there] = [byId(id), fresh.getElementById(id)];
      if (here && here.innerHTML !== there.innerHTML) here.replaceChildren(...there.childNodes);
    }
    document.title = fresh.title;
    connected(true);
  } catch {
    connected(false);
  }
  setTimeout(look, document.hidden ? HIDDEN : LOOK);
}

function connected(yes) {
  const said = yes ? "" : "The agent does not answer. What is shown is old.";
  if (byId("connection").textContent !== said) byId("connection").textContent = said;
  document.body.classList.toggle("lost", !yes);
}

// --- the plot ---

const SERIES = [
  { key: "rate", label: "records/s", scale: "rate", width: 1, fill: true },
  { key: "segments", label: "segments", width: 10 },
  { key: "task_managers", label: "TaskManagers", width: 5 },
  { key: "wanted", label: "wanted", width: 2, dash: [2, 4] },
  { key: "parallelism", label: "parallelism", width: 1.5, dash: [9, 5] },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const clock = (at) => new Date(at * 1000).toISOString().slice(11, 19);

// The fine samples where there are any, and the coarse ones that had ended before: a sample is what was last
// seen in its interval.
function stitched(tracks) {
  const fineFrom = tracks[0].segments.length ? tracks[0].from : Infinity;
  const times = [], columns = SERIES.map(() => []);
  for (const track of [...tracks].reverse()) {
    const until = track === tracks[0] ? Infinity : fineFrom;
    for (let i = 0; i < track.segments.length; i++) {
      const at = track.from + i * track.every;
      if (at + track.every > until) break;
      times.push(at);
      SERIES.forEach((series, n) => columns[n].push(track[series.key][i]));
    }
  }
  return [times, ...columns];
}

// Without a rate there is neither its line nor its axis.
const drawn = (rates) => (rates ? SERIES : SERIES.slice(1));
const columns = (rates) => (rates ? plot.data : [plot.data[0], ...plot.data.slice(2)]);

function options(width, rates) {
  const line = colour("line"), ink = colour("soft");
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, font: "12px system-ui, sans-serif" };
  const series = drawn(rates).map(({ key, label, scale = "y", width, dash, fill }) => ({
    label, scale, width, dash,
    stroke: colour(key),
    fill: fill ? colour("rate-fill") : undefined,
    paths: scale === "y" ? uPlot.paths.stepped({ align: 1 }) : undefined,
    points: { show: false },
    value: (_, value) => (value === null || value === undefined ? "–" : value.toLocaleString("en")),
  }));
  return {
    width, height: Math.max(240, Math.min(340, width / 2.6)),
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => [0, Math.max(4, Math.ceil((high || 0) * 1.15))] },
      rate: { range: (_, low, high) => [0, Math.max(10, (high || 0) * 1.3)] },
    },
    axes: [
      { ...axis, values: (_, splits, n, space, step) => splits.map((at) => clock(at).slice(0, step < 60 ? 8 : 5)) },
      { ...axis, label: width > 560 ? "segments, TaskManagers, parallelism" : undefined, labelFont: "12px system-ui, sans-serif", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], size: 44 },
      ...(rates ? [{ ...axis, side: 1, scale: "rate", label: width > 560 ? "records/s" : undefined, labelFont: "12px system-ui, sans-serif", grid: { show: false }, size: 56,
        values: (_, values) => values.map((value) => (value >= 10000 ? `${value / 1000}k` : value)) }] : []),
    ],
    series: [{ label: "at (UTC)", value: (_, at) => (at ? clock(at) : "–") }, ...series],
    legend: { markers: { width: 3, fill: (_, n) => (n ? colour(drawn(rates)[n - 1].key) : null) } },
    padding: [14, rates ? 4 : 24, 0, 4],
    cursor: { drag: { setScale: false, x: false, y: false } },
    hooks: { draw: [drawMarks], setCursor: [pointAt] },
  };
}

// A tick for each decision at the top of the plot; those that began or ended a change go all the way down.
function drawMarks(chart) {
  const { ctx, bbox } = chart, [low, high] = [chart.scales.x.min, chart.scales.x.max], unit = devicePixelRatio;
  ctx.save();
  // What began is drawn over what ended in the same moment, and both over holds.
  const order = ["hold", "ended", "abandon", "retarget", "start"];
  const inOrder = plot.marks.map((mark, n) => [mark, n]).sort(([a], [b]) => order.indexOf(a.kind) - order.indexOf(b.kind));
  inOrder.forEach(([mark, n]) => {
    if (mark.at < low || mark.at > high) return;
    const x = Math.round(chart.valToPos(mark.at, "x", true)), hold = mark.kind === "hold", size = (n === plot.shown ? 7 : 5) * unit;
    ctx.strokeStyle = ctx.fillStyle = colour(mark.attention);
    ctx.lineWidth = (n === plot.shown ? 2 : 1) * unit;
    ctx.setLineDash(mark.kind === "ended" ? [3 * unit, 3 * unit] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, hold && n !== plot.shown ? bbox.top + 10 * unit : bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    if (mark.kind === "ended") ctx.arc(x, bbox.top, size, 0, 2 * Math.PI);
    else if (hold) ctx.rect(x - size * 0.7, bbox.top - size * 0.7, size * 1.4, size * 1.4);
    else {
      const tip = mark.reason === "down" ? 1 : -1;
      ctx.moveTo(x, bbox.top + tip * size * 1.2);
      ctx.lineTo(x - size, bbox.top - tip * size * 0.8);
      ctx.lineTo(x + size, bbox.top - tip * size * 0.8);
    }
    ctx.fill();
  });
  ctx.restore();
}

function tell(n) {
  if (n < 0 || n >= plot.marks.length || n === plot.shown) return;
  plot.shown = n;
  const mark = plot.marks[n];
  byId("mark").textContent = `${clock(mark.at)} ${mark.text}`;
  if (plot.chart) plot.chart.redraw(false);
}

function pointAt(chart) {
  const { left } = chart.cursor;
  if (left === undefined || left < 0) return;
  let nearest = -1, least = 9;
  plot.marks.forEach((mark, n) => {
    const away = Math.abs(chart.valToPos(mark.at, "x") - left);
    if (away < least) [nearest, least] = [n, away];
  });
  tell(nearest);
}

function step(by) {
  const last = plot.marks.length - 1;
  if (last < 0) return;
  tell(plot.shown < 0 ? last : Math.min(last, Math.max(0, plot.shown + by)));
}

function draw() {
  if (!plot.data || !byId("plot")) return;
  const width = byId("plot").clientWidth, now = Date.now() / 1000;
  if (!plot.chart) {
    byId("plot").replaceChildren();
    plot.rates = plot.data[1].some((rate) => rate !== null);
    plot.chart = new uPlot(options(width, plot.rates), columns(plot.rates), byId("plot"));
  } else {
    plot.chart.setData(columns(plot.rates), false);
  }
  // An agent that is young has little to show: then the plot begins with it.
  const newest = plot.data[0].at(-1) ?? now, oldest = plot.data[0][0] ?? now;
  const span = Math.min(plot.range, Math.max(60, (newest - oldest) * 1.05));
  plot.chart.setScale("x", { min: newest - span, max: newest + span * 0.015 });
}

function drawAnew() {
  if (plot.chart) plot.chart.destroy();
  plot.chart = null;
  draw();
}

async function samples() {
  try {
    const told = await (await fetched("plot.json")).json();
    const known = plot.marks[plot.shown];
    plot.marks = told.marks;
    plot.shown = known ? plot.marks.findIndex((mark) => mark.at === known.at && mark.text === known.text) : -1;
    plot.data = stitched(told.tracks);
    if (plot.chart && plot.rates !== plot.data[1].some((rate) => rate !== null)) drawAnew();
    else draw();
  } catch {
    // The words say that the agent does not answer.
  }
  setTimeout(samples, document.hidden ? HIDDEN : DRAW);
}

function choose(range) {
  plot.range = range;
  for (const button of document.querySelectorAll("#ranges button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.range) === range));
  }
  draw();
}

if (byId("plot")) {
  byId("ranges").hidden = byId("marks").hidden = false;
  byId("ranges").addEventListener("click", (event) => event.target.dataset.range && choose(Number(event.target.dataset.range)));
  byId("earlier").addEventListener("click", () => step(-1));
  byId("later").addEventListener("click", () => step(1));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  let resized;
  new ResizeObserver(() => { clearTimeout(resized); resized = setTimeout(drawAnew, 150); }).observe(byId("plotted"));
  samples();
}
setTimeout(look, LOOK);
