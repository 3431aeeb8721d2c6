#include "ctl/page.hpp"

#include "ctl/table.hpp"

namespace vipd::ctl {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --bg: #f5f6f8; --card: #fff; --ink: #1c2430; --soft: #667085;
  --line: #e3e7ee; --good: #12805c; --warn: #a65707; --bad: #c0352b; --idle: #cfd6e1;
  --n0: #3b6fd8; --n1: #0f9d8f; --n2: #b4548f; --n3: #c77d0a; --n4: #6b5bd2; --n5: #57892b;
  --n6: #c2553c; --n7: #5b7083; }
@media (prefers-color-scheme: dark) { :root { --bg: #11151c; --card: #1a202a; --ink: #e6eaf1;
  --soft: #93a0b4; --line: #2a3341; --good: #3fc498; --warn: #e9a04c; --bad: #f07a6e;
  --idle: #3a4556; --n0: #6f9cf5; --n1: #3fc7b8; --n2: #dd86bd; --n3: #e5a948; --n4: #9d90f5;
  --n5: #8fc25f; --n6: #ec8b74; --n7: #93a9bd; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 28px 20px 48px; background: var(--bg);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 14px; }
h1 { margin: 0; min-width: 0; font-size: 24px; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { margin: 30px 0 10px; font-size: 13px; font-weight: 600; letter-spacing: .06em;
  text-transform: uppercase; color: var(--soft); }
.soft { color: var(--soft); } .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.small { font-size: 13px; } .right { margin-left: auto; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.pill { display: inline-block; padding: 1px 10px; border-radius: 99px; font-size: 13px;
  font-weight: 600; border: 1px solid currentColor; color: var(--soft); white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin-top: 18px; }
.facts > div { padding: 12px 18px; min-width: 0; } .facts b { display: block; font-size: 17px; }
.facts span { overflow-wrap: anywhere; }
.meter { height: 5px; margin-top: 6px; border-radius: 9px; background: var(--line);
  overflow: hidden; }
.meter i { display: block; height: 100%; border-radius: 9px; background: var(--good);
  transition: width .4s linear; }
.nodes { display: flex; flex-wrap: wrap; gap: 12px; }
.nodes .card { padding: 10px 16px 10px 18px; min-width: 150px; overflow-wrap: anywhere;
  background: linear-gradient(var(--c), var(--c)) 0 / 4px 100% no-repeat var(--card); }
.vip { display: grid; grid-template-columns: 1.1fr .7fr 1.3fr 1fr 1.5fr; gap: 4px 18px;
  align-items: center; padding: 12px 18px; box-shadow: inset 4px 0 var(--c); }
.vip + .vip { border-top: 1px solid var(--line); } .vips { overflow: hidden; }
.vip > div { min-width: 0; overflow-wrap: anywhere; } .head { color: var(--soft);
  font-size: 12px; --c: transparent; padding: 8px 18px; }
.node { display: inline-flex; align-items: baseline; gap: 6px; font-weight: 600; }
.node::before { content: ""; flex: none; width: 9px; height: 9px; border-radius: 50%;
  background: var(--c); }
.queue .node { font-weight: 400; }
.queue .node:not(:last-child)::after { content: "\203A"; color: var(--soft); margin-right: 2px; }
.check { display: inline-flex; gap: 5px; margin-right: 10px; }
.check::before { content: "\25CF"; color: var(--soft); }
.check.up::before { color: var(--good); } .check.down::before { color: var(--bad); }
.lanes { padding: 14px 18px 8px; }
.lane { display: grid; grid-template-columns: 110px 1fr; align-items: center; gap: 12px;
  margin: 5px 0; }
.lane > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; height: 18px; border-radius: 5px; background: var(--line);
  overflow: hidden; }
.track i { position: absolute; top: 0; bottom: 0; background: var(--c); min-width: 2px;
  border-right: 1px solid var(--card); }
.track i.none { background: repeating-linear-gradient(45deg, var(--bad) 0 3px,
  transparent 3px 7px); }
.axis { display: flex; justify-content: space-between; margin-left: 122px; color: var(--soft);
  font-size: 12px; }
.moves { width: 100%; border-collapse: collapse; border-top: 1px solid var(--line); }
.moves td { padding: 5px 18px; vertical-align: top; } .moves tr + tr td {
  border-top: 1px solid var(--line); }
.moves td:first-child { white-space: nowrap; } .moves td:last-child { width: 58%; }
.empty { padding: 14px 18px; color: var(--soft); }
.note { margin-top: 16px; padding: 10px 18px; border-color: currentColor; overflow-wrap: anywhere; }
.stale main { opacity: .45; } pre { overflow: auto; }
[hidden] { display: none; }
@media (max-width: 760px) { .vip { grid-template-columns: 1fr 1fr; } .head { display: none; }
  .vip > div::before { content: attr(data-what); display: block; font-size: 12px;
    color: var(--soft); }
  .vip { align-items: start; row-gap: 10px; } .vip > div:first-child { grid-row: span 2; }
  .vip > div:nth-child(3), .vip > div:last-child { grid-column: 1 / -1; order: 1; }
  .moves td + td { padding-left: 0; } .moves td { padding-right: 10px; }
  h1 { font-size: 20px; } .right { margin-left: 0; } .nodes .card { flex-grow: 1; }
  .lane { grid-template-columns: 70px 1fr; } .axis { margin-left: 82px; } }
)css";

constexpr std::string_view kBody = R"html(
<header><h1 id="title">vipd</h1><span id="state" class="pill"></span>
<span class="right soft small" id="clock"></span></header>
<div id="lost" class="card note bad" hidden></div>
<main hidden>
<div id="differ" class="card note warn" hidden></div>
<div class="card facts" id="facts"></div>
<h2>Nodes</h2><div class="nodes" id="nodes"></div>
<h2>Virtual addresses</h2><div class="card vips" id="vips"></div>
<h2>Take-overs</h2><div class="card" id="moves"></div>
</main>
)html";

constexpr std::string_view kScript = R"js(
'use strict';
const $ = id => document.getElementById(id);
// Texts come from other nodes: they are only ever appended as text.
function el(tag, cls, ...kids) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(...kids);
  return e;
}
const columns = ['Address', 'Owner', 'Queue', 'Checks', 'This node'];
let nodes = [], now = 0, drawn = '', heard = 0;
function paint(e, node) {
  const n = nodes.indexOf(node);
  e.style.setProperty('--c', n < 0 ? 'var(--idle)' : 'var(--n' + n % 8 + ')');
  return e;
}
const chip = node => paint(el('span', 'node', node || 'nobody'), node);
function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min';
  return s < 172800 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' days';
}
function clock(t) {
  const d = new Date(t), time = d.toLocaleTimeString();
  return now - t < 43200000 ? time : d.toLocaleDateString() + ' ' + time;
}
const kind = s => ({owner: 'good', running: 'good', fault: 'bad', standby: ''})[s] ?? 'warn';

