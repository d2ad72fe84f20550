// The virtual services with their real servers.

import { Badge, count, el, icon, keyed, number, setAttr, setHidden, setLine, setText, setTime, tick, time } from "./dom.js";
import { matcher, standing, STATES, tally, worstFirst } from "./model.js";
import { drawSeries, Spark } from "./spark.js";

const unfolded = 12; // so many virtual services are open from the start
const outOfSight = 5; // seconds until the figures of what isn't on the screen are renewed

export class Services {
  constructor(model) {
    this.model = model;
    this.list = document.getElementById("virtuals");
    this.none = document.getElementById("none");
    this.search = document.getElementById("search");
    this.sort = document.getElementById("sort");
    this.fold = document.getElementById("fold");
    this.open = new Map(); // name → what the reader chose
    this.show = "all";
    this.ids = 0;
    this.turn = 0;
    this.search.addEventListener("input", () => this.render());
    this.sort.addEventListener("change", () => this.render());
    for (const radio of document.getElementsByName("show")) {
      radio.addEventListener("change", () => {
        this.show = radio.value;
        this.render();
      });
    }
    this.fold.addEventListener("click", () => {
      const open = !this.anyOpen;
      for (const v of this.shown) this.open.set(v.name, open);
      this.render();
    });
  }

  // reveal opens a virtual service and goes there.
  reveal(name) {
    this.search.value = "";
    this.show = "all";
    document.querySelector("input[name=show][value=all]").checked = true;
    this.open.set(name, true);
    this.render();
    const view = this.list.views.get(name);
    view?.button.focus({ preventScroll: true });
    view?.node.scrollIntoView({ block: "start" });
  }

  render() {
    const st = this.model.status;
    if (!st) return;
    const match = matcher(this.search.value);
    const items = [];
    const counts = { all: 0, wrong: 0, held: 0 };
    st.virtuals.forEach((v, place) => {
      const t = tally(v);
      const s = standing(v, t);
      const wrong = s.level === "bad" || s.level === "warn";
      counts.all++;
      if (wrong) counts.wrong++;
      if (t.held) counts.held++;
      if (this.show === "wrong" && !wrong || this.show === "held" && !t.held) return;
      const whole = match.virtual(v);
      const reals = whole ? v.reals : v.reals.filter((r) => match.real(v, r));
      if (!whole && reals.length === 0) return;
      items.push({ name: v.name, v, t, s, place, reals, found: !whole });
    });
    for (const kind in counts) setText(document.getElementById("count-" + kind), number(counts[kind]));
    items.sort(this.order());
    this.shown = items;
    this.anyOpen = items.some((i) => this.isOpen(i));
    setText(this.fold, this.anyOpen ? "Fold all" : "Unfold all");
    setLine(this.none, items.length ? "" : this.nothing());
    keyed(this.list, items, (i) => i.name, () => new Virtual(this, this.ids++));
  }

  // tick keeps the times true, and what is out of sight not older than told.
  tick() {
    this.turn++;
    for (const view of this.list.views?.values() ?? []) {
      if (view.skipped && (view.number + this.turn) % outOfSight !== 0) continue;
      if (view.late) view.show();
      tick(view.node);
    }
  }

  nothing() {
    const text = this.search.value.trim();
    if (text) return "Nothing here matches “" + text + "”.";
    return this.show === "wrong" ? "Nothing is wrong." : this.show === "held" ? "Nobody holds a real server back." : "There are no virtual services.";
  }

  order() {
    const place = (a, b) => a.place - b.place;
    switch (this.sort.value) {
      case "name": return (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });
      case "connections": return (a, b) => b.t.active - a.t.active || b.t.inactive - a.t.inactive || place(a, b);
      case "wrong": return (a, b) => b.s.rank - a.s.rank || place(a, b);
    }
    return place;
  }

  isOpen(item) {
    return this.open.get(item.name) ?? (item.found || item.s.rank >= 2 || this.model.status.virtuals.length <= unfolded);
  }
}

