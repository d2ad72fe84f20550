// The dashboard in chromium, as an operator has it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { Director, launch, Visit } from "./browser.mjs";

const patience = 60000; // ms; a busy machine is slow, and slow isn't wrong
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.end());

// look opens a scene, and ends it with the test, which fails on any complaint.
async function look(t, scene, options) {
  const director = await Director.start(scene);
  t.after(() => director.stop());
  const visit = await Visit.open(browser, director, options);
  visit.page.setDefaultTimeout(patience);
  t.after(async () => {
    await visit.close();
    assert.deepEqual(visit.complaints, []);
  });
  return { director, visit, page: visit.page };
}

const text = (page, selector) => page.locator(selector).innerText();
const headline = (page, words) => page.waitForFunction((w) => document.querySelector("h1").textContent.includes(w), words, { timeout: patience });

test("it loads, from here only, and says that all is well", async (t) => {
  const { page } = await look(t, "pair");
  await headline(page, "All 2 real servers are up.");
  assert.match(await page.title(), /^all up – ipvsd/);
  assert.match(await text(page, "#virtuals"), /10\.0\.0\.101:80/);
  assert.match(await text(page, "#virtuals"), /status 200, the answer matches/);
  assert.match(await text(page, "#entries"), /The director started/);
});

test("a server that dies is shown within 3 s, with the reason, and when it is back", async (t) => {
  const { page, director } = await look(t, "pair");
  await headline(page, "All 2");
  await page.evaluate(() => {
    new MutationObserver(() => { window.shownAt ??= performance.now(); }).observe(document.getElementById("headline"), { childList: true, characterData: true, subtree: true });
  });
  const asked = await page.evaluate(() => performance.now());
  director.say("down web 10.0.0.102:80 connect: connection refused");
  await headline(page, "1 of 2 real servers is down.");
  const took = await page.evaluate(() => window.shownAt) - asked;
  console.log(`# a dead server is shown after ${Math.round(took)} ms`);
  assert.ok(took < 3000, `shown after ${took} ms`);
  assert.match(await text(page, "#troubles"), /web\s+10\.0\.0\.102:80 is down:\s+connect: connection refused/);
  assert.match(await text(page, "#virtuals tr[data-level=bad]"), /down[^]*connection refused/);
  await page.waitForFunction(() => document.getElementById("announce").textContent.includes("10.0.0.102:80 of web is down: connect: connection refused."));
  await page.waitForFunction(() => document.getElementById("entries").textContent.includes("10.0.0.102:80 of web is down"));
  assert.match(await page.title(), /^1 down/);
  director.say("up web 10.0.0.102:80");
  await headline(page, "All 2 real servers are up.");
});

test("figures move by themselves", async (t) => {
  const { page } = await look(t, "pair");
  const active = () => text(page, "#virtuals tbody tr:first-child .c-num >> nth=1");
  const first = await active();
  await page.waitForFunction((was) => document.querySelectorAll("#virtuals tbody tr:first-child .c-num")[1].innerText !== was, first);
  await page.waitForFunction(() => /M[\d.]/.test(document.querySelector("#virtuals tbody .spark .line").getAttribute("d") ?? ""));
  await page.waitForFunction(() => /[1-9]/.test(document.querySelector("#virtuals tbody .c-num:nth-of-type(4)")?.innerText ?? document.querySelectorAll("#virtuals tbody tr:first-child .c-num")[3].innerText));
});

test("a drain is shown with what is left of it", async (t) => {
  const { page, director } = await look(t, "pair");
  director.say("drain web 10.0.0.102:80 10");
  await page.locator("#drain-list li").waitFor();
  assert.match(await text(page, "#drain-list"), /10\.0\.0\.102:80 of web[^]*77 connections left, cut in \d+ (s|min)[^]*by anna on loadb1 “new kernel”/);
  await page.getByRole("progressbar", { name: "drain of 10.0.0.102:80 of web" }).waitFor();
});

