// The operator's page: asks the admin address every two seconds, and says so when it does not answer.
"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
// Past this a picture is old, whatever its numbers say.
const OLD_MS = 3 * EVERY_MS;

const at = (id) => document.getElementById(id);
let before = new Map();
let answered = 0;
let asking = false;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Cells are texts, elements, or {n: number as text}.
function table(names, rows, empty) {
  if (rows.length === 0) return element("p", empty, { class: "empty" });
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const name of names) {
    const number = name.startsWith("#");
    head.append(element("th", number ? name.slice(1) : name, { scope: "col", class: number ? "n" : "" }));
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((cell, i) => {
      const name = names[i].replace("#", "");
      const made = element("td", undefined, { "data-name": name, class: names[i].startsWith("#") ? "n" : "" });
      if (cell instanceof Node) made.append(cell);
      else if (cell !== undefined && cell !== null) made.textContent = cell;
      line.append(made);
    });
  }
  return made;
}

function show(id, content) {
  const place = at(id);
  // What has the focus, or is being marked, stays.
  if (place.contains(document.activeElement) && document.activeElement.tagName === "BUTTON") return;
  place.replaceChildren(...[content].flat());
}

const count = (n) => (n === undefined || n === null ? "–" : Number(n).toLocaleString("en"));
const seconds = (s) => {
  if (s === undefined || s === null) return "–";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
};
const mib = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;

function state(name, why) {
  const kinds = { running: "good", halted: "bad", ended: "soft" };
  const made = element("span", undefined, {});
  made.append(element("span", name, { class: `state ${kinds[name] ?? "busy"}` }));
  if (why) made.append(element("span", why, { class: "why" }));
  return made;
}

// Per second since the last answer; counters only grow, but a process that was started anew begins again.
function rate(key, value, now) {
  const last = before.get(key);
  before.set(key, { value, now });
  if (!last || value < last.value || now <= last.now) return "–";
  const n = ((value - last.value) * 1000) / (now - last.now);
  return n >= 100 ? count(Math.round(n)) : n.toFixed(1);
}

function branches(pipelines, now) {
  const all = pipelines.flatMap((p) => p.branches.map((b) => ({ ...b, pipeline: p.pipeline, topic: p.topic })));
  const rows = all.map((b) => {
    const is = state(b.state, b.reason);
    if (b.state === "halted") is.append(act("resume", `pipelines/${b.pipeline}/${b.sink}/resume`, `Resume ${b.group}`));
    const resolved = b.records.applied + b.records.superseded + b.records.filtered + b.records.dead_lettered;
    return [b.group, is, rate(`branch ${b.group}`, resolved, now), count(b.lag), seconds(b.last_freshness_seconds),
      seconds(b.freshness_seconds.p99), `${mib(b.buffer.bytes)} of ${mib(b.buffer.limit)}`, count(b.records.dead_lettered),
      count(b.retried)];
  });
  show("branches", table(["branch", "state", "#records/s", "#lag", "#last freshness", "#p99", "#in hand", "#dead letters", "#retries"],
    rows, "No pipelines run in this process."));
  const parts = all.flatMap((b) => b.partitions.map((p) =>
    [b.group, b.topic, p.partition, count(p.end), count(p.watermark), count(p.committed), count(p.lag)]));
  show("partitions", table(["branch", "topic", "#partition", "#end", "#watermark", "#committed", "#lag"], parts,
    "No partition is assigned to this process."));
  const reasons = all.flatMap((b) => Object.entries(b.reasons).map(([reason, n]) => [b.group, reason, count(n)]));
  show("reasons", table(["branch", "reason", "#records"], reasons, "None since the process started."));
}

