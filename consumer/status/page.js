const EVERY_MS = 2000, PATIENCE_MS = 5000;
const LEVELS = {ok: "OK", warning: "Attention", error: "Trouble"};
const PHASES = ["poll", "decode", "fold", "write", "commit"];

function summary(status) {
  const [first, ...rest] = status.notices;
  byId("summary").dataset.level = first.level;
  say("level", LEVELS[first.level]);
  say("headline", first.text);
  byId("fix").hidden = !first.fix && !first.command;
  say("fix-text", first.fix ? "What to do: " + first.fix : "See");
  byId("fix-command").hidden = !first.command;
  say("fix-command", first.command || "");
  byId("further").hidden = !rest.length;
  draw("further", rest, () => rest.map(notice => make("li", {"data-level": notice.level},
    make("span", {class: "level"}, LEVELS[notice.level] + ": "), notice.text,
    notice.fix ? ". What to do: " + notice.fix + " " : " ",
    ...(notice.command ? [make("code", {}, notice.command)] : []))));
  announce(first.level + first.kind, `${LEVELS[first.level]}: ${first.text}`);
  mark(first.level, first.text);
}
// Said once for each change of state; the figures in it would be said every two seconds.
let announced = null;
function announce(state, text) {
  if (announced === state) return;
  announced = state;
  say("announcement", text);
}
function mark(level, text) {
  document.title = `${LEVELS[level] || "?"}: ${text} – reelsync`;
  const colour = {ok: "2da44e", warning: "d4a72c", error: "cf222e"}[level] || "6e7781";
  const href = `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='4' fill='%23${colour}'/></svg>`;
  if (byId("icon").getAttribute("href") !== href) byId("icon").setAttribute("href", href);
}

function tiles(status) {
  draw("tiles", status.tiles, () => status.tiles.map(({name, figure, note, level}) => make("div", {"data-level": level},
    make("dt", {}, name, ...(level && level !== "ok" ? [make("span", {class: "level"}, " " + LEVELS[level])] : [])),
    make("dd", {class: "figure"}, figure), make("dd", {}, note))));
}

function workers({workers: members}) {
  byId("workers-section").hidden = members.length < 2;
  table("workers", [["Worker"], ["Process", "number"], ["Partitions", "number"], ["Throughput", "number"], ["Lag", "number"],
    ["Event age", "number"], ["Restarts", "number"], ["State", "wide"]],
    members.map(worker => {
      const row = [String(worker.number), worker.pid === null ? "–" : String(worker.pid), number(worker.partitions),
        number(worker.records_per_second, worker.records_per_second < 10 ? 1 : 0) + "/s", number(worker.lag),
        duration(worker.age_seconds), number(worker.restarts), worker.reasons.join("; ") || "consumes"];
      const state = make("span", {class: worker.live ? null : "failed"}, row[7]);
      return {key: row, cells: [...row.slice(0, 7), state]};
    }));
}

