"use strict";
// The room page: one socket, what comes over it, and what is sent. deploy/gateway.md says what each message means.

const $ = (id) => document.getElementById(id);
const room = location.pathname.split("/").pop();
const stage = new Stage($("stage"));
const LINES = 200; // comments in the list
const TAPS = 500; // ms for which likes are gathered
const KNOWN = 2000; // ids that are remembered

let token = entering();
let socket = null;
let last = 0; // the sequence of the last entry
let attempt = 0;
let timer = 0;
let taps = 0;
let me = null;
let greeted = 0;
const waiting = new Map(); // own comments without an answer, by cid
const known = new Set(); // ids of comments that were shown
const asked = new Map(); // moderators' requests, by ref

$("name").textContent = room;
document.title = `${room} – live room`;

// A link brings the token behind its #, which is never sent to anybody; it is kept for a reload of this tab.
function entering() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token");
}

function connect() {
  clearTimeout(timer);
  if (!token) return ask("This room needs a token: ask whoever runs it, or open the link that you were given.");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const since = last ? `?since=${last}` : "";
  const own = new WebSocket(`${scheme}//${location.host}/v1/rooms/${room}/ws${since}`, ["twolane.v1", `token.${token}`]);
  socket = own;
  let opened = false;
  let bye = null;
  own.onopen = () => {
    opened = true;
    // Longer than a minute of connection: the next loss is another one.
    greeted = performance.now();
  };
  own.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "bye") bye = message;
    else hear(message);
  };
  own.onclose = async () => {
    if (socket !== own) return;
    socket = null;
    $("send").disabled = true;
    if (opened && performance.now() - greeted > 60000) attempt = 0;
    if (bye && bye.code === "expired") return ask("Your token has ended: get a new one.");
    if (!opened && (await refused())) return;
    away(bye ? bye.retry_ms : Math.random() * Math.min(30000, 1000 * 2 ** attempt));
  };
}

// A browser does not tell a page why a handshake failed: the same question without one is answered.
async function refused() {
  try {
    const answer = await fetch(`/v1/rooms/${room}/ws`, { headers: { authorization: `Bearer ${token}` } });
    if (answer.status !== 401 && answer.status !== 403 && answer.status !== 400) return false;
    ask((await answer.json()).detail);
    return true;
  } catch {
    return false;
  }
}

function away(delay) {
  attempt = Math.min(attempt + 1, 5);
  report("Connection lost, coming back …", true);
  timer = setTimeout(connect, delay);
}

function report(text, isAway) {
  $("status").textContent = text;
  $("status").classList.toggle("away", Boolean(isAway));
}

function ask(why) {
  report("Not connected", true);
  sessionStorage.removeItem("token");
  $("enter-why").textContent = why;
  if (!$("enter").open) $("enter").showModal();
}

function hear(message) {
  switch (message.type) {
    case "hello": return hello(message);
    case "entries": return message.entries.forEach((one) => entry(one.seq, one.entry));
    case "likes": return totals(message);
    case "missed":
      if (message.comments) note(`${message.comments} comments were left out: your connection was too slow`);
      return;
    case "gap": return note("Some older comments are not kept any more");
    case "reset": last = 0; return;
    case "stored": {
      const own = waiting.get(message.cid);
      if (own) own.stored = true;
      return;
    }
    case "refused": return wasRefused(message);
    case "ctl": return answered(message);
    // Fields and messages may be added.
    default: return;
  }
}

function hello(message) {
  attempt = 0;
  me = message;
  if (message.reset) last = 0;
  report(`You are ${message.user}`);
  $("send").disabled = false;
  if (message.total !== undefined) totals(message);
  $("desk").hidden = !message.moderates;
  document.body.classList.toggle("moderates", message.moderates);
  if (message.moderates) ctl({ op: "state" }, (state) => {
    $("slow").value = state.slow_s ?? 0;
    $("silence").checked = Boolean(state.silence);
    words(state.keywords ?? []);
  });
  // What had no answer may be stored or not: with its cid it is shown once.
  for (const own of waiting.values()) if (!own.stored) say(own.message);
}

function totals({ total, viewers }) {
  const before = Number($("likes").dataset.total ?? -1);
  if (total > before) {
    if (before >= 0) stage.like(Math.max(0, total - before - taken()));
    $("likes").dataset.total = total;
    $("likes").textContent = total.toLocaleString();
  }
  $("viewers").textContent = viewers.toLocaleString();
}

// Own likes have risen already.
let ownLikes = 0;
function taken() {
  const own = ownLikes;
  ownLikes = 0;
  return own;
}

