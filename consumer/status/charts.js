// The charts of the last ten minutes. They share one time axis: what is pointed at in one chart is shown in all.
const STEPS = 120, SECONDS = [86400, 3600, 60, 1];
let plots = [], pointed = null, timeOf = () => null;

const perSecond = value => number(value, value < 10 ? 1 : 0) + "/s";

// The top of an axis: round, and so that its half is round, too.
function rounded(value, units) {
  const unit = units.find(unit => value >= unit) || 1, magnitude = 10 ** Math.floor(Math.log10(value / unit));
  return unit * magnitude * [1, 2, 4, 6, 8, 10].find(step => value / unit / magnitude <= step + 1e-9);
}
// A few values that are far above all others would flatten those: they are cut off, and counted.
function axisOf(values, units) {
  const known = values.filter(value => value > 0).sort((a, b) => a - b), most = known.at(-1) || 0;
  const usual = known[Math.floor(0.9 * (known.length - 1))] || 0, cut = known.length >= 10 && most > 4 * usual;
  const top = rounded((cut ? 1.25 * usual : most) || 1, units);
  return {top, most, above: known.filter(value => value > top).length};
}

// A stepped area: x is the step, 0 to 120; y is 0 to 100, downwards. Gaps where nothing is known.
function outline(values, top) {
  let edge = "", area = "", open = false;
  const y = value => (100 - 100 * Math.min(value, top) / top).toFixed(2);
  values.forEach((value, n) => {
    const x = STEPS - values.length + n;
    if (value === null) { if (open) area += "V100"; open = false; return; }
    edge += open ? `V${y(value)}H${x + 1}` : `M${x},${y(value)}H${x + 1}`;
    area += open ? `V${y(value)}H${x + 1}` : `M${x},100V${y(value)}H${x + 1}`;
    open = true;
  });
  return {edge, area: open ? area + "V100" : area};
}

// From which step to which a server was away, and where processes started.
function marksOf({away, starts}) {
  const outages = [], first = STEPS - away.length;
  for (const server of ["postgresql", "kafka"]) {
    away.forEach((servers, n) => {
      if (!servers.includes(server)) return;
      const last = outages.at(-1);
      if (last && last.server === server && last.end === first + n) last.end += 1;
      else outages.push({server, begin: first + n, end: first + n + 1});
    });
  }
  return {outages, starts: starts.flatMap((count, n) => count ? [{count, at: first + n}] : [])};
}

function chart(title, values, format, units, marks, alarming) {
  const {top, most, above} = axisOf(values, units), known = values.filter(value => value !== null);
  const text = known.length ? `now ${format(known.at(-1))}, most ${format(most)}` : "nothing yet";
  const {edge, area} = outline(values, top), reading = make("span", {class: "quiet"}, text);
  const cursor = make("rect", {class: "cursor", width: 1, height: 100, visibility: "hidden"});
  plots.push({title, values, format, text, reading, cursor});
  return make("figure", {class: alarming && known.some(value => value > 0) ? "alarming" : null},
    make("figcaption", {}, make("b", {}, title), reading),
    make("div", {class: "plotted"},
      make("div", {class: "scale", "aria-hidden": "true"}, ...[top, top / 2, 0].map(value => make("span", {}, format(value)))),
      make("svg", {class: "plot", role: "img", viewBox: "0 0 120 100", preserveAspectRatio: "none",
        "aria-label": `${title} over the last ten minutes: ${text}`},
        ...marks.outages.map(({begin, end}) => make("rect", {class: "outage", x: begin, width: end - begin, height: 100})),
        make("path", {class: "lines", d: "M0,0H120M0,50H120M0,100H120"}),
        make("path", {class: "area", d: area}), make("path", {class: "edge", d: edge}),
        ...values.flatMap((value, n) => value > top
          ? [make("rect", {class: "above", x: STEPS - values.length + n, width: 1, height: 8})] : []),
        ...marks.starts.map(({at}) => make("path", {class: "start", d: `M${at},0V100`})), cursor)),
    make("div", {class: "axis", "aria-hidden": "true"}, make("span", {}, "10 min ago"), make("span", {}, "5 min"), make("span", {}, "now")),
    ...(above ? [make("p", {class: "quiet note"}, `${above} ${above === 1 ? "value is" : "values are"} above this axis, up to ${format(most)}`)] : []));
}

function charts({history}) {
  // The last step is not over: a rate over it would always dip.
  const rate = values => [...values.slice(0, -1).map(value => value / history.step_seconds), null];
  const marks = marksOf(history), now = Date.now();
  timeOf = step => clock(new Date(now - 1000 * (history.last_step_seconds + history.step_seconds * (STEPS - 1 - step))));
  draw("charts", history, () => {
    plots = [];
    return [
      chart("Throughput (records)", rate(history.records), perSecond, [1], marks),
      chart("Event age (oldest)", history.age_seconds, duration, SECONDS, marks),
      chart("Lag (records to go)", history.lag, value => number(value, value < 1 ? 1 : 0), [1], marks),
      chart("Dead letters", rate(history.dead_letters), perSecond, [1], marks, true),
    ];
  });
  legend(marks);
  point(pointed);
}

function legend({outages, starts}) {
  const name = {postgresql: "PostgreSQL", kafka: "Kafka"};
  const items = [
    ...starts.map(({at, count}) => ["start", at, `${count === 1 ? "start" : count + " starts"} at ${timeOf(at)}`]),
    ...outages.map(({server, begin, end}) => ["outage", begin,
      `${name[server]} away ${end === STEPS ? "since " + timeOf(begin) : `from ${timeOf(begin)} to ${timeOf(end)}`}`]),
  ].sort((a, b) => b[1] - a[1]).slice(0, 6);
  draw("marks", items, () => items.map(([kind, , text]) => make("li", {}, make("svg", {class: "swatch", "aria-hidden": "true", viewBox: "0 0 10 10"},
    kind === "start" ? make("path", {class: "start", d: "M5,0V10"}) : make("rect", {class: "outage", width: 10, height: 10})), text)));
}

// Shows the values of one step in all charts, or, without a step, the latest and the highest.
function point(step) {
  pointed = step;
  for (const {values, format, text, reading, cursor} of plots) {
    const value = values[step - (STEPS - values.length)] ?? null;
    cursor.setAttribute("visibility", step === null ? "hidden" : "visible");
    cursor.setAttribute("x", step ?? 0);
    reading.textContent = step === null ? text : `${timeOf(step)}: ${value === null ? "nothing" : format(value)}`;
  }
}
function followPointer() {
  const area = byId("charts");
  area.addEventListener("pointermove", event => {
    const plot = event.target.closest(".plot");
    if (!plot) return point(null);
    const {left, width} = plot.getBoundingClientRect();
    point(Math.max(0, Math.min(STEPS - 1, Math.floor(STEPS * (event.clientX - left) / width))));
  });
  area.addEventListener("pointerleave", () => point(null));
  area.addEventListener("blur", () => point(null));
  area.addEventListener("keydown", event => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.preventDefault();
    point(Math.max(0, Math.min(STEPS - 1, (pointed ?? STEPS - 1) + by)));
    say("announcement", plots.map(({title, reading}) => `${title} ${reading.textContent}`).join("; "));
  });
}
