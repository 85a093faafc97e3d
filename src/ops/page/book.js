// Who did what, and what the process was told.
import { at, draw, el, state, table, under } from "./draw.js";

export function audit(book) {
  const rows = book.entries.map((e) => ({
    key: e.id,
    cells: [e.time.replace("T", " ").replace(/\.\d+Z$/, "Z"), e.action, e.target, under(e.from, e.token ? `token ${e.token}` : null), state(e.outcome),
      `${e.reason ?? ""}${e.unnoted ? ` (and ${e.unnoted} before it that were not noted)` : ""}`],
  }));
  draw(at("audit"), table(["*time", "action", "target", "from", "outcome", "~why"], rows, "Nothing was asked for yet."),
    el("p", { class: "hint" }, book.file ? el("span", {}, "Written to ", el("code", {}, book.file)) : "Written to the logs alone: no admin.audit_file is set."));
}

export function settings(all) {
  const set = at("settings-set").checked;
  const shown = all.filter((s) => !set || s.place);
  const sections = new Map();
  for (const s of shown) {
    const section = s.path.includes(".") ? s.path.slice(0, s.path.lastIndexOf(".")) : "at the top";
    sections.set(section, [...(sections.get(section) ?? []), s]);
  }
  const parts = [...sections].map(([name, list]) => el("details", { open: "", "data-key": name }, el("summary", {}, name, el("span", {}, String(list.length))),
    table(["*setting", "~value", "from"], list.map((s) => ({
      key: s.path,
      cells: [el("span", { title: s.about }, s.path), s.value === null ? el("span", { class: "empty" }, "not set") : el("span", { class: s.secret ? "empty" : "mono" }, s.value),
        s.place ?? s.origin],
    })), "")));
  draw(at("settings"), parts.length ? parts : el("p", { class: "empty" }, all.length ? "Nobody has set anything: every default holds." : "This process was not started from a settings file."));
}
