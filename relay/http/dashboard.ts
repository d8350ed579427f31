import { createHash } from "node:crypto";

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; }
header, nav, .cards { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; }
h1 { font-size: 1.2rem; margin: 0 auto 0 0; }
nav { margin: 1rem 0; }
nav a { padding: .3rem .7rem; border-radius: .4rem; color: inherit; text-decoration: none; }
nav a[aria-current] { background: #3b82f633; }
.card { border: 1px solid #8884; border-radius: .5rem; padding: .6rem .9rem; min-width: 8rem; }
.card b { display: block; font-size: 1.5rem; }
.agent { border-bottom: 1px solid #8884; padding: .6rem 0; overflow-wrap: anywhere; }
.agent code, td code { font-size: .85em; opacity: .75; }
.skill { background: #8883; border-radius: .7rem; padding: .05rem .5rem; margin-right: .3rem; display: inline-block; }
.bad { color: #dc2626; } .good { color: #16a34a; }
input { font: inherit; padding: .3rem .5rem; width: min(30rem, 100%); }
table { border-collapse: collapse; } td, th { text-align: left; padding: .25rem 1rem .25rem 0; vertical-align: top; }
`;

/** Everything from the relay is put in as text, never as markup. */
const SCRIPT = `
"use strict";
const byId = (id) => document.getElementById(id);
const el = (tag, className, ...content) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content.map((one) => one instanceof Node ? one : String(one)));
  return node;
};
const get = async (path) => {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.status);
  return body;
};
const views = { overview, agents, skills, federation };
let token = "", loaded = 0;
const view = () => views[location.hash.slice(1)] ? location.hash.slice(1) : "overview";
async function show() {
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + view()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("search").hidden = view() !== "agents";
  try {
    await views[view()]();
    byId("error").textContent = "";
  } catch (error) {
    byId("error").textContent = "Cannot read the relay: " + error.message;
  }
}
async function overview() {
  const s = await get("/api/v1/status");
  byId("who").textContent = s.peer_id;
  const f = s.federation;
  const facts = {
    "Agents here": s.registry.local_count, "Agents elsewhere": s.registry.federated_count,
    "Skills": s.registry.skill_count, "Connected peers": s.libp2p.connected_peers,
    "Places given": s.relay.reservations ?? 0, "Circuits": s.relay.circuits ?? 0,
    "Relays": f ? f.healthy_peers + "/" + f.peers : "none", "Uptime": Math.floor(s.uptime_seconds / 60) + " min",
  };
  const cards = Object.entries(facts).map(([name, value]) => el("div", "card", el("b", "", value), name));
  byId("main").replaceChildren(el("div", "cards", ...cards), el("p", "", "Addresses"),
    ...s.addresses.map((address) => el("div", "", el("code", "", address))));
}
async function agents(more = false) {
  const q = new URLSearchParams({ limit: "50" });
  if (byId("search").value) q.set("q", byId("search").value);
  if (more && token) q.set("page_token", token);
  const page = await get("/api/v1/agents?" + q);
  token = page.next_page_token;
  loaded = more ? loaded + page.count : page.count;
  const rows = page.agents.map((a) => el("div", "agent",
    el("div", "", a.name || "(no name)", " ", el("span", a.verified ? "good" : "bad", a.verified ? "signed" : "not signed"),
      a.origin ? " via " + a.origin.slice(-6) : ""),
    el("code", "", a.peer_id), el("div", "", a.description),
    el("div", "", ...a.skills.map((skill) => el("span", "skill", skill.id)))));
  const next = el("button", "", "More");
  next.onclick = () => { next.remove(); agents(true); };
  const all = [...rows, ...(token ? [next] : [])];
  if (more) byId("main").append(...all);
  else byId("main").replaceChildren(el("p", "", page.total + " agents"), ...all);
}
async function skills() {
  const { skills } = await get("/api/v1/skills");
  byId("main").replaceChildren(table(["Skill", "Agents", "Description"],
    skills.map((s) => [s.id, s.agent_count, s.description])));
}
async function federation() {
  const { peers } = await get("/api/v1/federation");
  byId("main").replaceChildren(peers.length ? table(["Relay", "State", "Way", "Taken", "Told", "Last error"],
    peers.map((p) => [p.address, el("span", p.healthy ? "good" : "bad", p.healthy ? "in step" : "not reached"),
      p.line ?? "", p.received, p.sent, p.last_error ?? ""])) : el("p", "", "This relay is federated with no other."));
}
function table(head, rows) {
  const line = (tag, cells) => el("tr", "", ...cells.map((cell) => el(tag, "", cell)));
  return el("table", "", line("th", head), ...rows.map((cells) => line("td", cells)));
}
let timer;
const later = () => { timer ??= setTimeout(() => { timer = undefined; if (loaded <= 50) show(); }, 500); };
const events = new EventSource("/api/v1/events");
for (const type of ["registered", "updated", "removed"]) events.addEventListener(type, later);
addEventListener("hashchange", show);
byId("search").addEventListener("input", later);
setInterval(() => { if (view() === "overview" || view() === "federation") show(); }, 5000);
show();
`;

/** The page that shows a relay in a browser. */
export const DASHBOARD_PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>AgentAnycast relay</title><style>${STYLE}</style></head><body>
<header><h1>AgentAnycast relay</h1><code id="who"></code></header>
<nav><a href="#overview">Overview</a><a href="#agents">Agents</a><a href="#skills">Skills</a>
<a href="#federation">Federation</a></nav>
<p id="error" class="bad" role="alert"></p><input id="search" type="search" placeholder="Search agents" hidden>
<main id="main"></main><script>${SCRIPT}</script></body></html>
`;

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Nothing but the page's own style and script, and the relay itself, is used by it. */
export const DASHBOARD_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; connect-src 'self'; style-src ${hash(STYLE)}; ` +
    `script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};
