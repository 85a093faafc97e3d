// Pipelines and their branches, the sums above them, and who has which partitions.
import { at, beside, bytes, count, draw, el, narrow, rate, seconds, spark, state, sum, table, under } from "./draw.js";
import { button } from "./act.js";

const LOOKS = 45;
const past = new Map();

export const flat = (pipelines) =>
  pipelines.flatMap((p) => p.branches.map((b) => ({ ...b, pipeline: p.pipeline, topic: p.topic })));

function history(name, value) {
  const values = past.get(name) ?? [];
  values.push(value ?? 0);
  if (values.length > LOOKS) values.shift();
  past.set(name, values);
  return values;
}

export function tiles(branches, rooms) {
  const known = branches.filter((b) => b.lag !== null && b.lag !== undefined);
  const worst = branches.map((b) => b.freshness_seconds.p99).filter((s) => s !== null && s !== undefined);
  const dead = sum(branches, (b) => b.records.dead_lettered);
  const stopped = branches.filter((b) => b.state === "halted").length;
  const paused = branches.filter((b) => b.state === "paused").length;
  const tile = (name, value, under, alarm) =>
    el("div", { class: alarm ? "tile alarm" : "tile", "data-key": name }, el("span", {}, name), el("b", {}, value),
      el("span", { class: "under" }, under));
  const all = [
    tile("Branches", count(branches.length), stopped ? `${stopped} halted` : paused ? `${paused} paused` : "none halted", stopped > 0),
    tile("Records a second", rate(sum(branches, (b) => b.per_second.records)), "resolved, last 10 s"),
    tile("Lag", known.length ? count(sum(known, (b) => b.lag)) : "–", "records, of this process"),
    tile("Freshness p99", seconds(worst.length ? Math.max(...worst) : null), "slowest branch, since the start"),
    tile("In flight", bytes(sum(branches, (b) => b.buffer.bytes)), `of ${bytes(sum(branches, (b) => b.buffer.limit))}`),
    tile("Dead letters", count(dead), "since the process started", dead > 0),
  ];
  if (rooms) {
    const viewers = sum(rooms.rooms, (r) => r.viewers);
    all.push(tile("Viewers", count(viewers), `in ${count(rooms.open_rooms)} open rooms`));
  }
  draw(at("tiles"), all);
}

export function branches(all) {
  const rows = all.map((b) => {
    const path = `pipelines/${encodeURIComponent(b.pipeline)}/${encodeURIComponent(b.sink)}`;
    const can = ["halted", "paused"].includes(b.state) ? ["resume", "Resume"] : b.state === "stopping" ? null : ["pause", "Pause"];
    const why = b.paused && b.state === "paused"
      ? `for ${seconds(b.paused.seconds)}, by ${b.paused.by}${b.records.pending ? `; ${count(b.records.pending)} records still in flight` : ""}` : b.reason;
    const told = [why, b.runbook ? `see ${b.runbook} in deploy/RUNBOOK.md` : null].filter(Boolean).join("; ");
    const is = el("span", {}, state(b.state, told),
      b.stuck_seconds ? el("span", { class: "why warn" }, `has resolved nothing for ${seconds(b.stuck_seconds)}`) : null);
    const behind = under(count(b.lag), b.staleness_seconds > 1 ? `oldest ${seconds(b.staleness_seconds)}` : null);
    const searchable = b.searchable_seconds?.p99;
    const p99 = under(seconds(b.freshness_seconds.p99), searchable ? `searchable ${seconds(searchable)}` : null);
    const fresh = under(seconds(b.last_freshness_seconds),
      b.lag > 0 && b.since_acknowledged_seconds > 5 ? `${seconds(b.since_acknowledged_seconds)} ago` : null);
    const flight = el("span", {}, bytes(b.buffer.bytes),
      el("meter", { min: 0, max: b.buffer.limit, value: b.buffer.bytes, high: b.buffer.limit * 0.9, title: `of ${bytes(b.buffer.limit)}` }));
    const errors = under(`${rate(b.per_second.retries)}/s`, `${count(b.retried)} in all`);
    return {
      key: b.group,
      cells: [under(b.group, b.topic), is,
        el("span", {}, rate(b.per_second.records), spark(history(b.group, b.per_second.records))), behind, fresh,
        p99, flight, errors, count(b.records.dead_lettered),
        can ? button(can[1], can[0], `${can[1]} ${b.group}`, { path: `${path}/${can[0]}`, what: `${can[1]} ${b.group}` }) : ""],
    };
  });
  draw(at("branches"), table(["*branch", "state", "#records/s", "#lag", "#last fresh", "#p99", "#in flight", "#retries", "#dead", "!"],
    rows, "No pipelines run in this process."));
}

export function partitions(all, groups) {
  const parts = all.map((b) => {
    const group = groups?.find((g) => g.group === b.group);
    const owners = new Map();
    for (const m of group?.members ?? []) for (const p of m.partitions) owners.set(p, m);
    const numbers = new Set([...b.partitions.map((p) => p.partition), ...owners.keys(), ...(group?.unowned ?? [])]);
    const rows = [...numbers].sort((x, y) => x - y).map((n) => {
      const ours = b.partitions.find((p) => p.partition === n);
      const owner = owners.get(n);
      const who = owner
        ? beside(owner.this_process ? "this process" : owner.client_id, `${owner.this_process ? `${owner.client_id} ` : ""}at ${owner.host}`)
        : ours ? "this process" : group && !group.error ? el("span", { class: "warn" }, "nobody") : "–";
      return { key: `${b.group} ${n}`, cells: [String(n), who, count(ours?.end), count(ours?.watermark), count(ours?.committed), count(ours?.lag)] };
    });
    const members = group?.members.length ?? 0;
    const told = [`${b.partitions.length} of ${numbers.size} here`, `lag ${count(b.lag)}`];
    if (members) told.push(`${members} ${members === 1 ? "process" : "processes"}, ${group.protocol} protocol`);
    return el("details", { open: narrow() ? null : "", "data-key": b.group }, el("summary", {}, b.group, el("span", {}, told.join(" · "))),
      group?.error ? el("p", { class: "warn" }, `Who has the others is not known: ${group.error}`) : null,
      table(["*partition", "owner", "#end", "#watermark", "#committed", "#lag"], rows, "No partition is assigned."));
  });
  draw(at("partitions"), parts.length ? parts : el("p", { class: "empty" }, "No pipelines run in this process."));
}
