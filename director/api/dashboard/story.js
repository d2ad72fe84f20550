// The journal: what happened, the newest first.

import { el, keyed, setHidden, setLine, setText, setTime, time } from "./dom.js";

const page = 50;

export class Story {
  constructor(model) {
    const at = (id) => document.getElementById(id);
    this.model = model;
    this.kind = at("kind");
    this.search = at("journal-search");
    this.none = at("journal-none");
    this.list = at("entries");
    this.older = at("older");
    this.limit = page;
    this.kind.addEventListener("change", () => this.render());
    this.search.addEventListener("input", () => this.render());
    this.older.addEventListener("click", () => {
      this.limit += page;
      this.render();
    });
  }

  render() {
    const kinds = this.kind.value.split(" ");
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.model.entries.filter((e) => {
      if (this.kind.value && !kinds.includes(e.kind)) return false;
      const text = [e.text, e.cause, e.virtual, e.real, e.group, e.kind].join("\n").toLowerCase();
      return words.every((w) => text.includes(w));
    });
    const filtered = this.model.entries.length > 0;
    setLine(this.none, found.length ? "" : filtered ? "No entry matches." : "Nothing has been told yet.");
    keyed(this.list, found.slice(0, this.limit), (e) => e.seq, () => new Entry());
    setHidden(this.older, found.length <= this.limit);
  }
}

class Entry {
  constructor() {
    this.when = time();
    this.kind = el("span", { class: "kind" });
    this.text = el("p");
    this.node = el("li", {}, el("p", { class: "small" }, this.when, " ", this.kind), this.text);
  }

  update(e) {
    if (this.entry === e) return;
    this.entry = e;
    setTime(this.when, e.time);
    setText(this.kind, e.kind);
    setText(this.text, e.text);
    const { steps = [], details = [] } = e;
    const parts = [e.cause && "cause", details.length && "details", steps.length && "kernel steps"].filter(Boolean);
    if (parts.length === 0) return;
    const more = el("details", {}, el("summary", {}, parts.join(", ")));
    if (e.cause) more.append(el("p", { class: "small" }, e.cause));
    for (const s of [...details, ...steps]) more.append(el("code", {}, s));
    if (e.more) more.append(el("p", { class: "small" }, "and " + e.more + " more"));
    if (e.took) more.append(el("p", { class: "small" }, "from the cause to the last step " + (e.took / 1e6).toFixed(1) + " ms"));
    this.node.append(more);
  }
}