test("a restart of the director is seen, said, and got over", async (t) => {
  const { page, director, visit } = await look(t, "pair");
  await director.stop();
  await page.locator("#live[data-state=lost]").waitFor();
  await page.locator("#stale").waitFor();
  assert.match(await text(page, "#stale"), /^Not updated for \d+ s: the director can't be reached\. What is below may be out of date\./);
  const next = await director.again();
  t.after(() => next.stop());
  await page.locator("#live[data-state=live]").waitFor();
  await page.locator("#stale").waitFor({ state: "hidden" });
  next.say("down web 10.0.0.101:80 no route to host");
  await headline(page, "1 of 2");
  // While it is away the browser itself says so on the console.
  visit.complaints = visit.complaints.filter((c) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/.test(c));
});

test("silence is said, too", async (t) => {
  const { page, director } = await look(t, "pair");
  director.say("hang 3600");
  await page.locator("#live[data-state=silent]").waitFor();
  assert.match(await text(page, "#live"), /^not updated for \d+ s$/);
  director.say("hang 0");
  await page.locator("#live[data-state=live]").waitFor();
});

test("a kernel that can't be read is no traffic of zero", async (t) => {
  const { page, director } = await look(t, "pair");
  director.say("unread netlink: no such device");
  await headline(page, "but 1 thing needs attention");
  assert.match(await text(page, "#troubles"), /the kernel's figures are missing:\s+netlink: no such device/);
  assert.match(await text(page, "#virtuals .head"), /– active/);
});

test("hostile strings stay text", async (t) => {
  const { page } = await look(t, "hostile");
  await headline(page, "is down");
  await page.locator("#entries summary").click();
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.locator("main img, main script, header img, footer img").count(), 0);
  for (const where of ["#troubles", "#virtuals", "#members", "#address-list", "#drain-list", "#entries", "#about", "#self"]) {
    assert.match(await page.locator(where).textContent(), /<img src=x onerror=/, where);
  }
});

for (const scene of ["night", "hostile", "200x10"]) {
  test(`at the width of a phone nothing has to be scrolled sideways: ${scene}`, async (t) => {
    // High, because what is out of sight has no layout.
    const { page } = await look(t, scene, { viewport: { width: 375, height: 6000 } });
    await page.locator("#virtuals .virtual").first().waitFor();
    if (scene === "200x10") await page.locator("#virtuals button").first().click();
    await page.locator("#virtuals tbody tr").first().waitFor();
    const widths = () => page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    const [wide, room] = await widths();
    assert.ok(wide <= room, `${wide} px wide on ${room}`);
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("main *, header *, footer *")]
      .filter((e) => {
        const card = (e.parentElement.closest(".virtual, section") ?? document.body).getBoundingClientRect();
        return e.checkVisibility() && !e.closest(".hidden, svg, .sample") && e.getBoundingClientRect().right > card.right + 1;
      })
      .map((e) => e.outerHTML.slice(0, 120))), []);
  });
}

test("two hundred virtual services", async (t) => {
  const began = Date.now();
  const { page, director } = await look(t, "200x10");
  await page.waitForFunction(() => document.querySelectorAll("#virtuals .virtual").length === 200);
  const seen = Date.now();
  await page.locator("#fold").click();
  await page.waitForFunction(() => document.querySelectorAll("#virtuals tbody tr").length === 2000);
  const unfolded = Date.now();
  const long = await page.evaluate(() => new Promise((resolve) => {
    const tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => Math.round(e.duration)))).observe({ type: "longtask" });
    setTimeout(() => resolve(tasks), 10000);
  }));
  console.log(`# 200 virtual services: shown ${seen - began} ms after the director was started; 2000 real servers unfolded in ${unfolded - seen} ms; tasks above 50 ms in 10 s after that: ${long.join(", ") || "none"} (ms)`);

  director.say("down service-142 10.0.141.104:80 connection refused");
  await headline(page, "1 of 2,000 real servers is down.");
  const first = page.locator("#virtuals .virtual").first();
  assert.match(await first.innerText(), /^1 down\s+service-142/, "what is wrong comes first");

  await page.keyboard.press("/");
  await page.keyboard.type("10.0.7.103");
  await page.waitForFunction(() => document.querySelectorAll("#virtuals .virtual").length === 1);
  assert.match(await text(page, "#virtuals"), /service-8\b/);
  assert.equal(await page.locator("#virtuals tbody tr").count(), 1, "only the real server that was looked for");
  await page.keyboard.press("Escape");
  await page.getByRole("radio", { name: /Wrong/ }).check();
  await page.waitForFunction(() => document.querySelectorAll("#virtuals .virtual").length === 1);
});

