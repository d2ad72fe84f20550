// What the director told, and what follows from it. No document in here.

export const HELD = new Set(["draining", "drained", "disabled", "maintenance"]);
const OUTSIDE = new Set(["fallback", "leaving"]); // not real servers of the file

// Model is the last status with the figures that came since.
export class Model {
  status = null;
  history = new Map(); // "virtual\nreal" → {active, inactive}: counts by times
  times = []; // of the history, ms
  turn = 0; // counts changes of the history
  entries = []; // of the journal, the newest first
  rates = new Map(); // "virtual\nreal" → new connections a second

  // take merges an update and says which real servers changed their state.
  take(update) {
    const before = this.status;
    if (update.partial) {
      const changed = new Map(update.virtuals.map((v) => [v.name, v]));
      update.virtuals = before.virtuals.map((v) => changed.get(v.name) ?? v);
    }
    this.status = update;
    return before ? changes(before, update) : [];
  }

  // move takes figures.
  move(figures) {
    this.status.at = figures.at;
    this.status.kernel.synced = figures.synced;
    for (const [v, r, active, inactive, connections, good, bad, streak, checked, took] of figures.reals) {
      const real = this.status.virtuals[v].reals[r];
      real.active_connections = active;
      real.inactive_connections = inactive;
      real.counters.connections = connections;
      real.check.good = good;
      real.check.bad = bad;
      real.check.streak = streak;
      if (real.check.last) {
        real.check.last.at = checked;
        real.check.last.seconds = took / 1e6;
      }
    }
  }

  // remember takes the history of the director.
  remember(history) {
    this.turn++;
    this.times = history.times.map((t) => Date.parse(t));
    this.history.clear();
    for (const v of history.virtuals) {
      for (const r of v.reals) this.history.set(v.name + "\n" + r.address, { active: r.active, inactive: r.inactive });
    }
  }

  // sample goes on with the history by what is known here.
  sample(at) {
    const drop = this.times.findIndex((t) => t > at - 600e3);
    const past = drop < 0 ? this.times.length : drop;
    this.times.splice(0, past);
    const length = this.times.length;
    this.turn++;
    this.times.push(at);
    const unread = !!this.status.kernel.read_error;
    const here = new Set();
    for (const v of this.status.virtuals) {
      for (const r of v.reals) {
        const key = v.name + "\n" + r.address;
        here.add(key);
        let h = this.history.get(key);
        if (!h) {
          const nothing = () => new Array(length + past).fill(null);
          this.history.set(key, (h = { active: nothing(), inactive: nothing() }));
        }
        h.active.splice(0, past);
        h.inactive.splice(0, past);
        h.active.push(unread ? null : r.active_connections);
        h.inactive.push(unread ? null : r.inactive_connections);
      }
    }
    for (const key of this.history.keys()) if (!here.has(key)) this.history.delete(key);
  }

  // pace works out new connections a second since it was called last.
  pace(at) {
    const seconds = (at - this.paced) / 1000;
    const before = this.totals;
    this.totals = new Map();
    this.rates.clear();
    this.paced = at;
    if (this.status.kernel.read_error) return;
    for (const v of this.status.virtuals) {
      for (const r of v.reals) {
        const key = v.name + "\n" + r.address;
        const total = r.counters.connections;
        this.totals.set(key, total);
        const old = before?.get(key);
        // A counter that went back belongs to a new entry in the kernel.
        if (old !== undefined && total >= old && seconds > 0) this.rates.set(key, (total - old) / seconds);
      }
    }
  }

  // note takes a journal entry.
  note(entry) {
    const same = this.entries.find((e) => e.seq === entry.seq);
    if (same && same.time === entry.time) return;
    if (same) this.entries = []; // the director began a new journal
    this.entries.push(entry);
    this.entries.sort((a, b) => b.seq - a.seq);
    this.entries.length = Math.min(this.entries.length, 1000);
  }
}

function changes(before, after) {
  const states = new Map();
  for (const v of before.virtuals) for (const r of v.reals) states.set(v.name + "\n" + r.address, r.state);
  const out = [];
  for (const v of after.virtuals) {
    for (const r of v.reals) {
      const was = states.get(v.name + "\n" + r.address);
      if (was !== undefined && was !== r.state) out.push({ virtual: v, real: r });
    }
  }
  return out;
}

// tally counts a virtual service's real servers by what they mean.
export function tally(v) {
  const t = { all: 0, up: 0, down: 0, held: 0, unknown: 0, active: 0, inactive: 0 };
  for (const r of v.reals) {
    t.active += r.active_connections;
    t.inactive += r.inactive_connections;
    if (OUTSIDE.has(r.state)) continue;
    t.all++;
    if (r.state === "up" || r.state === "unchecked") t.up++;
    else if (r.state === "down") t.down++;
    else if (HELD.has(r.state)) t.held++;
    else t.unknown++;
  }
  return t;
}

// standing is a virtual service's state: a word, an icon, and how bad it is (0 is
// well).
export function standing(v, t = tally(v)) {
  if (v.fallback) return { word: "fallback", icon: "fallback", level: "bad", rank: 3 };
  if (t.all > 0 && t.up === 0 && t.unknown === 0 && !stillServes(v)) return { word: "nobody serves", icon: "down", level: "bad", rank: 4 };
  if (t.down > 0) return { word: t.down + " down", icon: "warn", level: "bad", rank: 2 };
  if (v.fail_open) return { word: "fail open", icon: "warn", level: "warn", rank: 2 };
  if (t.unknown > 0) return { word: t.unknown === t.all ? "not yet known" : t.unknown + " not yet known", icon: "unknown", level: "warn", rank: 1 };
  if (t.held > 0) return { word: t.held + " held back", icon: "draining", level: "held", rank: 1 };
  return { word: "up", icon: "up", level: "ok", rank: 0 };
}

// stillServes: a server that fails its check may have been kept in.
function stillServes(v) { return v.reals.some((r) => r.weight > 0); }

export const STATES = {
  up: ["up", "ok"],
  down: ["down", "bad"],
  unknown: ["unknown", "warn"],
  unchecked: ["unchecked", "ok"],
  fallback: ["fallback", "warn"],
  leaving: ["draining", "held"],
  draining: ["draining", "held"],
  drained: ["out", "held"],
  disabled: ["out", "held"],
  maintenance: ["maintenance", "held"],
};

const severity = { down: 0, unknown: 1, fallback: 2, draining: 3, maintenance: 4, drained: 5, disabled: 5, leaving: 6, unchecked: 7, up: 8 };

// worstFirst keeps the file's order among equals.
export function worstFirst(reals) {
  return [...reals].sort((a, b) => (severity[a.state] ?? 0) - (severity[b.state] ?? 0));
}

// matches reports whether a virtual service, or one of its real servers, has
// every word of a search.
export function matcher(search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (text) => words.every((w) => text.includes(w));
  const head = (v) => [v.name, v.comment, v.service, v.scheduler, v.fail_open].join("\n").toLowerCase();
  return {
    all: words.length === 0,
    virtual: (v) => has(head(v)),
    real: (v, r) => has([head(v), r.address, r.state, r.reason, r.weight_reason, r.forward, r.hold?.by, r.hold?.reason].join("\n").toLowerCase()),
  };
}
