// What is wrong, from a status: pure. A trouble has a level (bad before warn),
// where, what, why, since, a weight that orders those of a level, and where on
// the page more of it is.

import { count, known, number } from "./dom.js";
import { HELD, standing, tally } from "./model.js";

const certificateDays = 14;
const orphaned = "no director holds them";
const staleTable = 15000; // ms; the table is compared every 2 s

export function troubles(st, now) {
  const list = [...ofDirector(st, now), ...ofCluster(st), ...ofAddresses(st), ...st.virtuals.flatMap((v) => ofVirtual(v, now))];
  const rank = { bad: 0, warn: 1 };
  return list.sort((a, b) => rank[a.level] - rank[b.level] || (b.weight ?? 0) - (a.weight ?? 0));
}

function ofDirector(st, now) {
  const list = [];
  const add = (level, what, why, since) => list.push({ key: "director " + what, level, where: "this director", what, why, since, weight: 6 });
  if (st.kernel.error) add("bad", "the kernel's table isn't as it should be", st.kernel.error);
  if (st.kernel.read_error) add("bad", "the kernel's figures are missing", st.kernel.read_error);
  else if (!st.kernel.programmed && !st.kernel.error) add("warn", "the kernel isn't programmed yet", "");
  else if (known(Date.parse(st.kernel.synced)) && now - Date.parse(st.kernel.synced) > staleTable) {
    add("bad", "the table hasn't been compared lately", "does the director hang? /healthz tells", st.kernel.synced);
  }
  if (st.config.error) add("warn", "the changed file was refused, the former one is in force", st.config.error);
  const trial = st.config.trial;
  if (trial) add("warn", "the running file isn't confirmed", "applied by " + trial.by + "; the one before comes back", trial.deadline);
  if (st.doctor?.findings) add("warn", "ipvsd doctor has " + count(st.doctor.findings, "finding"), "run it on this machine for reasons and cures", st.doctor.checked);
  return list;
}

function ofCluster(st) {
  const list = [];
  const c = st.cluster;
  if (!c) return list;
  const add = (level, where, what, why, since, weight = 2) => list.push({ key: "cluster " + where + what, level, where, what, why, since, weight, target: "directors" });
  for (const g of c.groups) {
    if (!g.holder) add("bad", c.groups.length > 1 ? "addresses of " + g.name : "addresses", orphaned, g.waits || g.reason, g.since, 8);
  }
  for (const m of c.members) {
    const name = m.name || m.address;
    if (m.state === "absent") add("warn", name, "was never seen", m.error ?? "", m.since);
    else if (m.state !== "alive" && m.state !== "left") add("bad", name, "is " + m.state, m.error ?? "", m.since);
    else if (m.error) add("warn", name, m.error, "");
    if (m.skew) add("warn", name, "its file differs", "virtual services, real servers, checks or groups of addresses aren't the same on all directors");
    if (m.faults) add("warn", name, "its priority is lowered", m.faults);
  }
  for (const text of c.problems) add("warn", "cluster", text, "");
  if (c.sync.error) add("warn", "connection sync", c.sync.error, "");
  else if (c.sync.enabled && !c.sync.running) add("warn", "connection sync", "its daemons don't run", "");
  return list;
}

function ofAddresses(st) {
  // Where nobody holds a group, that says it all.
  const orphans = new Set(st.cluster?.groups.filter((g) => !g.holder).flatMap((g) => g.addresses) ?? []);
  return st.addresses.filter((a) => a.state === "missing" && !orphans.has(a.address)).map((a) => ({
    key: "address " + a.address, level: "bad", where: a.address, what: "clients don't reach this address", why: a.error ?? "",
    since: a.since, weight: 7, target: "addresses",
  }));
}

