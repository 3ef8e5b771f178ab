"use strict";
const byId = id => document.getElementById(id);

// Everything that is shown goes through here, as text: nothing is ever parsed as HTML.
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children.flatMap(child => typeof child === "string" ? breakable(child) : [child]));
  return node;
}
// Names and commands may be broken between their words, and nowhere else.
function breakable(text) {
  const words = text.split(/(?<=\w[-_/])(?=\w)|(?<=\w[.:=])(?=[a-z])/i);
  return words.flatMap((word, n) => n ? [document.createElement("wbr"), word] : [word]);
}

// Only what changed is drawn anew, so that a selection survives. What has the focus keeps it.
const drawn = new Map();
function draw(id, facts, children) {
  const key = JSON.stringify(facts), focused = document.activeElement && document.activeElement.id;
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  byId(id).replaceChildren(...children());
  if (focused && document.activeElement.id !== focused && byId(focused)) byId(focused).focus();
}
function say(id, text) { if (byId(id).textContent !== text) byId(id).replaceChildren(...breakable(text)); }

const number = (value, digits = 0) => value === null ? "not known" :
  value.toLocaleString("en", {maximumFractionDigits: digits, minimumFractionDigits: 0});
const clock = at => at.toLocaleTimeString([], {hour12: false});
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return number(seconds * 1e6) + " µs";
  if (seconds < 1) return number(seconds * 1e3, seconds < 0.01 ? 1 : 0) + " ms";
  if (seconds < 120) return number(seconds, seconds < 10 ? 1 : 0) + " s";
  if (seconds < 7200) return number(seconds / 60) + " min";
  if (seconds < 172800) return number(seconds / 3600) + " h";
  return number(seconds / 86400) + " days";
}
const sum = values => values.reduce((total, value) => total + value, 0);

// columns: [heading, class]; rows: lists of cells, the first of which heads its row.
function table(id, columns, rows) {
  const kinds = columns.map(([, kind]) => kind || null);
  draw(id, [columns, rows.map(row => row.key || row)], () => [
    make("thead", {role: "rowgroup"}, make("tr", {role: "row"}, ...columns.map(([heading], n) =>
      make("th", {scope: "col", role: "columnheader", class: kinds[n] === "number" ? "number" : null}, heading)))),
    make("tbody", {role: "rowgroup"}, ...rows.map(row => make("tr", {role: "row"}, ...(row.cells || row).map((cell, n) =>
      n ? make("td", {role: "cell", class: kinds[n], "data-label": columns[n][0]}, cell)
        : make("th", {scope: "row", role: "rowheader"}, cell))))),
  ]);
}
function facts(id, pairs) {
  draw(id, pairs, () => pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}