function live(view, now) {
  at("live").hidden = !view;
  if (!view) return;
  const words = [`${count(view.open_rooms)} rooms are open`, view.connected ? "connected to NATS" : "not connected to NATS",
    view.overloaded ? "overloaded: likes are shed" : "at ease", `${count(view.comments_waiting)} comments wait`];
  if (view.users) words.push(`${count(view.users.accepted)} users let in, ${count(view.users.refused)} refused`);
  if (view.waiting) words.push(`waits: ${view.waiting}`);
  at("live-now").textContent = words.join(" · ");
  at("live-now").className = `state ${view.connected && !view.overloaded && !view.waiting ? "good" : "busy"}`;
  const rows = view.classes.map((c) => [c.class, rate(`live ${c.class}`, c.received, now), count(c.received), count(c.accepted),
    count(c.refused), count(c.shed), count(c.duplicate), count(c.dead_lettered), count(c.redelivered)]);
  show("classes", table(["class", "#received/s", "#received", "#accepted", "#refused", "#shed", "#duplicates", "#dead letters",
    "#redelivered"], rows, ""));
  const refused = Object.entries(view.refusals).filter(([, n]) => n > 0).map(([reason, n]) => [reason, count(n)]);
  show("refusals", refused.length ? table(["refused because", "#messages"], refused, "") : []);
}

function actors(tree) {
  const rows = [];
  const walk = (node, depth) => {
    rows.push({ node, depth });
    (node.children ?? []).forEach((child) => walk(child, depth + 1));
    if (node.more) rows.push({ node: { name: `and ${count(node.more)} more`, state: "" }, depth: depth + 1 });
  };
  walk(tree, 0);
  const made = table(["actor", "state", "#since", "#restarts", "#queue", "#last progress", "last exit", ""], rows.map(({ node }) => [
    node.name, node.state ? state(node.state, node.progress?.waiting_for && `waits for ${node.progress.waiting_for}`) : "",
    node.state ? seconds(node.since_seconds) : "", node.state ? count(node.restarts) : "", node.queue ?? "",
    node.progress ? seconds(node.progress.age_seconds) : "", node.last_exit ?? "",
    node.state && node !== tree && node.state !== "ended"
      ? act("restart", `actors/${node.name.split("/").map(encodeURIComponent).join("/")}/restart`, `Restart ${node.name}`) : "",
  ]), "");
  [...made.tBodies[0].rows].forEach((row, i) => {
    row.cells[0].classList.add("deep");
    row.cells[0].style.setProperty("--deep", rows[i].depth);
  });
  show("actors", made);
}

function act(word, path, label) {
  const button = element("button", word, { type: "button", "aria-label": label });
  button.addEventListener("click", async () => {
    const token = at("token").value;
    if (!token) {
      at("said").textContent = `${label}: give the token of admin.token first.`;
      at("token").focus();
      return;
    }
    if (!window.confirm(`${label}?`)) return;
    button.blur();
    try {
      const answer = await fetch(path, { method: "POST", headers: { authorization: `Bearer ${token}` } });
      const body = await answer.json();
      at("said").textContent = answer.ok ? `${label}: asked for.` : `${label}: ${body.error}`;
    } catch (why) {
      at("said").textContent = `${label}: ${why.message}`;
    }
  });
  return button;
}

async function get(path, or404) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  if (answer.status === 404 && or404) return null;
  if (!answer.ok && answer.status !== 503) throw new Error(`/${path} answered ${answer.status}`);
  return answer.json();
}

async function ask() {
  if (asking) return;
  asking = true;
  try {
    const [ready, pipelines, tree, rooms] = await Promise.all([get("ready"), get("pipelines"), get("actors"), get("rooms", true)]);
    const now = performance.now();
    at("ready").textContent = ready.ready ? "ready" : `not ready: ${ready.not_ready.map((u) => `${u.name}: ${u.reason}`).join("; ")}`;
    at("ready").className = `state ${ready.ready ? "good" : "busy"}`;
    branches(pipelines, now);
    live(rooms, now);
    actors(tree);
    answered = Date.now();
    at("asked").textContent = `as of ${new Date().toLocaleTimeString()}`;
    gone(null);
  } catch (why) {
    if (Date.now() - answered > OLD_MS || answered === 0) gone(why);
  } finally {
    asking = false;
  }
}

function gone(why) {
  document.body.classList.toggle("gone", Boolean(why));
  at("gone").hidden = !why;
  if (!why) return;
  const since = answered ? `since ${new Date(answered).toLocaleTimeString()}; what is below is as of then` : "";
  at("gone").textContent = `The process does not answer ${since} (${why.message}).`;
  at("ready").textContent = "gone";
  at("ready").className = "state bad";
  before = new Map();
}

at("permit").addEventListener("submit", (event) => event.preventDefault());
ask();
setInterval(ask, EVERY_MS);
