import { confirm, expect, shoot, test } from "../harness/fixtures.mjs";
import { effects } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

const field = (page, name) => page.locator("dl.portico-fields > div").filter({ has: page.getByText(name, { exact: true }) });

test("the overview shows the VM and changes by itself, without a reload", async ({ page }) => {
  await page.goto(url(services.web, "overview"));
  await expect(page.getByRole("heading", { name: services.web.host })).toBeVisible();
  await page.evaluate(() => { window.sameDocument = true; });
  const uptime = field(page, "Uptime").locator("dd");
  await expect(uptime).toHaveText(/^12 days \d\d:\d\d:\d\d$/);
  const first = await uptime.innerText();
  await shoot(page, "overview");
  await expect(uptime).not.toHaveText(first, { timeout: 30_000 });
  expect(await page.evaluate(() => window.sameDocument)).toBe(true);
});

test("the network card lists the addresses in the order that people look for them", async ({ page }) => {
  await page.goto(url(services.web, "overview"));
  const card = page.locator(".card, section").filter({ has: page.getByRole("heading", { name: "Network" }) }).last();
  await expect(card.locator("dt")).toHaveText([
    "IPv4 address", "IPv4 netmask", "Additional IPv4", "IPv4 gateway", "DNS", "IPv6 address", "IPv6 prefix", "IPv6 gateway", "Domain",
  ]);
  await expect(card).toContainText("2001:db8:20::10");
});

test("a VM is started, rebooted and stopped, each once", async ({ page }) => {
  const { vmid } = services.switched;
  const actions = page.getByRole("group", { name: "Actions" });
  const state = page.locator(".portico-pagehead .portico-badge");
  const button = (name) => actions.getByRole("button", { name: new RegExp(`^${name}`) });
  await page.goto(url(services.switched, "overview"));
  await expect(state).toHaveText("Stopped");
  await expect(button("Stop")).toHaveAttribute("aria-disabled", "true");
  await expect(button("Stop")).toContainText("The VM is stopped");

  await button("Start").click();
  await expect(state).toHaveText("Running", { timeout: 30_000 });
  await expect(button("Start")).toContainText("The VM is running");
  expect(await effects("started", vmid)).toBe(1);

  await expect(button("Reboot")).not.toHaveAttribute("aria-disabled", "true", { timeout: 30_000 });
  await confirm(page, button("Reboot"), "Reboot");
  await expect.poll(() => effects("started", vmid), { timeout: 40_000 }).toBe(2);

  await expect(button("Stop")).not.toHaveAttribute("aria-disabled", "true", { timeout: 40_000 });
  await confirm(page, button("Stop"), "Stop");
  await expect(state).toHaveText("Stopped", { timeout: 40_000 });
  expect(await effects("started", vmid)).toBe(2);
});
