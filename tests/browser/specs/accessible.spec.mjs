import { expect, expectAccessible, shoot, test } from "../harness/fixtures.mjs";
import { act } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

const pages = {
  services: "/services",
  overview: url(services.web, "overview"),
  "overview-stopped": url(services.switched, "overview"),
  snapshots: url(services.web, "snapshots"),
  "snapshots-full": url(services.full, "snapshots"),
  activity: url(services.web, "-/activity"),
  profile: "/profile",
  "not-found": "/no-such-page",
};

for (const colorScheme of ["light", "dark"]) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme });

    for (const [name, path] of Object.entries(pages)) {
      test(`${name} has no accessibility violations`, async ({ page }) => {
        await page.goto(path);
        await expectAccessible(page, `${name} in ${colorScheme}`);
        await shoot(page, `${name}-${colorScheme}`);
      });
    }

    test("a confirmation dialog has no accessibility violations", async ({ page }) => {
      await page.goto(url(services.web, "snapshots"));
      await page.getByRole("button", { name: "Take snapshot" }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
      await expectAccessible(page, `dialog in ${colorScheme}`);
      await shoot(page, `dialog-${colorScheme}`);
      await page.keyboard.press("Escape");
      await expect(page.getByRole("dialog")).toHaveCount(0);
    });

    test("Something went wrong has no accessibility violations", async ({ page }) => {
      try {
        await act({ action: "set-api-down", down: true });
        await expect(async () => {
          await page.goto(url(services.web, "snapshots"), { timeout: 30_000 });
          await expect(page.getByRole("heading", { name: "Something went wrong" })).toBeVisible({ timeout: 500 });
        }).toPass({ timeout: 60_000 });
        await expectAccessible(page, `Something went wrong in ${colorScheme}`);
      } finally {
        await act({ action: "set-api-down", down: false });
      }
    });
  });
}

test.describe("signed out", () => {
  test.use({ customer: null });
  for (const colorScheme of ["light", "dark"]) {
    test(`the sign-in page has no accessibility violations in ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.goto("/login");
      await expectAccessible(page, `sign-in in ${colorScheme}`);
      await shoot(page, `sign-in-${colorScheme}`);
    });
  }
});

test.describe("with Access Denied", () => {
  test.use({ customer: "ben" });
  for (const colorScheme of ["light", "dark"]) {
    test(`Access Denied has no accessibility violations in ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.goto(url(services.basic, "snapshots"));
      await expect(page.getByRole("heading", { name: "Access Denied" })).toBeVisible();
      await expectAccessible(page, `Access Denied in ${colorScheme}`);
    });
  }
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  for (const [name, path] of Object.entries(pages)) {
    test(`${name} fits the width of a phone`, async ({ page }) => {
      await page.goto(path);
      const [content, window_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(content).toBeLessThanOrEqual(window_);
      await expectAccessible(page, `${name} on a phone`);
      await shoot(page, `${name}-phone`);
    });
  }
});
