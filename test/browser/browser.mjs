// Starts what the tests need, and ends it: chromium, and a director for each
// scene, which is test/browser/director behind the real HTTP port.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const binary = process.env.DIRECTOR;
if (!binary) throw new Error("DIRECTOR: where the built test/browser/director is; run `make test-browser`");

// flags keep chromium from asking for hosts elsewhere.
const flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
if (process.getuid() === 0) flags.push("--no-sandbox");

// launch starts chromium with a home of its own, which goes with it.
export async function launch() {
  const home = await mkdtemp(join(tmpdir(), "ipvsd-browser-"));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: flags,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  });
  browser.end = async () => {
    await browser.close();
    await rm(home, { recursive: true, force: true });
  };
  return browser;
}

// Director is a running test/browser/director.
export class Director {
  static async start(scene, listen = "127.0.0.1:0") {
    const d = new Director();
    d.scene = scene;
    d.child = spawn(binary, ["-scene", scene, "-listen", listen], { stdio: ["pipe", "pipe", "inherit"] });
    d.ended = once(d.child, "exit");
    const lines = createInterface({ input: d.child.stdout });
    const gone = d.ended.then(([code]) => { throw new Error("the director ended with " + code); });
    gone.catch(() => {});
    [d.url] = await Promise.race([once(lines, "line"), gone]);
    return d;
  }

  say(line) { this.child.stdin.write(line + "\n"); }

  async stop() {
    this.child.stdin.end();
    await this.ended;
  }

  // again starts a new one where the old one was.
  again() { return Director.start(this.scene, new URL(this.url).host); }
}

// Visit opens the page and writes down what must not be there: messages on the
// console, errors, and requests to anywhere else. before may prepare the page.
export class Visit {
  static async open(browser, director, options = {}, before = () => {}) {
    const v = new Visit();
    v.context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    v.page = await v.context.newPage();
    v.complaints = [];
    v.page.on("console", (m) => v.complaints.push(m.type() + ": " + m.text()));
    v.page.on("pageerror", (e) => v.complaints.push("error: " + e.stack));
    v.page.on("request", (r) => { if (!r.url().startsWith(director.url)) v.complaints.push("request: " + r.url()); });
    await before(v.page);
    await v.page.goto(director.url);
    await v.page.waitForSelector("#live[data-state=live]");
    return v;
  }

  async close() { await this.context.close(); }
}
