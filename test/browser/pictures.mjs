// Draws the pictures in docs/pictures: `make pictures`. They need ten minutes of
// history, which is made up here.

import { Director, launch, Visit } from "./browser.mjs";

const to = process.argv[2];
const pictures = [
  { name: "dashboard-light", scene: "night", options: { colorScheme: "light", viewport: { width: 1440, height: 1290 } } },
  { name: "dashboard-dark", scene: "night", options: { colorScheme: "dark", viewport: { width: 1440, height: 1290 } } },
  { name: "dashboard-phone", scene: "night", options: { colorScheme: "light", viewport: { width: 375, height: 812 }, deviceScaleFactor: 2 } },
  { name: "dashboard-200", scene: "200x10", options: { colorScheme: "light", viewport: { width: 1440, height: 900 } }, say: "down service-142 10.0.141.104:80 connect: connection refused" },
];

const browser = await launch();
for (const p of pictures) {
  const director = await Director.start(p.scene);
  if (p.say) director.say(p.say);
  const visit = await Visit.open(browser, director, p.options, (page) => page.route("**/api/v1/history", async (route) => {
    const status = await (await route.fetch({ url: director.url + "api/v1/status" })).json();
    await route.fulfill({ json: past(status) });
  }));
  if (p.name.endsWith("phone")) await visit.page.locator("#virtuals").scrollIntoViewIfNeeded();
  await visit.page.waitForTimeout(8000); // until there are rates
  await visit.page.evaluate(() => scrollTo(0, 0));
  await visit.page.screenshot({ path: `${to}/${p.name}.png` });
  await visit.close();
  await director.stop();
}
await browser.end();

// past is a history that ends where the status is.
function past(status) {
  const end = Date.now();
  const times = Array.from({ length: 61 }, (_, i) => end - (60 - i) * 10e3);
  return {
    interval_seconds: 10,
    times: times.map((t) => new Date(t).toISOString()),
    virtuals: status.virtuals.map((v, i) => ({
      name: v.name,
      reals: v.reals.map((r, j) => {
        const wave = (now, usual) => times.map((t) => {
          const left = (end - t) / 600e3;
          const form = 1 + left * (.35 * Math.sin(t / 70e3 + i + 2 * j) + .12 * Math.sin(t / 9e3 + 5 * j));
          const died = r.state === "up" ? 0 : end - Date.parse(r.since);
          const before = r.state === "draining" ? now * 2.4 : usual;
          if (r.state === "up" || r.state === "disabled" || r.state === "fallback") return Math.round(now * form);
          const share = Math.min(1, (end - t) / died); // 0 now, 1 when it went
          return Math.round(share === 1 ? before * form : now + (before - now) * (r.state === "draining" ? share : 0));
        });
        return { address: r.address, active: wave(r.active_connections, 70), inactive: wave(r.inactive_connections, 150) };
      }),
    })),
  };
}