// One line for each topic. What is halted is always listed below it; all of its partitions, if that was asked for.
const opened = new Set();
let shown = null;
function partitions(status) {
  const several = status.workers.length > 1, single = opened.size > 0 || status.partitions.some(partition => partition.halted || partition.held_back);
  const cells = (name, position, end, lag, worker, state) => [name, ...(single ? [position, end] : []), lag, ...(several ? [worker] : []), state];
  const columns = cells(["Partition"], ["Position", "number"], ["End", "number"], ["Lag", "number"], ["Worker", "number"], ["State", "wide"]);
  table("partitions", columns, status.topics.flatMap(topic => {
    const those = status.partitions.filter(partition => partition.topic === topic.topic), open = opened.has(topic.topic);
    const readers = [...new Set(those.map(partition => partition.worker))].filter(worker => worker !== null).sort().join(", ");
    const states = Object.entries(topic.states), told = states.length > 1 ? states.map(([state, count]) => `${count} ${state}`).join(", ") : states[0][0];
    const count = `${number(topic.partitions)} partition${topic.partitions === 1 ? "" : "s"}`;
    const line = cells(topic.topic, "", "", number(topic.lag), readers, told);
    return [{key: [line, open, count], cells: [toggle(topic.topic, open, count), ...line.slice(1, -1), state(told)]},
      ...those.filter(partition => open || partition.halted || partition.held_back).map(partition => {
        const {halted, held_back, worker} = partition;
        const why = halted ? `${partition.state} (${halted.reason}): ${halted.why}` : held_back ? `held back: ${held_back.why}` : partition.state;
        const row = cells(`${topic.topic}/${partition.partition}`, number(partition.position), number(partition.end), number(partition.lag),
          worker === null ? "–" : String(worker), why);
        return {key: row, cells: [make("span", {class: "one"}, row[0]), ...row.slice(1, -1), state(why)]};
      })];
  }));
  const others = status.partitions.some(partition => !partition.assigned);
  say("partitions-note", !status.topics.length ? "None yet." : others
    ? "Who owns the partitions that are not read here is known to the other members of the group only; or nobody owns them." : "");
  shown = status;
}
function toggle(topic, open, count) {
  const button = make("button", {type: "button", id: "topic-" + topic, "aria-expanded": String(open)}, topic);
  button.addEventListener("click", () => {
    if (!opened.delete(topic)) opened.add(topic);
    partitions(shown);
  });
  return make("span", {class: "topic"}, button, make("span", {class: "quiet"}, " " + count));
}
function state(text) {
  const kind = /halted/.test(text) ? "halted" : /waiting|held back/.test(text) ? "waiting" : "fine";
  return make("span", {class: kind}, text);
}

function share(part) {
  return make("svg", {class: "share", "aria-hidden": "true", viewBox: "0 0 100 10", preserveAspectRatio: "none"},
    make("rect", {class: "whole", width: 100, height: 10}), make("rect", {class: "part", width: (100 * part).toFixed(1), height: 10}));
}
function phases(status) {
  const minute = status.phase_seconds, total = sum(Object.values(minute)), last = status.last_batch ? status.last_batch.seconds : {};
  const known = PHASES.map(phase => [phase, total ? (minute[phase] || 0) / total : 0, minute[phase] || 0, last[phase] ?? null]);
  draw("phases", known, () => known.map(([phase, part, spent, latest]) => make("div", {},
    make("dt", {}, phase), make("dd", {class: "figure"}, total ? `${number(100 * part)} %` : "–"), make("dd", {}, share(part)),
    make("dd", {}, `${duration(spent)}; last batch ${duration(latest)}`))));
}

const parkedAt = new Map();
function letters(status) {
  for (const letter of status.latest_dead_letters)
    if (!parkedAt.has(letter.show)) parkedAt.set(letter.show, clock(new Date(Date.now() - 1000 * letter.seconds_ago)));
  const counts = Object.entries(status.dead_letters).sort((a, b) => b[1] - a[1]);
  table("letters", [["Reason"], ["Parked", "number"], ["The latest", "tall"]], counts.map(([reason, count]) => {
    const few = status.latest_dead_letters.filter(letter => letter.reason === reason);
    return {key: [reason, count, few.map(letter => letter.show)], cells: [reason, number(count),
      make("ul", {class: "letters"}, ...few.map(letter => make("li", {},
        make("code", {}, letter.show), make("span", {class: "quiet"}, ` ${parkedAt.get(letter.show)}`))))]};
  }));
  byId("letters").hidden = !counts.length;
  say("letters-note", counts.length ? "Parked since this process started; what is in them is shown by the command only." : "None since this process started.");
  while (parkedAt.size > 500) parkedAt.delete(parkedAt.keys().next().value);
}