// Virtual is one virtual service; its table is built when it is opened. What the
// browser doesn't draw because it is out of sight gets its figures later; what
// changed its state, at once.
class Virtual {
  constructor(services, number) {
    this.services = services;
    this.number = number;
    const id = "virtual-" + number;
    this.badge = new Badge();
    this.name = el("span", { class: "name" });
    this.address = el("span", { class: "mono" });
    this.up = el("span", { class: "figure up" });
    this.active = el("span", { class: "figure" });
    this.rate = el("span", { class: "figure rate" });
    this.spark = new Spark();
    this.button = el("button", { type: "button", "aria-expanded": "false", "aria-controls": id },
      icon("chevron"),
      this.badge.node,
      el("span", { class: "title" }, this.name, " ", this.address), " ", this.up, " ", this.active, " ", this.rate);
    this.body = el("div", { id, class: "body" });
    this.body.hidden = true;
    this.node = el("article", { class: "virtual" }, el("div", { class: "head" }, el("h3", {}, this.button), this.spark.node), this.body);
    this.button.addEventListener("click", () => {
      services.open.set(this.item.name, this.body.hidden);
      services.render();
    });
    this.node.addEventListener("contentvisibilityautostatechange", (e) => {
      this.skipped = e.skipped;
      if (!e.skipped && this.late) this.show();
    });
  }

  update(item) {
    const open = this.services.isOpen(item);
    const same = this.item && this.item.v === item.v && this.open === open && this.item.reals.length === item.reals.length;
    this.item = item;
    this.open = open;
    if (this.skipped && same) this.late = true;
    else this.show();
  }

  show() {
    const { v, t, s } = this.item;
    this.late = false;
    const model = this.services.model;
    setAttr(this.node, "data-level", s.level);
    this.badge.set(s.icon, s.level, s.word);
    setText(this.name, v.name);
    setText(this.address, (v.service === v.name ? "" : v.service + " ") + v.scheduler);
    setText(this.up, number(t.up) + "/" + number(t.all) + " up");
    const unread = !!model.status.kernel.read_error;
    const idle = t.active === 0 && t.inactive > 0;
    setText(this.active, unread ? "– active" : idle ? number(t.inactive) + " inactive" : number(t.active) + " active");
    let rate;
    for (const r of v.reals) {
      const one = model.rates.get(v.name + "\n" + r.address);
      if (one !== undefined) rate = (rate ?? 0) + one;
    }
    setText(this.rate, pace(rate) + " new/s");
    if (this.drawn !== model.turn) {
      this.drawn = model.turn;
      drawSeries(this.spark, model.times, v.reals.map((r) => model.history.get(v.name + "\n" + r.address)).filter(Boolean));
    }
    setAttr(this.button, "aria-expanded", this.open);
    setHidden(this.body, !this.open);
    if (this.open) this.table();
  }

  table() {
    const { v, reals } = this.item;
    if (!this.rows) this.build();
    setText(this.caption, "Real servers of " + v.name);
    setLine(this.note, [v.comment, v.fail_open].filter(Boolean).join(" · "));
    keyed(this.rows, worstFirst(reals), (r) => r.address, () => new Real(this.services.model, v.name));
    setHidden(this.wrap, reals.length === 0);
  }

  // The roles say what display: block on a phone would take from a table.
  build() {
    this.note = el("p", { class: "note" });
    this.caption = el("caption", { class: "hidden" });
    this.rows = el("tbody", { role: "rowgroup" });
    const head = (text, kind) => el("th", { scope: "col", role: "columnheader", class: kind }, text);
    this.wrap = el("table", { role: "table" }, this.caption,
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
        head("State"), head("Real server"), head("Weight", "right"), head("Active", "right"), head("Inactive", "right"),
        head("New/s", "right"), head("Ten minutes"), head("Last check, and why"))),
      this.rows);
    this.body.append(this.note, this.wrap);
  }
}

// pace writes new connections a second.
function pace(rate) { return rate === undefined ? "–" : rate > 0 && rate < 10 ? rate.toFixed(1) : number(Math.round(rate)); }

