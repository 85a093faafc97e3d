// What changes something: asked for with the token, after the reader has said yes.
import { at, el } from "./draw.js";

const PATIENCE_MS = 8000;
let refused = false;

export const token = () => at("token").value.trim();

export async function get(path, { or404 = false, patience = PATIENCE_MS } = {}) {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(patience), cache: "no-store" });
  if (answer.status === 404 && or404) return null;
  if (!answer.ok && answer.status !== 503) throw Object.assign(new Error(await why(answer)), { status: answer.status });
  return answer.json();
}

async function why(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `/${new URL(answer.url).pathname} answered ${answer.status}`;
  }
}

export function say(words) {
  at("said").hidden = !words;
  at("said").textContent = words ?? "";
}

// Whether there is a token to ask with; otherwise the reader is led to where it is given.
export function permitted(what) {
  if (token()) return true;
  say(`${what}: give the token of admin.token first.`);
  at("token").focus();
  return false;
}

export async function post(path, what) {
  if (!permitted(what) || !(await sure(`${what}?`))) return null;
  try {
    const headers = { authorization: `Bearer ${token()}` };
    const answer = await fetch(path, { method: "POST", headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    const body = await answer.json();
    refused = answer.status === 401;
    permit();
    say(answer.ok ? `${what}: ${answer.status === 202 ? "asked for" : "done"}.` : `${what}: ${body.error}`);
    return answer.ok ? body : null;
  } catch (problem) {
    say(`${what}: no answer (${problem.message}); it may have been done.`);
    return null;
  }
}

function sure(question) {
  const [dialog, yes] = [at("sure"), at("sure-yes")];
  at("sure-what").textContent = question;
  return new Promise((decide) => {
    const done = (decision) => () => {
      yes.removeEventListener("click", confirmed);
      dialog.removeEventListener("close", cancelled);
      dialog.close();
      decide(decision);
    };
    const [confirmed, cancelled] = [done(true), done(false)];
    yes.addEventListener("click", confirmed);
    dialog.addEventListener("close", cancelled);
    dialog.showModal();
    yes.focus();
  });
}

export function permit() {
  const is = !token() ? "Without it this page only looks." : refused
    ? "The process refuses this token." : "Kept in this page alone, until it is closed.";
  at("permit-is").textContent = is;
  at("permit-is").className = token() && refused ? "warn" : "";
}

export function wrong(is) {
  refused = is;
  permit();
}

export function button(word, act, label, data = {}) {
  const attributes = { type: "button", "data-act": act, "aria-label": label };
  for (const [key, value] of Object.entries(data)) attributes[`data-${key}`] = value;
  return el("button", attributes, word);
}
