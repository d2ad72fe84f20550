// The directors, the groups of addresses and the addresses.

import { Badge, el, keyed, number, setAttr, setHidden, setLine, setText, setTime, time } from "./dom.js";

const shown = 8; // addresses, before "show all"

export class Cluster {
  constructor() {
    const at = (id) => document.getElementById(id);
    this.self = at("self");
    this.role = at("role");
    this.members = at("members");
    this.groups = at("groups");
    this.sync = at("sync");
    this.section = at("addresses");
    this.addresses = at("address-list");
    this.more = at("more-addresses");
    this.all = false;
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.render(this.status);
    });
  }

  render(st) {
    this.status = st;
    const c = st.cluster;
    setText(this.self, c ? c.name : "");
    setText(this.role, st.active ? "active" : "standby");
    setAttr(this.role, "data-role", st.active ? "active" : "standby");
    const members = c ? c.members : [{ name: "this director", state: "alive", since: st.started, self: true, single: true, active: [] }];
    keyed(this.members, members, (m) => m.name + " " + m.address, () => new Member());
    const many = c ? c.groups.length > 1 : false;
    keyed(this.groups, c ? c.groups : [], (g) => g.name, () => new Group(many));
    setLine(this.sync, c ? syncText(c.sync) + (c.notes.length ? " " + c.notes.join(" ") : "") : "");
    this.renderAddresses(st);
  }

  renderAddresses(st) {
    const rank = { missing: 0, added: 1, own: 1, elsewhere: 2 };
    const list = [...st.addresses].sort((a, b) => (rank[a.state] ?? 0) - (rank[b.state] ?? 0));
    const missing = list.filter((a) => a.state === "missing").length;
    const part = this.all ? list : list.slice(0, Math.max(shown, missing));
    const self = st.cluster ? st.cluster.name : "this director";
    setHidden(this.section, list.length === 0);
    keyed(this.addresses, part.map((a) => ({ ...a, by: holder(a, self) })), (a) => a.address, () => new Address());
    setHidden(this.more, list.length <= part.length && !this.all || list.length <= shown);
    setText(this.more, this.all ? "Show fewer" : "Show all " + number(list.length));
  }
}

function holder(a, self) {
  switch (a.state) {
    case "elsewhere": return a.holder || "another director";
    case "missing": return "nobody";
  }
  return self;
}

function syncText(s) {
  if (!s.enabled) return "Connections aren't synchronised.";
  if (!s.running) return "The connection sync doesn't run.";
  const known = s.known ? " This director knows " + Math.floor(s.known.share * 100) + " % of the connections of " + s.known.holder + "." : "";
  return "Connections are synchronised over " + s.interface + "." + known;
}

class Member {
  constructor() {
    this.badge = new Badge(el("span", { class: "name" }));
    this.role = el("span", { class: "role" });
    this.state = el("span");
    this.since = time();
    this.facts = el("p", { class: "small" });
    this.fault = el("p", { class: "fault" });
    this.node = el("li", {},
      el("p", { class: "title" }, this.badge.node, " ", this.role),
      el("p", { class: "small" }, this.state, " ", this.since), this.facts, this.fault);
  }

  update(m) {
    const alive = m.state === "alive";
    const active = m.single || m.active.length > 0;
    const level = alive ? m.skew || m.error || m.faults ? "warn" : "ok" : m.state === "left" || m.state === "absent" ? "warn" : "bad";
    setAttr(this.node, "data-level", level);
    const shape = alive ? active ? "up" : "unchecked" : level === "warn" ? "unknown" : "down";
    this.badge.set(shape, level, (m.name || m.address) + (m.self && !m.single ? " (this one)" : ""));
    setText(this.role, !alive ? m.state : active ? "active" + (m.active.length ? ": " + m.active.join(", ") : "") : "standby");
    setAttr(this.role, "data-role", alive ? active ? "active" : "standby" : "gone");
    setText(this.state, m.single ? "single director, started" : alive ? m.self ? "in the cluster since" : "heard all the time, since" : m.state === "absent" ? "never seen" : m.state + ", since");
    setTime(this.since, m.state === "absent" ? 0 : m.since);
    const facts = [];
    if (m.reals) facts.push("sees " + number(m.reals.up) + " of " + number(m.reals.all) + " real servers up");
    if (!m.single && alive) facts.push("priority " + m.priority);
    if (m.address) facts.push(m.address);
    setLine(this.facts, facts.join(" · "));
    setLine(this.fault, [m.skew && "its file differs", m.faults, m.error].filter(Boolean).join("; "));
  }
}

class Group {
  constructor(named) {
    this.named = named;
    this.text = el("span");
    this.since = time();
    this.last = el("span");
    this.lastAt = time();
    this.node = el("li", { class: "small" }, this.text, " ", this.since, this.last, " ", this.lastAt);
  }

  update(g) {
    const holder = g.holder ? "held by " + g.holder : "held by nobody";
    setText(this.text, (this.named ? g.name + ": " : "Addresses: ") + holder + "; " + g.state + " here: " + (g.waits || g.reason) + ",");
    setTime(this.since, g.since);
    const f = g.last_failover;
    setText(this.last, f ? ". Taken over" + (f.from ? " from " + f.from : "") + " within " + Math.round((f.announced || f.address_up) * 1000) + " ms," : "");
    setTime(this.lastAt, f ? f.at : 0);
  }
}

class Address {
  constructor() {
    this.badge = new Badge(el("span", { class: "mono" }));
    this.holder = el("span", { class: "holder" });
    this.since = time();
    this.error = el("p", { class: "fault" });
    this.node = el("li", {}, el("p", { class: "title" }, this.badge.node, " ", this.holder, " ", el("span", { class: "small" }, this.since)), this.error);
  }

  update(a) {
    const missing = a.state === "missing";
    setAttr(this.node, "data-level", missing ? "bad" : "ok");
    this.badge.set(missing ? "down" : a.state === "elsewhere" ? "unchecked" : "up", missing ? "bad" : "ok", a.address);
    setText(this.holder, "on " + a.by + (a.interface ? ", " + a.interface : "") + (a.state === "own" ? ", the host's own" : ""));
    setTime(this.since, a.since);
    setLine(this.error, a.error ?? "");
  }
}
