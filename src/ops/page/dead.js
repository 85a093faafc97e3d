// Dead letters: by reason, each read and replayed.
import { at, bytes, count, draw, el, state, sum, table, under } from "./draw.js";
import { button, get, permitted, post, say } from "./act.js";

const SHOWN = 50;
let last = null;

export const chosen = () => ({ topic: at("dead-topic").value, reason: at("dead-reason").value });

export function query() {
  const { topic, reason } = chosen();
  const asked = new URLSearchParams({ limit: SHOWN });
  if (topic) asked.set("topic", topic);
  if (reason) asked.set("reason", reason);
  return `dead?${asked}`;
}

function options(select, words) {
  const now = select.value;
  const wanted = ["", ...words];
  if ([...select.options].map((o) => o.value).join("\n") === wanted.join("\n")) return;
  select.replaceChildren(...wanted.map((w) => el("option", { value: w }, w || "all")));
  select.value = wanted.includes(now) ? now : "";
}

export function dead(answer) {
  last = answer;
  const { topics, replay } = answer;
  const { topic, reason } = chosen();
  if (!topic) options(at("dead-topic"), topics.map((t) => t.topic));
  const reasons = new Map();
  for (const t of topics) for (const [r, n] of Object.entries(t.reasons)) reasons.set(r, (reasons.get(r) ?? 0) + n);
  options(at("dead-reason"), [...reasons.keys()].sort());
  const chips = [...reasons].sort((a, b) => b[1] - a[1]).map(([r, n]) => el("span", { class: "chip", "data-key": r }, el("b", {}, count(n)), ` ${r || "–"}`));
  const partly = topics.filter((t) => t.looked_at < t.there_are);
  draw(at("dead-sum"), el("div", { class: "chips" }, chips),
    topics.filter((t) => t.error).map((t) => el("p", { class: "warn" }, `${t.dead_topic}: ${t.error}`)),
    partly.map((t) => el("p", { class: "hint" }, `Of ${t.dead_topic} the newest ${count(t.looked_at)} are counted; there are ${count(t.there_are)}.`)));
  const letters = topics.flatMap((t) => t.letters.map((l) => ({ ...l, of: t.topic }))).sort((a, b) => (b.time_ms ?? 0) - (a.time_ms ?? 0)).slice(0, SHOWN);
  const rows = letters.map((l) => {
    const data = { topic: l.of, letter: l.letter };
    return {
      key: `${l.of} ${l.letter}`,
      cells: [l.letter, l.time, `${l.pipeline}.${l.sink}`, `${l.topic}/${l.partition ?? "?"}/${l.offset ?? "?"}`, l.reason || "–",
        under(l.value_omitted_bytes ? `without its ${bytes(l.value_omitted_bytes)}` : bytes(l.value_bytes), l.detail),
        el("span", {}, button("Read", "read", `Read letter ${l.letter} of ${l.of}`, data), button("Replay", "replay-one", `Replay letter ${l.letter} of ${l.of}`, data))],
    };
  });
  draw(at("dead"), table(["*letter", "rejected", "branch", "record", "reason", "value", "!"], rows, "There are none."),
    letters.length && !answer.details ? el("p", { class: "hint" }, "With the token the sinks' own words are shown as well.") : null);
  const total = sum(topics, (t) => (reason ? t.reasons[reason] : Object.values(t.reasons).reduce((a, b) => a + b, 0)));
  const all = at("dead-all");
  // One topic at a time is replayed.
  const one = topic || (topics.length === 1 ? topics[0].topic : "");
  all.hidden = !(total && one && reason);
  all.dataset.topic = one;
  draw(at("dead-job"), replay ? job(replay) : "");
}

function job(replay) {
  const lines = replay.lines.slice(-8).map((l) => el("li", {}, `${l.letter}  ${l.outcome}`));
  return el("div", { class: "job" }, el("p", {}, state(replay.state), ` Replay ${replay.number} of ${replay.target}, by ${replay.by}: ${replay.summary || "begins"}`),
    lines.length ? el("ul", { class: "mono" }, lines) : null);
}

export async function read(topic, letter) {
  if (!permitted(`Read letter ${letter}`)) return;
  try {
    const l = await get(`dead/${encodeURIComponent(topic)}/${encodeURIComponent(letter)}`);
    at("letter-name").textContent = `Letter ${l.letter} of ${l.dead_topic}`;
    const facts = [["Reason", l.reason], ["In words", l.detail], ["Branch", `${l.pipeline}.${l.sink}`], ["Rejected", l.time],
      ["Record", `${l.topic}, partition ${l.partition ?? "?"}, offset ${l.offset ?? "?"}, of ${l.record_time}`],
      ["Version", l.version ? `${l.version} (epoch ${l.epoch})` : "–"]];
    draw(at("letter-body"), el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value || "–")])),
      l.headers.length ? [el("h3", {}, "Headers"), table(["*name", "~value"], l.headers.map((h, n) => ({ key: String(n), cells: [h.name, h.value ?? "null"] })), "")] : null,
      body("Key", l.key), body("Value", l.value),
      el("p", { class: "buttons" }, button("Replay", "replay-one", `Replay letter ${letter} of ${topic}`, { topic, letter })));
    at("letter").showModal();
  } catch (problem) {
    say(`Read letter ${letter}: ${problem.message}`);
  }
}

function body(name, is) {
  const words = {
    null: "null, as in the record", omitted: `omitted, since its ${bytes(is.bytes)} did not fit the topic`,
    hidden: `${bytes(is.bytes)}, not shown: a pipeline of this topic masks or omits columns, and this cannot be searched for them`,
  };
  return [el("h3", {}, name, is.kind in words ? "" : ` · ${bytes(is.bytes)}, ${is.kind}${is.whole ? "" : ", shortened"}`),
    is.kind in words ? el("p", { class: "empty" }, words[is.kind]) : el("pre", { tabindex: 0 }, is.text)];
}

export async function replay(topic, letter) {
  const path = `dead/${encodeURIComponent(topic)}/${encodeURIComponent(letter)}/replay`;
  told(await post(path, `Replay letter ${letter} of ${topic}`));
}

export async function replaySome(topic) {
  const { reason } = chosen();
  const path = `dead/${encodeURIComponent(topic)}/replay?${new URLSearchParams({ reason })}`;
  told(await post(path, `Replay every letter of ${topic} with reason ${reason}`));
}

function told(answer) {
  if (!answer) return;
  const { replay: is } = answer;
  say(`Replay ${is.number} of ${is.target}: ${is.state === "running" ? "under way" : is.summary}.`);
  if (last) dead({ ...last, replay: is });
}