function ofVirtual(v, now) {
  const list = [];
  const t = tally(v);
  const s = standing(v, t);
  const add = (level, key, what, why, since, weight) =>
    list.push({ key: v.name + "\n" + key, level, where: v.name, what, why, since, weight, virtual: v.name });
  const down = v.reals.filter((r) => r.state === "down");
  if (s.rank >= 3) {
    const what = s.rank === 4 ? "nobody serves its clients" : "its fallback serves";
    const why = down.length ? some([...byReason(down).keys()], "; ") : "its real servers are held back";
    add("bad", "none", what + (down.length ? ", " + number(t.down) + " of " + count(t.all, "real server") + " down" : ""), why, latest(down), s.rank + 1);
  } else {
    for (const [reason, reals] of byReason(down)) {
      const what = reals.length === 1 ? reals[0].address + " is down" : reals.length + " of " + t.all + " are down: " + some(reals.map((r) => r.address));
      add("bad", "down " + reason, what, reason, latest(reals), 3);
    }
  }
  if (v.fail_open) add("warn", "open", "servers that fail are kept in", v.fail_open, undefined, 3);
  const unknown = v.reals.filter((r) => r.state === "unknown");
  if (unknown.length > 0) add("warn", "unknown", count(unknown.length, "real server") + " without a first verdict: " + some(unknown.map((r) => r.address)), "", undefined, 0);
  for (const r of v.reals) {
    if (r.damped) add("warn", "damped " + r.address, r.address + " flaps and is kept out", r.weight_reason ?? "", r.since, 0);
    if (r.check.overdue && !HELD.has(r.state)) add("warn", "overdue " + r.address, r.address + ": its check is overdue", "", r.check.last?.at, 0);
    const until = Date.parse(r.check.cert_until);
    if (until - now < certificateDays * 864e5) {
      add("warn", "certificate " + r.address, r.address + (until < now ? ": its certificate has expired" : ": its certificate expires soon"),
        "valid until " + new Date(until).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }), undefined, 0);
    }
  }
  return list;
}

function byReason(reals) {
  const groups = new Map();
  for (const r of reals) groups.set(r.reason, [...(groups.get(r.reason) ?? []), r]);
  return groups;
}

// latest is when the last of them went.
function latest(reals) {
  const times = reals.map((r) => Date.parse(r.since)).filter(known);
  return times.length ? Math.max(...times) : undefined;
}

// headline is the one sentence that counts, and what follows in smaller letters.
export function headline(st, list) {
  let all = 0, down = 0, held = 0, unknown = 0;
  const lost = [];
  const hit = [];
  for (const v of st.virtuals) {
    const t = tally(v);
    all += t.all;
    down += t.down;
    held += t.held;
    unknown += t.unknown;
    if (standing(v, t).rank >= 3) lost.push(v.name);
    else if (t.down) hit.push(v.name);
  }
  const facts = [];
  if (lost.length && down) facts.push(number(down) + " of " + count(all, "real server") + (down === 1 ? " is down" : " are down"));
  else if (hit.length) facts.push("of " + some(hit));
  if (unknown) facts.push(number(unknown) + " not yet known");
  if (held) facts.push(number(held) + " held back by hand");
  if (lost.length === 0 && down === 0) facts.push(count(st.virtuals.length, "virtual service"));
  const sub = facts.join(" · ");
  const bad = list.some((t) => t.level === "bad");
  const level = bad ? "bad" : list.length ? "warn" : "ok";
  const orphan = list.find((t) => t.level === "bad" && t.what === orphaned);
  if (orphan) return { text: "No director holds the " + orphan.where + ".", sub, level, down };
  if (lost.length === 1) return { text: lost[0] + " has no real server that is up.", sub, level, down };
  if (lost.length) return { text: number(lost.length) + " of " + number(st.virtuals.length) + " virtual services have no real server that is up.", sub, level, down };
  if (down) return { text: number(down) + " of " + count(all, "real server") + (down === 1 ? " is down." : " are down."), sub, level, down };
  const rest = list.filter((t) => t.weight > 0 || t.level === "bad").length;
  if (all === 0) return { text: "There are no real servers.", sub, level, down };
  if (unknown) return { text: "The first checks are under way.", sub, level, down };
  const well = held || list.length ? "No real server is down" : all === 1 ? "The real server is up" : "All " + number(all) + " real servers are up";
  return { text: rest ? well + ", but " + count(rest, "thing needs", "things need") + " attention." : well + ".", sub, level, down };
}

function some(list, between = ", ") {
  const shown = 4;
  const text = list.slice(0, shown).join(between);
  return list.length > shown ? text + " and " + number(list.length - shown) + " more" : text;
}
