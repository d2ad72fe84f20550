// Drains are the real servers that finish their connections.

import { count, el, keyed, known, now, setAttr, setHidden, setLine, setText, span } from "./dom.js";

export class Drains {
  constructor(model) {
    this.model = model;
    this.section = document.getElementById("drains");
    this.list = document.getElementById("drain-list");
  }

  render() {
    const items = [];
    for (const v of this.model.status.virtuals) {
      for (const r of v.reals) {
        if (r.state === "draining" || r.state === "leaving") items.push({ key: v.name + "\n" + r.address, v, r });
      }
    }
    setHidden(this.section, items.length === 0);
    keyed(this.list, items, (i) => i.key, () => new Drain(this.model));
  }
}

class Drain {
  constructor(model) {
    this.model = model;
    this.most = 0; // connections, as far as the history goes back
    this.title = el("p", { class: "title" });
    this.bar = el("progress", { max: "1" });
    this.left = el("p");
    this.who = el("p", { class: "small" });
    this.node = el("li", {}, this.title, this.bar, this.left, this.who);
  }

  update({ key, v, r }) {
    const n = r.active_connections;
    if (this.turn !== this.model.turn) {
      this.turn = this.model.turn;
      this.most = Math.max(this.most, ...(this.model.history.get(key)?.active ?? []));
    }
    this.most = Math.max(this.most, n);
    setText(this.title, r.address + " of " + v.name);
    setAttr(this.bar, "aria-label", "drain of " + r.address + " of " + v.name);
    setAttr(this.bar, "value", (this.most ? 1 - n / this.most : 1).toFixed(3));
    const deadline = Date.parse(r.hold?.deadline);
    const end = known(deadline) ? deadline > now() ? ", cut in " + span(deadline - now()) : ", the deadline has come" : ", no deadline";
    setText(this.left, count(n, "connection") + " left" + (r.state === "leaving" ? "; it left the file" : end));
    const h = r.hold;
    setLine(this.who, h ? [h.by && "by " + h.by, h.director && "on " + h.director, h.reason && "“" + h.reason + "”"].filter(Boolean).join(" ") : "");
  }
}
