// What the views build with. All data goes in as text or attribute values;
// nothing here, or in any view, parses a string as HTML.

const SVG = "http://www.w3.org/2000/svg";

// el makes an element. props are attributes; "class" is one of them.
export function el(tag, props, ...kids) {
  const node = document.createElement(tag);
  for (const name in props) if (props[name] !== undefined) node.setAttribute(name, props[name]);
  node.append(...kids);
  return node;
}

export function svg(tag, props, ...kids) {
  const node = document.createElementNS(SVG, tag);
  for (const name in props) node.setAttribute(name, props[name]);
  node.append(...kids);
  return node;
}

// icon is decoration: the word stands beside it.
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("use", { href: "#i-" + name }));
}

// Badge is a shape with a word (or another element) that say a state; its level
// colours both.
export class Badge {
  constructor(content) {
    this.icon = icon("up");
    this.word = content ?? el("span");
    this.node = el("span", { class: "badge" }, this.icon, this.word);
  }

  set(shape, level, word) {
    setIcon(this.icon, shape);
    setAttr(this.node, "data-level", level);
    setText(this.word, word);
  }
}

export function setIcon(node, name) { setAttr(node.firstChild, "href", "#i-" + name); }

// The setters touch the document only where something changed.
export function setText(node, text) {
  if (node.shown !== text) node.textContent = node.shown = text;
}

export function setAttr(node, name, value) {
  if (value === undefined || value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function setHidden(node, hidden) { if (node.hidden !== hidden) node.hidden = hidden; }

// setLine shows text, or nothing of the element where there is none.
export function setLine(node, text) {
  setText(node, text);
  setHidden(node, text === "");
}

// keyed makes parent's children those of items, in their order, and keeps the
// node of each key. make builds {node, update}.
export function keyed(parent, items, key, make) {
  const views = parent.views ??= new Map();
  const keys = new Set(items.map(key));
  for (const [k, view] of views) {
    if (keys.has(k)) continue;
    view.node.remove();
    views.delete(k);
  }
  const focused = document.activeElement;
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let view = views.get(k);
    if (!view) views.set(k, view = make(item));
    view.update(item);
    if (view.node === at) at = at.nextElementSibling;
    else parent.insertBefore(view.node, at);
  }
  // What is moved loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

// time is a <time> that says how long ago it was; tick keeps it true.
export function time() { return el("time"); }

export function setTime(node, at) {
  const ms = typeof at === "number" ? at : Date.parse(at);
  if (node.at === ms) return;
  node.at = ms;
  if (!known(ms)) {
    setText(node, "");
    return;
  }
  const date = new Date(ms);
  node.setAttribute("datetime", date.toISOString());
  node.title = exact.format(date);
  setText(node, ago(now() - ms));
}

// known tells a moment from Go's zero time.
export function known(ms) { return ms > 0; }

// The director's clock counts, not the one of who looks.
let offset = 0;

export function setClock(at) { offset = Date.parse(at) - Date.now(); }

export function now() { return Date.now() + offset; }

export function tick(within) {
  const moment = now();
  for (const node of within.getElementsByTagName("time")) {
    if (known(node.at)) setText(node, ago(moment - node.at));
  }
}

function ago(ms) {
  if (ms < 0) return "in " + span(-ms);
  return ms < 1000 ? "just now" : span(ms) + " ago";
}

// span is a duration in its largest unit that is worth it.
export function span(ms) {
  const s = Math.round(ms / 1000);
  if (s < 100) return s + " s";
  const m = Math.floor(s / 60);
  if (m < 100) return m + " min";
  const h = Math.floor(m / 60);
  return h < 49 ? h + " h" : Math.floor(h / 24) + " d";
}

const whole = new Intl.NumberFormat("en");

export function number(n) { return whole.format(n); }

export function count(n, one, many = one + "s") { return number(n) + " " + (n === 1 ? one : many); }
