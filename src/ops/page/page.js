// The operator's page: asks the admin address again and again, and says so when it does not answer.
import { at, mark, seconds } from "./draw.js";
import { get, permit, permitted, post, token, wrong } from "./act.js";
import { branches, flat, partitions, tiles } from "./branches.js";
import { dead, query, read, replay, replaySome } from "./dead.js";
import { live } from "./live.js";
import { actors } from "./tree.js";
import { audit, settings } from "./book.js";

const EVERY_MS = 2000;
// Kafka is asked for these, so less often.
const SLOWLY_MS = 5000;
const PATIENCE_MS = 5000;
// Past this a picture is old, whatever its numbers say.
const OLD_MS = 3 * EVERY_MS;

let answered = 0;
let asking = false;
let groups = null;
let known = { branches: [], settings: [] };
let process = null;

async function ask() {
  if (asking) return;
  asking = true;
  try {
    const soon = { patience: PATIENCE_MS };
    const [is, ready, pipelines, tree, rooms, gateway] = await Promise.all([get("process", soon), get("ready", soon), get("pipelines", soon),
      get("actors", soon), get("rooms", { ...soon, or404: true }), get("gateway", { ...soon, or404: true })]);
    another(is);
    mark(at("ready"), ready.ready ? "ready" : "waiting", ready.ready ? "ready" : "not ready");
    at("why").hidden = ready.ready;
    at("why").textContent = ready.not_ready.map((u) => `${u.name} is ${u.state}: ${u.reason}`).join(" · ");
    known.branches = flat(pipelines);
    tiles(known.branches, rooms);
    branches(known.branches);
    partitions(known.branches, groups);
    live(rooms, gateway);
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

// The address may be another process's by now.
function another(is) {
  const anew = process && (process.client_id !== is.client_id || is.started_seconds < process.started_seconds);
  if (!process || anew) slowly();
  process = is;
  at("process").textContent = `${is.client_id} · ${is.version} · up ${seconds(is.started_seconds)}`;
}

async function slowly() {
  const each = [
    async () => { groups = await get("groups"); },
    async () => dead(await get(query())),
    async () => {
      known.settings = await get("settings");
      settings(known.settings);
    },
  ];
  if (token()) each.push(async () => {
    audit(await get("audit"));
    wrong(false);
  });
  // Each for itself: what Kafka does not say holds up nothing else.
  await Promise.all(each.map((one) => one().catch((why) => { if (why.status === 401) wrong(true); })));
}

function gone(why) {
  document.body.classList.toggle("gone", Boolean(why));
  at("gone").hidden = !why;
  if (!why) return;
  const since = answered ? ` since ${new Date(answered).toLocaleTimeString()}: what is below is as of then` : "";
  at("gone").textContent = `The process does not answer${since}.`;
  mark(at("ready"), "gone", "gone");
  at("why").hidden = true;
}

async function act(button) {
  const { act: what, path, topic, letter } = button.dataset;
  if (what === "close") return button.closest("dialog").close();
  if (what === "read") return read(topic, letter);
  if (what === "replay-one") await replay(topic, letter);
  else if (what === "replay-some") await replaySome(topic);
  else await post(path, button.dataset.what);
  return Promise.all([ask(), slowly()]);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button) act(button);
});
for (const id of ["dead-topic", "dead-reason"]) at(id).addEventListener("change", slowly);
at("settings-set").addEventListener("change", () => settings(known.settings));
at("permit").addEventListener("submit", (event) => {
  event.preventDefault();
  if (permitted("Look")) slowly();
});
at("token").addEventListener("input", () => {
  wrong(false);
  permit();
});
at("token").addEventListener("change", slowly);
ask();
setInterval(ask, EVERY_MS);
setInterval(slowly, SLOWLY_MS);