// The bound below which 95 % of the calls are; the bounds are coarse.
function within(counts, bounds, part) {
  const enough = part * sum(counts);
  let seen = 0;
  for (let n = 0; n < bounds.length; n += 1) if ((seen += counts[n]) >= enough) return "≤ " + duration(bounds[n]);
  return "> " + duration(bounds.at(-1));
}
function histogram(counts, bounds) {
  const top = Math.max(...counts), fullest = counts.indexOf(top);
  const text = fullest < bounds.length ? `most calls took up to ${duration(bounds[fullest])}` : `most calls took over ${duration(bounds.at(-1))}`;
  // Square roots, so that the rare slow call shows beside thousands of fast ones.
  const height = count => 20 * Math.sqrt(count / top);
  return make("svg", {class: "bars", role: "img", viewBox: `0 0 ${10 * counts.length} 22`, preserveAspectRatio: "none", "aria-label": text},
    make("rect", {class: "base", y: 21, width: 10 * counts.length, height: 1}),
    ...counts.map((count, n) => make("rect", {x: 10 * n + 1, width: 8, y: (21 - height(count)).toFixed(1), height: height(count).toFixed(1)})));
}
function statements(status) {
  const {bounds_seconds: bounds, queries} = status.statements;
  table("statements", [["Query"], ["Calls", "number"], ["Failed", "number"], ["Mean", "number"], ["95 %", "number"], ["Together", "number"], ["Distribution", "wide"]],
    queries.map(query => {
      const row = [query.query_name, number(query.calls), number(query.failed), duration(query.seconds / query.calls),
        within(query.counts, bounds, 0.95), duration(query.seconds)];
      const failed = make("span", {class: query.failed ? "failed" : null}, row[2]);
      return {key: [row, query.counts], cells: [...row.slice(0, 2), failed, ...row.slice(3), histogram(query.counts, bounds)]};
    }));
  say("statements-note", queries.length
    ? `Since the start. Distribution: calls within ${bounds.map(duration).join(", ")}, and slower, from left to right; heights are square roots.`
    : "None yet.");
}

function rest(status) {
  const {pool, counts} = status, retries = Object.entries(counts.retries);
  facts("pool", [["In use", `${pool.in_use} of ${pool.limit}`], ["Open", number(pool.open)],
    ["Kept open, at most", number(pool.size)], ["Beyond those", number(pool.overflow)], ["Found broken", number(pool.invalid)]]);
  facts("counts", [["Records", number(counts.records)], ["Assignments", number(counts.rebalances)], ["Fenced", number(counts.fenced)],
    ["Retries", retries.length ? retries.map(([reason, count]) => `${reason} ${number(count)}`).join(", ") : "0"],
    ["Kafka commits failed", number(counts.kafka_commit_failures)], ["Version conflicts", number(counts.version_conflicts)]]);
}

function show(status) {
  say("group", status.group);
  say("process", `version ${status.version}, up ${duration(Math.round(status.uptime_seconds))}`);
  for (const part of [summary, tiles, phases, charts, workers, partitions, letters, statements, rest]) part(status);
}

let lastAnswer = null, lostAt = null;
function connected() {
  lastAnswer = new Date();
  lostAt = null;
  byId("connection").className = "quiet";
  say("connection", `Live, updated ${clock(lastAnswer)}`);
  document.querySelector("main").classList.remove("stale");
}
function lost(why) {
  lostAt ??= new Date();
  const since = clock(lastAnswer || lostAt);
  byId("connection").className = "lost";
  say("connection", `Not connected since ${since}`);
  byId("summary").dataset.level = "error";
  say("level", "Trouble");
  say("headline", `Not connected since ${since}: the consumer ${why}`);
  byId("fix").hidden = false;
  say("fix-text", "What to do: see whether the process runs, and the last lines of its log. " +
    (lastAnswer ? `All below is as of ${since}.` : ""));
  byId("fix-command").hidden = true;
  byId("further").hidden = true;
  document.querySelector("main").classList.add("stale");
  announce("lost", `Not connected since ${since}`);
  mark("error", `not connected since ${since}`);
}

async function ask() {
  let status;
  try {
    const answer = await fetch("status.json", {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
    if (!answer.ok) return lost(`answers with an error (${answer.status})`);
    status = await answer.json();
  } catch (error) {
    return lost(error.name === "TimeoutError" ? `does not answer within ${PATIENCE_MS / 1000} s` : "does not answer");
  }
  connected();
  show(status);
}
async function live() {
  try { if (!document.hidden) await ask(); } finally { setTimeout(live, EVERY_MS); }
}
followPointer();
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
live();
