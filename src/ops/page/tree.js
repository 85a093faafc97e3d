// The supervision tree.
import { at, beside, count, draw, seconds, state, table } from "./draw.js";
import { button } from "./act.js";

export function actors(tree) {
  const rows = [];
  const walk = (node, deep, root) => {
    const path = `actors/${node.name.split("/").map(encodeURIComponent).join("/")}/restart`;
    const waits = node.progress?.waiting_for ? `waits for ${node.progress.waiting_for}` : null;
    const asked = node.restart_asked_by ? `, asked by ${node.restart_asked_by}` : "";
    rows.push({
      key: node.name, deep,
      cells: [node.name, beside(state(node.state), waits), seconds(node.since_seconds), count(node.restarts), node.queue ?? "",
        node.progress ? seconds(node.progress.age_seconds) : "", node.last_exit ? `${node.last_exit}${asked}` : "",
        root || node.state === "ended" ? "" : button("Restart", "post", `Restart ${node.name}`, { path, what: `Restart ${node.name}` })],
    });
    (node.children ?? []).forEach((child) => walk(child, deep + 1, false));
    if (node.more) rows.push({ key: `more ${node.name}`, deep: deep + 1, cells: [`and ${count(node.more)} more`, "", "", "", "", "", "", ""] });
  };
  walk(tree, 0, true);
  draw(at("actors"), table(["actor", "state", "#for", "#restarts", "#queue", "#progress", "~last exit", "!"], rows, ""));
}
