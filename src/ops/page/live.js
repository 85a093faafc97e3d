// The live lane: by class, by room, and what browsers were sent.
import { at, bytes, count, draw, el, rate, state, table } from "./draw.js";

export function live(view, gateway) {
  at("live-at").hidden = !view && !gateway;
  at("to-live").hidden = !view && !gateway;
  draw(at("live"), view ? rooms(view) : null, gateway ? sent(gateway) : null);
}

function rooms(view) {
  const well = view.connected && !view.overloaded && !view.waiting;
  const words = [view.connected ? "connected to NATS" : "not connected to NATS", view.overloaded ? "overloaded: likes are shed" : null,
    `${count(view.open_rooms)} rooms are open`, `${count(view.comments_waiting)} comments wait`, view.waiting ? `waits: ${view.waiting}` : null];
  if (view.users) words.push(`${count(view.users.accepted)} users let in, ${count(view.users.refused)} refused`);
  const open = view.rooms.map((r) => ({
    key: r.room,
    cells: [r.room, count(r.viewers), rate(r.comments_per_second), count(r.accepted), count(r.refused), rate(r.likes_per_second), count(r.likes), count(r.shed), count(r.redelivered)],
  }));
  const classes = view.classes.map((c) => ({
    key: c.class,
    cells: [c.class, rate(c.received_per_second), count(c.received), count(c.accepted), count(c.refused), count(c.shed), count(c.duplicate), count(c.dead_lettered), count(c.redelivered)],
  }));
  const refused = Object.entries(view.refusals).filter(([, n]) => n > 0).map(([reason, n]) => el("span", { class: "chip", "data-key": reason }, el("b", {}, count(n)), ` ${reason}`));
  return [
    el("p", {}, state(well ? "running" : "waiting", words.filter(Boolean).join(" · "))),
    el("h3", {}, "Rooms"),
    table(["*room", "#viewers", "#comments/s", "#comments", "#refused", "#likes/s", "#likes", "#shed", "#redelivered"], open, "No room is open in this process."),
    view.open_rooms > open.length ? el("p", { class: "hint" }, `and ${count(view.open_rooms - open.length)} more with fewer viewers`) : null,
    el("h3", {}, "What came in"),
    table(["*class", "#received/s", "#received", "#accepted", "#refused", "#shed", "#duplicates", "#dead", "#redelivered"], classes, ""),
    refused.length ? el("h3", {}, "Refused, by reason") : null,
    refused.length ? el("div", { class: "chips" }, refused) : null,
  ];
}

function sent(gateway) {
  const rows = gateway.classes.map((c) => ({ key: c.class, cells: [c.class, count(c.sent), count(c.delivered), count(c.shed)] }));
  const words = [gateway.connected ? null : "not connected to NATS", `${count(gateway.sockets)} sockets`, `${count(gateway.rooms)} rooms`,
    `${bytes(gateway.queued_bytes)} wait for viewers`, `${count(gateway.too_slow)} closed as too slow`];
  return [
    el("h3", {}, "Browsers"),
    el("p", {}, state(gateway.connected ? "running" : "waiting", words.filter(Boolean).join(" · "))),
    table(["*class", "#sent", "#delivered", "#shed"], rows, ""),
  ];
}