// Real is one real server's row.
class Real {
  constructor(model, virtual) {
    this.model = model;
    this.virtual = virtual;
    this.badge = new Badge();
    this.since = time();
    this.address = el("span", { class: "mono" });
    this.forward = el("span", { class: "small" });
    this.weight = el("span");
    this.weightWhy = el("p", { class: "small why-weight" });
    this.active = el("span");
    this.inactive = el("span");
    this.rate = el("span");
    this.spark = new Spark();
    this.reason = el("p", { class: "reason" });
    this.check = el("span");
    this.checked = time();
    this.took = el("span");
    this.failed = el("span");
    this.failedAt = time();
    this.failure = el("p", { class: "small" }, this.failed, " ", this.failedAt);
    this.sample = el("p", { class: "small mono sample" });
    const cell = (label, kind, ...kids) => el("td", { role: "cell", "data-label": label, class: kind }, ...kids);
    this.node = el("tr", { role: "row" },
      cell("State", "c-state", this.badge.node, " ", el("span", { class: "small" }, this.since)),
      el("th", { scope: "row", role: "rowheader", class: "c-real" }, this.address, " ", this.forward),
      cell("Weight", "c-num", this.weight),
      cell("Active", "c-num", this.active),
      cell("Inactive", "c-num", this.inactive),
      cell("New/s", "c-num", this.rate),
      cell("Ten minutes", "c-spark", this.spark.node),
      cell("Last check", "c-why", this.reason, this.weightWhy,
        el("p", { class: "small" }, this.check, " ", this.checked, " ", this.took), this.failure, this.sample));
  }

  update(r) {
    const [shape, level] = STATES[r.state] ?? ["unknown", "warn"];
    setAttr(this.node, "data-level", level);
    this.badge.set(shape, level, r.state);
    setTime(this.since, r.since);
    setText(this.address, r.address);
    setText(this.forward, [r.forward, r.tier > 1 ? "tier " + r.tier : ""].filter(Boolean).join(", "));
    const unread = !!this.model.status.kernel.read_error;
    setText(this.weight, unread ? "–" : r.weight === r.configured ? number(r.weight) : number(r.weight) + " of " + number(r.configured));
    setText(this.active, unread ? "–" : number(r.active_connections));
    setText(this.inactive, unread ? "–" : number(r.inactive_connections));
    setText(this.rate, pace(this.model.rates.get(this.virtual + "\n" + r.address)));
    this.draw(r);
    setLine(this.reason, r.reason);
    setLine(this.weightWhy, r.weight_reason ? "weight: " + r.weight_reason : "");
    this.explain(r.check, r);
  }

  draw(r) {
    if (this.drawn === this.model.turn) return;
    this.drawn = this.model.turn;
    const h = this.model.history.get(this.virtual + "\n" + r.address);
    drawSeries(this.spark, this.model.times, h ? [h] : []);
  }

  explain(check, r) {
    const last = check.last, failure = check.last_failure;
    const parts = [check.type];
    if (last && !last.ok && last.reason !== r.reason) parts.push(last.reason);
    if (check.overdue) parts.push("overdue");
    setText(this.check, last ? parts.join(", ") + ", checked" : check.type ? parts.join(", ") + (check.type === "off" ? "" : ", not checked yet") : "");
    setTime(this.checked, last ? last.at : 0);
    setText(this.took, last ? took(last.seconds) + (check.bad ? " · " + count(check.good, "good", "good") + ", " + number(check.bad) + " bad" : "") : "");
    const old = failure && last?.ok;
    setText(this.failed, old ? "last failure: " + failure.reason + "," : "");
    setTime(this.failedAt, old ? failure.at : 0);
    setHidden(this.failure, !old);
    setLine(this.sample, last && !last.ok && last.sample ? "the answer began: " + last.sample : "");
  }
}

function took(seconds) {
  if (seconds >= 1) return "in " + seconds.toFixed(1) + " s";
  return "in " + (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + " ms";
}
