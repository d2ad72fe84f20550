// What the page says of a status, without a director: its own modules, run in
// the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Director, launch, Visit } from "./browser.mjs";

let browser, director, visit;
before(async () => {
  browser = await launch();
  director = await Director.start("pair");
  visit = await Visit.open(browser, director);
});
after(async () => {
  await visit?.close();
  await director?.stop();
  await browser?.end();
});

const at = "2026-03-01T12:00:00Z";

function real(state, more = {}) {
  return {
    address: "10.0.0.1:80", state, reason: "why", since: at, weight: state === "up" ? 1 : 0, configured: 1,
    active_connections: 0, inactive_connections: 0, check: { type: "http", target: "" }, ...more,
  };
}

function virtual(name, reals, more = {}) {
  return { name, service: "192.0.2.1:80/tcp", scheduler: "wlc", up: reals.some((r) => r.state === "up"), fallback: false, reals, ...more };
}

function status(virtuals, more = {}) {
  return { virtuals, addresses: [], active: true, config: {}, kernel: { programmed: true, synced: at }, ...more };
}

function clusterOf(more) {
  return {
    name: "lb1", members: [{ name: "lb1", state: "alive", since: at, self: true, active: [] }], notes: [], problems: [], sync: {},
    groups: [{ name: "main", state: "standby", holder: "lb2", reason: "lb2 is active", since: at, addresses: ["192.0.2.1/24"] }], ...more,
  };
}

const up = () => virtual("web", [real("up"), real("up", { address: "10.0.0.2:80" })]);
const cases = [
  ["all is well", status([up()]), "All 2 real servers are up.", "1 virtual service", []],
  ["one", status([virtual("web", [real("up")])]), "The real server is up.", "1 virtual service", []],
  ["nothing to balance", status([]), "There are no real servers.", "0 virtual services", []],
  [
    "one is down", status([up(), virtual("mail", [real("down"), real("up", { address: "10.0.0.2:80" })])]), "1 of 4 real servers is down.", "of mail",
    ["bad|mail|10.0.0.1:80 is down|why"],
  ],
  [
    "several are, of one reason", status([virtual("web", ["1", "2", "3", "4", "5", "6"].map((n) => real(n === "6" ? "up" : "down", { address: n })))]), "5 of 6 real servers are down.", "of web",
    ["bad|web|5 of 6 are down: 1, 2, 3, 4 and 1 more|why"],
  ],
  [
    "nobody serves", status([up(), virtual("mail", [real("down")])]), "mail has no real server that is up.", "1 of 3 real servers is down",
    ["bad|mail|nobody serves its clients, 1 of 1 real server down|why"],
  ],
  [
    "the fallback serves", status([virtual("mail", [real("down"), real("fallback", { weight: 1 })], { fallback: true }), virtual("dns", [real("down")])]),
    "2 of 2 virtual services have no real server that is up.", "2 of 2 real servers are down",
    ["bad|dns|nobody serves its clients, 1 of 1 real server down|why", "bad|mail|its fallback serves, 1 of 1 real server down|why"],
  ],
  ["held back", status([virtual("web", [real("up"), real("drained")])]), "No real server is down.", "1 held back by hand · 1 virtual service", []],
  [
    "the last one drains and still serves nobody new", status([virtual("web", [real("draining")])]), "web has no real server that is up.", "1 held back by hand",
    ["bad|web|nobody serves its clients|its real servers are held back"],
  ],
  ["first checks", status([virtual("web", [real("unknown")])]), "The first checks are under way.", "1 not yet known · 1 virtual service", ["warn|web|1 real server without a first verdict: 10.0.0.1:80|"]],
  [
    "a refused file", status([up()], { config: { error: "line 3" } }), "No real server is down, but 1 thing needs attention.", "1 virtual service",
    ["warn|this director|the changed file was refused, the former one is in force|line 3"],
  ],
  [
    "the loop hangs", status([up()], { kernel: { programmed: true, synced: "2026-03-01T11:59:30Z" } }), "No real server is down, but 1 thing needs attention.", "1 virtual service",
    ["bad|this director|the table hasn't been compared lately|does the director hang? /healthz tells"],
  ],
  [
    "a certificate ends", status([virtual("web", [real("up", { check: { cert_until: "2026-02-01T00:00:00Z" } })])]), "No real server is down.", "1 virtual service",
    [/^warn\|web\|10\.0\.0\.1:80: its certificate has expired\|valid until .*2026/],
  ],
  [
    "an address is missing", status([up()], { addresses: [{ address: "192.0.2.1/24", state: "missing", error: "no interface", since: at }] }), "No real server is down, but 1 thing needs attention.", "1 virtual service",
    ["bad|192.0.2.1/24|clients don't reach this address|no interface"],
  ],
  ["a standby", status([up()], { active: false, cluster: clusterOf({}) }), "All 2 real servers are up.", "1 virtual service", []],
  [
    "nobody is active", status([up()], { active: false, cluster: clusterOf({ groups: [{ ...clusterOf({}).groups[0], holder: "", reason: "1 of 3 directors are heard" }] }), addresses: [{ address: "192.0.2.1/24", state: "missing", since: at }] }),
    "No director holds the addresses.", "1 virtual service", ["bad|addresses|no director holds them|1 of 3 directors are heard"],
  ],
  [
    "a director is dead, another never came", status([up()], { cluster: clusterOf({ members: [{ name: "lb2", state: "dead", since: at, error: "no answer" }, { name: "", address: "192.0.2.5:7946", state: "absent" }, { name: "lb4", state: "left", since: at }] }) }),
    "No real server is down, but 2 things need attention.", "1 virtual service",
    ["bad|lb2|is dead|no answer", "warn|192.0.2.5:7946|was never seen|"],
  ],
];

for (const [name, st, text, sub, wrong] of cases) {
  test(`it says: ${name}`, async () => {
    const got = await visit.page.evaluate(async ([st, at]) => {
      const { headline, troubles } = await import("/dashboard/troubles.js");
      const list = troubles(st, Date.parse(at));
      return { ...headline(st, list), list: list.map((t) => [t.level, t.where, t.what, t.why].join("|")) };
    }, [st, at]);
    assert.equal(got.text, text);
    assert.equal(got.sub, sub);
    assert.equal(got.list.length, wrong.length, got.list.join("\n"));
    wrong.forEach((w, i) => w instanceof RegExp ? assert.match(got.list[i], w) : assert.equal(got.list[i], w));
  });
}
