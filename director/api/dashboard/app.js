// The page: the model in the middle, the feed fills it, the views show it.

import { Cluster } from "./cluster.js";
import { count, el, icon, keyed, now, setAttr, setClock, setHidden, setIcon, setLine, setText, setTime, span, tick, time } from "./dom.js";
import { Drains } from "./drains.js";
import { Feed } from "./feed.js";
import { Model } from "./model.js";
import { Services } from "./services.js";
import { Story } from "./story.js";
import { headline, troubles } from "./troubles.js";

const at = (id) => document.getElementById(id);
const model = new Model();
const services = new Services(model);
const drains = new Drains(model);
const cluster = new Cluster();
const story = new Story(model);

const shownTroubles = 8;
let allTroubles = false;

// Trouble is one line of what is wrong.
class Trouble {
  constructor() {
    this.icon = icon("down");
    this.where = el("a", { href: "#services" });
    this.what = el("span", { class: "what" });
    this.why = el("span", { class: "why" });
    this.since = time();
    this.node = el("li", {}, this.icon, el("p", {}, this.where, " ", this.what, " ", this.why, " ", this.since));
    this.where.addEventListener("click", (e) => {
      if (!this.trouble.virtual) return;
      e.preventDefault();
      services.reveal(this.trouble.virtual);
    });
  }

  update(t) {
    this.trouble = t;
    setAttr(this.node, "data-level", t.level);
    setIcon(this.icon, t.level === "bad" ? "down" : "warn");
    setText(this.where, t.where);
    setAttr(this.where, "href", "#" + (t.target ?? "services"));
    setText(this.what, t.what + (t.why ? ":" : ""));
    setLine(this.why, t.why);
    setTime(this.since, t.since ?? 0);
  }
}

function renderSummary() {
  const st = model.status;
  const list = troubles(st, now());
  const head = headline(st, list);
  setAttr(at("summary"), "data-level", head.level);
  setText(at("headline"), head.text);
  setLine(at("subline"), [head.sub, role(st)].filter(Boolean).join(" · "));
  keyed(at("troubles"), allTroubles ? list : list.slice(0, shownTroubles), (t) => t.key, () => new Trouble());
  setHidden(at("troubles"), list.length === 0);
  setHidden(at("more-troubles"), list.length <= shownTroubles);
  setText(at("more-troubles"), allTroubles ? "Show fewer" : "Show all " + list.length);
  const mark = head.down ? head.down + " down" : head.level === "ok" ? "all up" : "attention";
  const title = mark + " – ipvsd" + (st.cluster ? " " + st.cluster.name : "");
  if (document.title !== title) document.title = title;
  setText(at("about"), "ipvsd " + st.version + " · " + st.config.file + " · file " + st.config.hash.slice(0, 12));
}

function role(st) {
  if (!st.cluster) return "";
  const holders = [...new Set(st.cluster.groups.map((g) => g.holder).filter(Boolean))];
  if (st.active) return holders.length > 1 ? holders.join(" and ") + " are active" : "";
  return holders.length ? holders.join(", ") + (holders.length > 1 ? " are active" : " is active") + ", this director is standby" : "no director is active";
}

// announce tells a screen reader what changed its state.
function announce(changed) {
  const said = 3;
  if (changed.length === 0) return;
  const lines = changed.slice(0, said).map(({ virtual, real }) => `${real.address} of ${virtual.name} is ${real.state}: ${real.reason}.`);
  if (changed.length > said) lines.push(`${count(changed.length - said, "more change")}.`);
  setText(at("announce"), lines.join(" "));
}

// render shows the model, once for all that came since the last frame.
let waiting = false;
function render() {
  if (waiting) return;
  waiting = true;
  // A page in the background gets no frames, and keeps its title true.
  (document.hidden ? setTimeout : requestAnimationFrame)(() => {
    waiting = false;
    if (!model.status) return;
    renderSummary();
    drains.render();
    cluster.render(model.status);
    services.render();
  });
}

let toldFor = 0;
function renderStory() {
  clearTimeout(toldFor);
  toldFor = setTimeout(() => story.render(), 0);
}

const feed = new Feed({
  status(update) {
    setClock(update.at);
    announce(model.take(update));
    if (!update.partial) model.pace(now());
    render();
  },
  figures(figures) {
    if (!model.status) return;
    setClock(figures.at);
    model.move(figures);
    render();
  },
  journal(entry) {
    model.note(entry);
    renderStory();
  },
  history(history) {
    model.remember(history);
    render();
  },
});

function showLife() {
  const { state, ms } = feed.age();
  const live = at("live"), stale = at("stale");
  setAttr(live, "data-state", state);
  const old = "not updated for " + span(ms);
  setText(live, { wait: "connecting", live: "live", silent: old, lost: ms < 3000 ? "reconnecting" : old }[state]);
  const late = (state === "silent" || state === "lost") && ms >= 3000;
  setAttr(document.body, "data-stale", late ? "" : null);
  setLine(stale, late ? "Not updated for " + span(ms) + (state === "lost" ? ": the director can't be reached. " : ". ") + "What is below may be out of date." : "");
}

let seconds = 0;
setInterval(() => {
  seconds++;
  for (const part of [at("summary"), document.querySelector(".state"), at("journal")]) tick(part);
  services.tick();
  showLife();
  if (!model.status || feed.age().state !== "live") return;
  if (seconds % 5 === 0) model.pace(now());
  if (seconds % 10 === 0) {
    model.sample(now());
    render();
  }
}, 1000);

// A page in the background is given few turns, and misses samples.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) feed.fetchHistory();
});

at("more-troubles").addEventListener("click", () => {
  allTroubles = !allTroubles;
  renderSummary();
});

document.addEventListener("keydown", (e) => {
  const typing = e.target.matches("input:not([type=radio]), select, textarea");
  if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
    e.preventDefault();
    services.search.focus();
    services.search.select();
  } else if (e.key === "Escape" && e.target === services.search) {
    services.search.value = "";
    services.render();
  }
});

const theme = at("theme");
function dress(name) { setAttr(document.documentElement, "data-theme", name || null); }
try {
  theme.value = localStorage.getItem("ipvsd-theme") ?? "";
} catch {
  // Without storage the choice lasts as long as the page.
}
dress(theme.value);
theme.addEventListener("change", () => {
  dress(theme.value);
  try {
    localStorage.setItem("ipvsd-theme", theme.value);
  } catch {
    // As above.
  }
});
