import { confirm, expect, shoot, test } from "../harness/fixtures.mjs";
import { clearFaults, act, effects, inject, vm } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

const counter = (page) => page.locator(".portico-counter strong");
const row = (page, name) => page.getByRole("row").filter({ hasText: name });
const job = (page) => page.getByRole("region", { name: /^Running:/ });

test.afterEach(async () => {
  await clearFaults();
  await act({ action: "release-stuck-tasks" });
});

/** Takes a snapshot by the dialog. */
async function take(page, description) {
  await page.getByRole("button", { name: "Take snapshot" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Description").fill(description);
  await dialog.getByRole("button", { name: "Take snapshot" }).click();
}

test("a snapshot is taken with its progress shown, rolled back to and removed", async ({ page }) => {
  const { vmid } = services.web;
  await page.goto(url(services.web, "snapshots"));
  await expect(counter(page)).toHaveText("1/3");

  // Proxmox does not come to an end with it: the job is seen under way.
  await inject({ fault: "stick-tasks", task: "qmsnapshot", vmid, times: 1 });
  await take(page, "before the upgrade of PHP");
  await expect(job(page)).toBeVisible();
  await expect(job(page).getByRole("progressbar")).toBeVisible();
  await expect(page.getByRole("button", { name: "Take snapshot" })).toHaveAttribute("aria-disabled", "true");
  await shoot(page, "snapshot-under-way");
  await act({ action: "release-stuck-tasks" });

  await expect(row(page, "before the upgrade of PHP")).toBeVisible({ timeout: 30_000 });
  await expect(job(page)).toHaveCount(0, { timeout: 30_000 });
  await expect(counter(page)).toHaveText("2/3");
  await expect(row(page, "before the upgrade of PHP")).toContainText(/0 days 23:59:\d\d/);
  expect(await effects("snapshot-created", vmid)).toBe(1);
  await shoot(page, "snapshots");

  const rollback = page.getByRole("button", { name: "Roll back to before the upgrade of PHP" });
  await expect(rollback).not.toHaveAttribute("aria-disabled", "true", { timeout: 30_000 });
  await rollback.click();
  await expect(page.getByRole("dialog")).toContainText("Everything that has changed on the VM since this snapshot is lost.");
  await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
  await expect.poll(() => effects("snapshot-rolled-back", vmid), { timeout: 30_000 }).toBe(1);
  await expect.poll(async () => (await vm(vmid)).status, { timeout: 30_000 }).toBe("running");

  const remove = page.getByRole("button", { name: "Remove before the upgrade of PHP" });
  await expect(remove).not.toHaveAttribute("aria-disabled", "true", { timeout: 30_000 });
  await confirm(page, remove, "Remove");
  await expect(row(page, "before the upgrade of PHP")).toHaveCount(0, { timeout: 30_000 });
  await expect(counter(page)).toHaveText("1/3");
  expect(await effects("snapshot-removed", vmid)).toBe(1);
});

test("a snapshot goes by itself when its lifetime is over", async ({ page }) => {
  await page.goto(url(services.brief, "snapshots"));
  await expect(counter(page)).toHaveText("0/1");
  await take(page, "short-lived");
  await expect(row(page, "short-lived")).toBeVisible({ timeout: 30_000 });
  await expect(counter(page)).toHaveText("1/1");
  await expect(counter(page)).toHaveText("0/1", { timeout: 75_000 });
  expect(await effects("snapshot-removed", services.brief.vmid)).toBe(1);
});

test("at full quota the button is dimmed with the reason, and the action starts nothing", async ({ page }) => {
  await page.goto(url(services.full, "snapshots"));
  await expect(counter(page)).toHaveText("2/2");
  const button = page.getByRole("button", { name: "Take snapshot" });
  await expect(button).toHaveAttribute("aria-disabled", "true");
  await expect(button.locator(".portico-reason")).not.toBeEmpty();
  await button.click({ force: true });
  await expect(page.getByRole("dialog")).toHaveCount(0);

  await page.evaluate((to) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: to });
    document.body.append(form);
    form.submit();
  }, url(services.full, "snapshots/create"));
  await expect(page.getByText("All 2 snapshots are in use. Remove one first.")).toBeVisible();
  expect(await effects("snapshot-created", services.full.vmid)).toBe(0);
});
