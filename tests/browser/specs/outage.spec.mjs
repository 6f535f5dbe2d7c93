import { expect, shoot, test } from "../harness/fixtures.mjs";
import { act } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

test.afterEach(() => act({ action: "set-api-down", down: false }));

test("while Proxmox is down a page says so inside its frame, and works again by itself", async ({ page, context }) => {
  test.setTimeout(180_000);
  await page.goto(url(services.web, "snapshots"));
  const card = page.getByRole("heading", { name: "Snapshots", exact: true });
  await expect(card).toBeVisible();
  await page.evaluate(() => { window.sameDocument = true; });

  await act({ action: "set-api-down", down: true });
  await expect(page.locator("#plugin-content").getByText("Something went wrong")).toBeVisible({ timeout: 60_000 });

  const second = await context.newPage();
  const answer = await second.goto(url(services.web, "snapshots"), { timeout: 60_000 });
  expect(answer.status()).toBeGreaterThanOrEqual(500);
  await expect(second.getByRole("heading", { name: "Something went wrong" })).toBeVisible();
  await expect(second.getByRole("navigation", { name: services.web.host })).toBeVisible();
  await expect(second.locator(".portico-empty code")).toHaveText(/^[0-9a-f]{12}$/);
  const text = await second.locator("body").innerText();
  for (const secret of ["127.0.0.1", "pve1", "qemu", "PVEAPIToken", "panic"]) expect(text).not.toContain(secret);
  await shoot(second, "something-went-wrong");

  await act({ action: "set-api-down", down: false });
  await expect(async () => {
    await second.goto(url(services.web, "snapshots"));
    await expect(second.getByRole("heading", { name: "Snapshots", exact: true })).toBeVisible({ timeout: 1_000 });
  }).toPass({ timeout: 60_000 });
  await expect(card).toBeVisible({ timeout: 90_000 });
  expect(await page.evaluate(() => window.sameDocument)).toBe(true);
});