function fact(title, value, cls, ...more) {
  return el('div', '', el('span', 'soft small', title), el('b', cls || '', value), ...more);
}
function renewedBy(lease, fence) {
  if (fence.reason && lease.reason == fence.reason) return '';
  if (!lease.grantors.length || lease.holds) return lease.reason;
  const name = g => (g.node || 'a node without a session') + (g.grants ? '' : ' (silent)');
  return 'renewed by ' + lease.grantors.map(name).join(', ') + ', ' +
    (lease.left_ms / 1000).toFixed(1) + ' of ' + lease.timeout_ms / 1000 + ' s left';
}
function etcdFact(e) {
  const soft = words => el('div', 'soft small', words), error = e.last_error;
  const others = e.endpoints.filter(o => o.mismatch);
  const state = !e.connected ? 'not connected' : others.length ? 'two clusters' :
    e.cluster_problem ? 'cluster in doubt' : 'connected';
  return fact('etcd', state, state == 'connected' ? '' : 'bad',
    soft(error && error.matters ? error.endpoint + ': ' + error.text : e.endpoint + ' ' + e.version),
    soft(e.cluster_problem || (e.cluster_id && 'cluster ' + e.cluster_id)),
    ...others.map(o => soft(o.endpoint + ' belongs to cluster ' + o.cluster_id +
      (o.members && ' (members: ' + o.members + ')') + ', and is not used')));
}
function drawFacts(s) {
  const fenceless = !s.fence.in_force, holds = s.peer_lease.holds;
  const meter = el('div', 'meter', el('i'));
  const whole = (s.peer_lease.state == 'in force' ? s.peer_lease : s.session).timeout_ms;
  const left = s.session.authority_ms / (whole || 1);
  meter.firstChild.style.width = Math.min(100, 100 * left) + '%';
  const owned = s.vips.filter(v => v.owner).length;
  const down = s.checks.filter(c => c.state == 'down').map(c => c.name).join(', ');
  $('facts').replaceChildren(
    fact('Virtual addresses', owned + ' of ' + s.vips.length + ' owned',
         owned < s.vips.length ? 'warn' : ''),
    fact('Authority of this node', (s.session.authority_ms / 1000).toFixed(1) + ' s',
         '', meter),
    etcdFact(s.etcd),
    fact('Peer lease of this node', holds ? 'holds without etcd' : s.peer_lease.state,
         fenceless || holds ? 'warn' : '',
         el('div', 'soft small', renewedBy(s.peer_lease, s.fence)),
         el('div', 'soft small', 'packet fence: ' + (fenceless ?
            'none (' + s.fence.reason + ')' : s.fence.kind))),
    fact('Checks of this node', s.checks.length ? s.checks.filter(c => c.state == 'up').length +
         ' of ' + s.checks.length + ' up' : 'none',
         down ? 'bad' : '', el('div', 'soft small', down && 'down: ' + down)));
}
function drawNodes(s) {
  const list = nodes.map(n => {
    const owns = s.vips.filter(v => v.owner == n).length;
    const next = s.vips.filter(v => v.queue[1] && v.queue[1].node == n).length;
    const in_ = s.vips.filter(v => v.queue.some(q => q.node == n)).length;
    const words = in_ ? 'owns ' + owns + ', next for ' + next + ', in ' + in_ +
      (in_ == 1 ? ' queue' : ' queues') : owns ? 'owns ' + owns : 'in no queue';
    return paint(el('div', 'card', el('b', '', n), n == s.node ? el('span', 'soft small',
      ' \u00b7 this node') : '', el('div', 'soft small', words)), n);
  });
  $('nodes').replaceChildren(...list);
}
function drawVip(v) {
  const queue = el('div', 'queue small');
  for (const q of v.queue) {
    const c = chip(q.node);
    c.title = 'priority ' + q.priority + ', session ' + q.session;
    queue.append(c, ' ');
  }
  if (!v.queue.length) queue.append(el('span', 'soft', 'empty'));
  const checks = el('div', 'small');
  for (const c of v.checks) {
    const e = el('span', 'check ' + (c.state == 'up' || c.state == 'down' ? c.state : ''), c.name);
    e.title = c.state + (c.overridden ? ' (set by vipctl)' : '') + ' ' + c.reason;
    checks.append(e);
  }
  if (!v.checks.length) checks.append(el('span', 'soft', 'none'));
  const why = v.reason || v.last_change;
  const row = paint(el('div', 'vip',
    el('div', '', el('b', '', v.name), el('div', 'mono small', v.address),
       el('div', 'soft small', v.link + (v.group ? ', group ' + v.group : ''))),
    el('div', '', v.owner ? chip(v.owner) : el('span', 'bad', 'nobody')), queue, checks,
    el('div', '', el('span', 'pill ' + kind(v.state), v.state), el('span', 'soft small',
       ' for ' + span(now - Date.parse(v.since))), el('div', 'soft small', why))), v.owner);
  columns.forEach((what, i) => { row.children[i].dataset.what = what; });
  return row;
}
function drawVips(s) {
  const head = el('div', 'vip head', ...columns.map(t => el('div', '', t)));
  $('vips').replaceChildren(head, ...s.vips.map(drawVip));
}
function drawMoves(s) {
  const moves = (s.moves || []).map(m => ({...m, t: Date.parse(m.time)}));
  if (!moves.length) return $('moves').replaceChildren(el('div', 'empty', 'None seen so far.'));
  const first = Math.min(moves[0].t, now - 60000), lanes = el('div', 'lanes');
  const at = t => 100 * (t - first) / (now - first);
  // The 24 that moved last, in the order of the rows above.
  const last = [...new Set(moves.map(m => m.vip).reverse())].slice(0, 24);
  for (const v of s.vips.filter(v => last.includes(v.name))) {
    const track = el('div', 'track'), own = moves.filter(m => m.vip == v.name);
    own.forEach((m, i) => {
      const end = i + 1 < own.length ? own[i + 1].t : now;
      const bar = paint(el('i', m.owner ? '' : 'none'), m.owner);
      bar.title = (m.owner || 'nobody') + ' from ' + clock(m.t) + ', ' + span(end - m.t);
      bar.style.left = at(m.t) + '%';
      bar.style.width = at(end) - at(m.t) + '%';
      track.append(bar);
    });
    lanes.append(el('div', 'lane', el('span', 'small', v.name), track));
  }
  const axis = el('div', 'axis', el('span', '', clock(first)),
                  el('span', '', clock((first + now) / 2)), el('span', '', 'now'));
  const table = el('table', 'moves small');
  for (const m of moves.slice(-24).reverse()) {
    table.append(el('tr', '', el('td', 'soft', clock(m.t)), el('td', '', m.vip),
                    el('td', '', chip(m.owner)), el('td', 'soft', m.reason)));
  }
  lanes.append(axis);
  $('moves').replaceChildren(...(lanes.children.length > 1 ? [lanes] : []), table);
}
function draw(s) {
  const names = new Set([s.node]);
  for (const v of s.vips) {
    for (const q of v.queue) names.add(q.node);
    if (v.owner) names.add(v.owner);
  }
  for (const m of s.moves || []) if (m.owner) names.add(m.owner);
  nodes = [...names].sort();
  now = Date.parse(s.time) || Date.now();
  $('title').textContent = s.node;
  $('state').textContent = s.state;
  $('state').className = 'pill ' + kind(s.state);
  $('clock').textContent = 'vipd ' + s.version + ' \u00b7 ' + new Date(now).toLocaleString();
  document.title = s.node + ' \u00b7 vipd';
  $('differ').textContent = 'Warning: ' + s.nodes_differ;
  $('differ').hidden = !s.nodes_differ;
  drawFacts(s);
  // Many rows are drawn anew only when they changed, or to bring the ages up to date.
  const key = JSON.stringify([s.node, s.vips, s.moves, s.checks, Math.floor(now / 10000)]);
  if (key == drawn) return;
  drawn = key;
  drawNodes(s);
  drawVips(s);
  drawMoves(s);
}
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch('v1/status', {cache: 'no-store', signal: AbortSignal.timeout(4000)});
    if (!answer.ok) throw new Error('status ' + answer.status);
    draw(await answer.json());
    heard = Date.now();
    document.querySelector('main').hidden = false;
    $('lost').hidden = true;
    document.body.className = '';
  } catch (e) {
    $('lost').textContent = 'The daemon does not answer' +
      (heard ? '; this is ' + span(Date.now() - heard) + ' old.' : '.');
    $('lost').hidden = false;
    document.body.className = 'stale';
  }
}
look();
setInterval(look, 2000);
document.addEventListener('visibilitychange', look);
)js";

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace

std::string status_page(const Status& status, bool is_cut, std::string_view nonce) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>vipd</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<style nonce=\"";
  page.append(nonce).append("\">").append(kStyle).append("</style></head><body>").append(kBody);
  page += "<noscript><pre>" + escaped(status_table(status, false));
  if (is_cut) page += "... and more: see vipctl status\n";
  page += "</pre></noscript>\n";
  page.append("<script nonce=\"").append(nonce).append("\">").append(kScript);
  return page + "</script></body></html>\n";
}

std::string page_fields(std::string_view nonce) {
  const std::string of_nonce = " 'nonce-" + std::string(nonce) + "'";
  return "Content-Security-Policy: default-src 'none'; style-src" + of_nonce + "; script-src" +
         of_nonce +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'\r\n"
         "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";
}

}  // namespace vipd::ctl