for (const scene of ["night", "hostile", "12x4"]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing: ${scene}, ${colorScheme}`, async (t) => {
      const { page } = await look(t, scene, { colorScheme });
      await page.locator("#virtuals tbody tr").first().waitFor();
      await check(page);
      await page.setViewportSize({ width: 375, height: 740 });
      await check(page);
    });
  }
}

async function check(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")}`), []);
  assert.ok(found.passes.some((p) => p.id === "color-contrast"), "contrast was looked at");
}

test("everything is in reach of the keyboard", async (t) => {
  const { page } = await look(t, "night");
  await page.locator("#virtuals tbody tr").first().waitFor();
  const reached = [];
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      if (e === document.body) return null;
      const style = getComputedStyle(e), around = e.closest(".choice") && getComputedStyle(e.closest(".choice"));
      return { what: e.id || e.name || e.textContent.trim().slice(0, 40), outlined: [style, around].some((s) => s && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2) };
    });
    if (!at) break;
    reached.push(at);
  }
  assert.deepEqual(reached.filter((r) => !r.outlined).map((r) => r.what), [], "the focus is seen");
  const names = reached.map((r) => r.what).join("\n");
  assert.match(names, /^Skip to the virtual services\n/);
  for (const id of ["search", "show", "sort", "fold", "kind", "journal-search", "theme"]) assert.match(names, new RegExp(`^${id}$`, "m"));
  for (const name of ["web", "shop", "mail", "dns", "api"]) assert.match(names, new RegExp(`${name}\\b`));

  const shop = page.getByRole("button", { name: /shop/ });
  assert.equal(await shop.getAttribute("aria-expanded"), "true");
  await shop.focus();
  await page.keyboard.press("Enter");
  assert.equal(await shop.getAttribute("aria-expanded"), "false");
  await page.getByRole("table", { name: "Real servers of web" }).getByRole("row", { name: /draining 10\.0\.0\.104:80/ }).or(page.getByRole("rowheader", { name: /10\.0\.0\.104:80/ })).first().waitFor();
  await page.getByRole("img", { name: /active connections, last ten minutes: \d/ }).first().waitFor();
  for (const name of ["Directors", "Virtual services", "Journal", "Virtual addresses", "Drains"]) {
    await page.getByRole("region", { name, exact: true }).waitFor();
  }
});

test("the focus stays where it was when the order changes", async (t) => {
  const { page, director } = await look(t, "12x4");
  const button = page.getByRole("button", { name: /service-9\b/ });
  await button.focus();
  director.say("down service-9 10.0.8.101:80 connection refused");
  await page.waitForFunction(() => document.querySelector("#virtuals .virtual .name").textContent === "service-9");
  assert.equal(await page.evaluate(() => document.activeElement.querySelector(".name")?.textContent + " " + document.activeElement.tagName), "service-9 BUTTON");
});

test("colours are as chosen, also after a reload", async (t) => {
  const { page } = await look(t, "pair", { colorScheme: "light" });
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await back();
  await page.locator("#theme").selectOption("dark");
  assert.notEqual(await back(), light);
  await page.reload();
  await page.waitForSelector("#live[data-state=live]");
  assert.notEqual(await back(), light);
});