function entry(seq, one) {
  if (seq <= last) return;
  last = seq;
  if (one.type === "recall") {
    stage.remove(one.id);
    document.querySelector(`#log li[data-id="${CSS.escape(one.id)}"]`)?.remove();
    return;
  }
  if (one.type !== "comment" || known.has(one.id)) return;
  known.add(one.id);
  if (known.size > KNOWN) known.delete(known.values().next().value);
  const own = one.cid !== undefined && waiting.get(one.cid);
  if (own) waiting.delete(one.cid);
  line(one, Boolean(own));
  // What is older than a crossing is only read.
  if (Date.now() - one.ctime < 8000) stage.add({ ...one, own: Boolean(own) });
}

function line(one, own) {
  const li = document.createElement("li");
  li.dataset.id = one.id;
  li.classList.toggle("own", own);
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = own ? "you" : one.midHash.slice(0, 4);
  who.title = new Date(one.ctime).toLocaleTimeString();
  const text = document.createElement("span");
  text.textContent = one.content;
  li.append(who, text);
  if (me?.moderates) {
    const acts = document.createElement("span");
    acts.className = "acts";
    const act = (name, request) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-label", `${name}: ${one.content}`);
      button.onclick = () => ctl(request, () => tell(`${name}: done`));
      acts.append(button);
    };
    act("Recall", { op: "recall", id: one.id });
    act("Mute", { op: "mute", comment: one.id, for_s: 600 });
    act("Ban", { op: "ban", comment: one.id });
    li.append(acts);
  }
  append(li);
}

function note(text) {
  const li = document.createElement("li");
  li.className = "note";
  li.textContent = text;
  append(li);
}

function append(li) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(li);
  while (log.children.length > LINES) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
  $("newest").hidden = atEnd;
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function tell(text) {
  $("told").textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { $("told").textContent = ""; }, 6000);
}

function wasRefused(message) {
  const own = message.cid !== undefined && waiting.get(message.cid);
  if (message.code === "overloaded" && own) {
    // It may be stored or not.
    setTimeout(() => { if (waiting.has(message.cid)) say(own.message); }, 1000 + Math.random() * 2000);
    return;
  }
  if (own) {
    waiting.delete(message.cid);
    if (!$("text").value) $("text").value = own.message.content;
  }
  if (message.what === "ctl") asked.delete(message.cid);
  tell(message.detail);
}

// === moderation ===

let refs = 0;
function ctl(request, done) {
  const ref = `r${++refs}`;
  asked.set(ref, done);
  say({ type: "ctl", ref, request });
}

function answered({ ref, answer }) {
  const done = asked.get(ref);
  asked.delete(ref);
  if (!answer.ok) return tell(answer.detail ?? answer.code ?? "It was not done");
  done?.(answer);
}

function words(all) {
  $("words").replaceChildren(...all.map((word) => {
    const li = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${word} ✕`;
    button.setAttribute("aria-label", `Take ${word} again`);
    button.onclick = () => ctl({ op: "keywords", remove: [word] }, (state) => words(state.keywords));
    li.append(button);
    return li;
  }));
}

$("set-slow").onclick = () => ctl({ op: "slow", seconds: Number($("slow").value) }, () => tell("Slow mode is set"));
$("silence").onchange = () => ctl({ op: "silence", on: $("silence").checked }, () => tell($("silence").checked ? "Nobody may write" : "Everyone may write"));
$("add-word").onclick = () => {
  const word = $("word").value.trim();
  if (word) ctl({ op: "keywords", add: [word] }, (state) => { words(state.keywords); $("word").value = ""; });
};

// === what people do ===

$("box").onsubmit = (event) => {
  event.preventDefault();
  const content = $("text").value.trim();
  if (!content || !socket) return;
  const cid = crypto.getRandomValues(new Uint32Array(3)).join("-");
  const message = {
    type: "comment", content, cid,
    mode: Number($("mode").value),
    fontsize: Number($("size").value),
    color: Number(document.querySelector("#colours input:checked").value),
  };
  const own = { message };
  waiting.set(cid, own);
  say(message);
  $("text").value = "";
};

$("heart").onclick = () => {
  taps += 1;
  ownLikes += 1;
  stage.like(1);
  if (taps === 1) {
    setTimeout(() => {
      // A message holds fifty by default.
      say({ type: "like", n: Math.min(taps, 50) });
      taps = 0;
    }, TAPS);
  }
};

$("veil").onclick = () => {
  const shown = $("veil").getAttribute("aria-pressed") !== "true";
  $("veil").setAttribute("aria-pressed", shown);
  $("veil").textContent = shown ? "Comments on" : "Comments off";
  stage.show(shown);
};

$("newest").onclick = () => {
  $("log").scrollTop = $("log").scrollHeight;
  $("newest").hidden = true;
};
$("log").onscroll = () => {
  const log = $("log");
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 40) $("newest").hidden = true;
};

$("enter-form").onsubmit = () => {
  token = $("token").value.trim();
  $("token").value = "";
  if (token) sessionStorage.setItem("token", token);
  connect();
};

addEventListener("online", () => { if (!socket) { attempt = 0; connect(); } });
$("send").disabled = true;
connect();
