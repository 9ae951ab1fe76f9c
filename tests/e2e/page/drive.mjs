// The browser's side of `make test-page`: node drive.mjs URL HOSTILE_URL FOLDER
//
// Each line on standard output tells the other side (tests/page.rs) what the peers are to do next, or, after
// `say`, what to print. What is not as it should be ends this with an error.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, hostileUrl, folder] = process.argv.slice(2);
const ask = (line) => console.log(line);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const profile = await mkdtemp(join(tmpdir(), "sluice-page-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags, viewport: { width: 1200, height: 1000 },
});
browser.setDefaultTimeout(20_000);

try {
  const troubles = [], foreign = [];
  const watch = (page) => {
    page.on("console", (message) => message.type() === "error" && !message.text().startsWith("Executing inline script") && troubles.push(message.text()));
    page.on("pageerror", (error) => troubles.push(String(error)));
    page.on("request", (request) => request.url().startsWith(url) || foreign.push(request.url()));
    return page;
  };
  const page = watch(await browser.newPage());

  await theFirstLoad(page);
  await theRun(page);
  await withKeys(page);
  await accessible(page, "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(500);
  await shoot(page, "dark");
  await accessible(page, "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await narrow(page);
  assert.deepEqual(troubles, [], "the browser has nothing to complain of");
  await theSourceIsLost(page);
  await hostileNames();
  await withoutScript();
  await theAgentEnds(page);
  assert.deepEqual(foreign, [], "no other host is asked");
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}

async function headline(page, text) {
  await page.locator("#headline").filter({ hasText: text }).waitFor();
}

async function shoot(page, name) {
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

async function theFirstLoad(page) {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${url}ready`).catch(() => undefined);
    if (answer?.ok) break;
    assert.ok(tries < 100, "the agent does not become ready");
    await page.waitForTimeout(100);
  }
  let weight = 0;
  const counted = [];
  const count = (answer) => counted.push(answer.body().then((body) => (weight += body.length), () => 0));
  page.on("response", count);
  const answer = await page.goto(url);
  await page.locator("#plot canvas").waitFor();
  page.off("response", count);
  await Promise.all(counted);
  // The browser itself starts with the first load; the others bring everything from the agent as well.
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
  const loads = [];
  for (let i = 0; i < 7; i++) {
    await page.goto(url);
    loads.push(await page.evaluate(() => performance.getEntriesByType("navigation")[0].loadEventEnd));
  }
  await devtools.detach();
  loads.sort((a, b) => a - b);
  ask(`say the page weighs ${(weight / 1000).toFixed(0)} kB; seven loads with nothing cached took ${loads[0].toFixed(0)} to ${loads[6].toFixed(0)} ms, median ${loads[3].toFixed(0)} ms`);
  assert.ok(weight < 150_000, `it weighs ${weight} bytes`);
  assert.ok(loads[0] < 200, `it loads in ${loads} ms`);

  const headers = answer.headers();
  assert.match(headers["content-security-policy"], /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers["cache-control"], "no-store");
  const inline = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "document.documentElement.dataset.ran = 1";
    document.head.append(script);
    return document.documentElement.dataset.ran;
  });
  assert.equal(inline, undefined, "an inline script does not run");
  await page.goto(url);
}

function figure(page, name) {
  return page.locator(".figures > div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd").first();
}

async function theRun(page) {
  await headline(page, "holding: the job is as wide as the stream");
  assert.match(await page.locator("#guard").innerText(), /in_step[\s\S]*What would change it\s+Another number of segments/);
  assert.match(await page.title(), /^Sluice: holding/);
  await page.waitForFunction(() => /Next look in 0\.\d s/.test(document.getElementById("clock").textContent));

  ask("segments 5");
  await page.locator("#history tr").filter({ hasText: "5 segments want parallelism 5 on 5 TaskManagers (now 2 on 2)" }).waitFor();
  await page.locator("#history tr").filter({ hasText: "change 1 up" }).filter({ hasText: "done" }).waitFor();
  await page.waitForFunction(() => document.querySelector(".figures").innerText.match(/TaskManagers\s+5\s+5 asked for/i));
  assert.equal(await figure(page, "Segments").innerText(), "5");
  assert.equal(await figure(page, "Parallelism").innerText(), "5");
  await page.waitForTimeout(3000);

  ask("segments 3");
  await headline(page, "holding: a wider job was wanted within the scale-down window");
  await page.waitForFunction(() => /Ends by itself in [\d.]+ s/.test(document.getElementById("clock").textContent));
  assert.equal(await page.locator("#state").getAttribute("class"), "wait");
  await page.locator("#history tr").filter({ hasText: "change 2 down" }).filter({ hasText: "done" }).waitFor();
  await headline(page, "holding: the job is as wide as the stream");
  await page.waitForTimeout(2500);
  const plot = await (await page.request.get(`${url}plot.json`)).json();
  assert.ok(plot.marks.some((mark) => mark.kind === "start" && mark.reason === "down"));
  assert.deepEqual([...new Set(plot.tracks[0].task_managers.filter(Boolean))], [2, 5, 3], "in that order");
  await page.evaluate(() => document.getElementById("later").click());
  await shoot(page, "followed");
}

async function withKeys(page) {
  await page.getByRole("button", { name: "‹ earlier" }).focus();
  const said = new Set();
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Enter");
    said.add(await page.locator("#mark").innerText());
  }
  assert.ok(said.size >= 3, `the keys lead from mark to mark: ${[...said]}`);
  assert.ok([...said].some((text) => /\d\d:\d\d:\d\d .*change 2 down/.test(text)), [...said].join("\n"));
  await page.getByRole("button", { name: "1 h" }).click();
  assert.equal(await page.getByRole("button", { name: "1 h" }).getAttribute("aria-pressed"), "true");
  await page.getByRole("button", { name: "15 min" }).click();
  await page.getByText("The same as a table").click();
  assert.ok((await page.locator("#turns tbody tr").count()) >= 2);
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(scrolls, false, "the page is not wider than the window");
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const violations = found.violations.map((rule) => `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.html + " " + node.failureSummary).join("; ")}`);
  assert.deepEqual(violations, [], `accessibility, ${what}`);
  assert.ok(found.passes.some((rule) => rule.id === "color-contrast"), "contrast was looked at");
  ask(`say axe-core ${axe.match(/v(\d+\.\d+\.\d+)/)[1]}, ${what}: ${found.passes.length} rules passed, none violated, ${found.incomplete.length} undecided`);
}

async function narrow(page) {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.waitForTimeout(600);
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  await shoot(page, "telephone");
  assert.equal(scrolls, false, "the page fits a telephone");
  await page.setViewportSize({ width: 1200, height: 1000 });
}

async function theSourceIsLost(page) {
  ask("controller away");
  await headline(page, /holding: the last reading of the segments of stream dna\/reads is \d+ s old/);
  assert.equal(await page.locator("#state").getAttribute("class"), "look");
  await page.locator("#sources tr.look").filter({ hasText: "segments of dna/reads" }).waitFor();
  await page.waitForTimeout(4500);
  await shoot(page, "source-lost");
  ask("controller back");
  await headline(page, "holding: the job is as wide as the stream");
}

async function hostileNames() {
  const page = await browser.newPage();
  await page.goto(hostileUrl);
  await page.locator("#plot canvas").waitFor();
  await page.waitForTimeout(1500);
  assert.match(await page.locator("#about").innerText(), /dna\/<img src=x onerror=/);
  assert.equal(await page.locator("img").count(), 0);
  assert.match(await page.title(), /^Sluice: /);
  assert.match(await page.locator("#about").innerText(), /dry run: nothing is carried out/);
  await shoot(page, "hostile");
  await page.close();
}

async function withoutScript() {
  const plain = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
  try {
    const page = await (await plain.newContext({ javaScriptEnabled: false, viewport: { width: 1200, height: 1000 } })).newPage();
    await page.goto(url);
    await headline(page, "holding: the job is as wide as the stream");
    assert.ok((await page.locator("#history tbody tr").count()) > 3);
    assert.match(await page.locator("main").innerText(), /The plot needs JavaScript/);
    assert.equal(await page.locator("#marks").isVisible(), false);
    await shoot(page, "without-script");
  } finally {
    await plain.close();
  }
}

async function theAgentEnds(page) {
  ask("agent ends");
  await page.getByText("The agent does not answer. What is shown is old.").waitFor();
  await shoot(page, "agent-gone");
}
