// What all sections draw with. Text only ever becomes text: nothing that a server says is read as HTML.

export const at = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...content.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== ""));
  return made;
}

// Brings a place to what it should hold, node by node: what has the focus, is marked or was opened stays as it is.
export function draw(place, ...content) {
  const fresh = el("div", {}, ...content);
  morph(place, fresh);
}

function morph(place, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((next, n) => {
    const key = next.dataset?.key;
    let now = place.childNodes[n];
    if (key && now?.dataset?.key !== key) {
      const known = [...place.children].find((c) => c.dataset.key === key);
      // One that was somewhere else comes here.
      if (known) place.insertBefore(known, now ?? null);
      else if (now) place.insertBefore(next, now);
      now = place.childNodes[n];
      if (now === next) return;
    }
    if (!now) place.append(next);
    else if (now.nodeName !== next.nodeName) now.replaceWith(next);
    else if (now.nodeType === Node.TEXT_NODE) {
      if (now.data !== next.data) now.data = next.data;
    } else {
      same(now, next);
      morph(now, next);
    }
  });
  while (place.childNodes.length > wanted.length) place.lastChild.remove();
}

function same(now, next) {
  for (const { name } of [...now.attributes]) {
    // Whether details are open is the reader's.
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name !== "open" && now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
}

// Columns: "name", "#number", "*name of the row", "!buttons" or "~long text". A row: {key, cells, deep}.
export function table(columns, rows, empty) {
  if (rows.length === 0) return el("p", { class: "empty" }, empty);
  const kinds = { "#": "n", "*": "name", "!": "act", "~": "wide" };
  const kind = (column) => kinds[column[0]];
  const name = (column) => (kind(column) ? column.slice(1) : column);
  const head = columns.map((c) => el("th", { scope: "col", class: kind(c) === "n" ? "n" : null }, name(c)));
  const lines = rows.map(({ key, cells, deep }) => el("tr", { "data-key": key }, cells.map((cell, i) => {
    const depth = deep !== undefined && i === 0 ? `deep d${Math.min(deep, 5)}` : kind(columns[i]);
    return el("td", { "data-name": name(columns[i]), class: depth }, cell);
  })));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, lines));
}

export const count = (n) => (n === undefined || n === null ? "–" : Number(n).toLocaleString("en"));

export function rate(n) {
  if (n === undefined || n === null) return "–";
  return n >= 100 ? count(Math.round(n)) : n === 0 ? "0" : n.toFixed(1);
}

export function seconds(s) {
  if (s === undefined || s === null) return "–";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

export function bytes(n) {
  if (n === undefined || n === null) return "–";
  if (n < 1024) return `${n} B`;
  return n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;
}

// A state is told by a mark, a word and a colour.
const STATES = {
  running: ["good", "●"], ready: ["good", "●"], done: ["good", "✓"], paused: ["rest", "‖"], ended: ["rest", "○"],
  halted: ["bad", "■"], gone: ["bad", "✕"], failed: ["bad", "✕"], denied: ["bad", "✕"], refused: ["busy", "▲"],
};

export function mark(place, name, words) {
  const [colour, sign] = STATES[name] ?? ["busy", "▲"];
  place.className = `state ${colour}`;
  place.dataset.mark = sign;
  if (place.textContent !== (words ?? name)) place.textContent = words ?? name;
}

export function state(name, why) {
  const made = el("span");
  mark(made, name);
  return under(made, why);
}

// Something with a few words under it that matter less.
export const under = (what, words) => el("span", {}, what, words ? el("span", { class: "why" }, words) : null);

// Something with a few words that matter less, in one line where there is room.
export const beside = (what, words) => el("span", {}, what, words ? el("span", { class: "beside" }, words) : null);

export const narrow = () => matchMedia("(max-width: 46rem)").matches;

// The last values as a line; one of them alone is no line.
export function spark(values) {
  const most = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${(i * 88) / Math.max(values.length - 1, 1)},${(16 - (v / most) * 14).toFixed(1)}`);
  const svg = document.createElementNS(document.querySelector("svg").namespaceURI, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 88 18");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

export const sum = (all, of) => all.reduce((n, one) => n + (of(one) ?? 0), 0);
