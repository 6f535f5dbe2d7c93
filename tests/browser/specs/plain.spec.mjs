import { expect, signIn, test } from "../harness/fixtures.mjs";
import { effects } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

test.use({ customer: null, javaScriptEnabled: false });

test("everything works without JavaScript", async ({ page }) => {
  const { plain } = services;
  await signIn(page, "anna");
  await page.getByRole("link", { name: plain.host }).click();
  await expect(page.locator(".portico-pagehead .portico-badge")).toHaveText("Running");

  await page.getByRole("link", { name: "Snapshots" }).first().click();
  await expect(page.locator(".portico-counter strong")).toHaveText("0/3");
  await page.getByText("Take snapshot").first().click();
  await page.getByLabel("Description").fill("without scripts");
  await page.locator(".portico-confirm-actions").getByRole("button", { name: "Take snapshot" }).first().click();

  // No script asks again; the customer does.
  const snapshot = page.getByRole("row").filter({ hasText: "without scripts" });
  await expect(async () => {
    await page.goto(url(plain, "snapshots"));
    await expect(snapshot).toBeVisible({ timeout: 500 });
    await expect(page.getByRole("region", { name: /^Running:/ })).toHaveCount(0, { timeout: 500 });
  }).toPass({ timeout: 40_000 });

  await snapshot.getByText("Remove", { exact: true }).first().click();
  await snapshot.locator("form[action$=remove] button[type=submit]").click();
  await expect.poll(() => effects("snapshot-removed", plain.vmid), { timeout: 30_000 }).toBe(1);

  await page.locator("header summary").click();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});
