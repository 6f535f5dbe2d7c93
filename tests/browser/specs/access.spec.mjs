import { expect, shoot, test } from "../harness/fixtures.mjs";
import { effects } from "../harness/control.mjs";
import { page as url, services } from "../harness/seed.mjs";

test.use({ customer: "ben" });

test("a product without snapshots shows them dimmed and answers their pages with Access Denied", async ({ page }) => {
  await page.goto(url(services.basic, "overview"));
  for (const place of [page.getByRole("navigation", { name: services.basic.host }), page.getByRole("list", { name: "Management" })]) {
    const entry = place.getByRole("button", { name: /^Snapshots/ });
    await expect(entry).toHaveAttribute("aria-disabled", "true");
    await expect(entry).toContainText("Not included in your plan");
    await expect(place.getByRole("link", { name: /^Snapshots/ })).toHaveCount(0);
  }
  await shoot(page, "not-included");

  const answer = await page.goto(url(services.basic, "snapshots"));
  expect(answer.status()).toBe(403);
  await expect(page.getByRole("heading", { name: "Access Denied" })).toBeVisible();
  await expect(page.getByRole("navigation", { name: services.basic.host })).toBeVisible();
  await shoot(page, "access-denied");
  expect((await page.goto(url(services.basic, "snapshots/live"))).status()).toBe(403);

  await page.goto(url(services.basic, "overview"));
  const [posted] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === "POST"),
    page.evaluate((to) => {
      const form = Object.assign(document.createElement("form"), { method: "post", action: to });
      document.body.append(form);
      form.submit();
    }, url(services.basic, "snapshots/create")),
  ]);
  expect(posted.status()).toBe(403);
  expect(await effects("snapshot-created", services.basic.vmid)).toBe(0);
});

test("another customer's service is not found, by whatever page of it", async ({ page }) => {
  for (const path of ["overview", "overview/live", "snapshots", "snapshots/live", "-/live", "-/activity", "no-such-plugin"]) {
    const answer = await page.goto(url(services.web, path));
    expect(answer.status(), path).toBe(404);
    await expect(page.getByText(services.web.host)).toHaveCount(0);
  }
});

test("a form that another site sends is refused", async ({ page }) => {
  await page.route("http://elsewhere.test/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${process.env.PORTICO_URL}${url(services.basic, "overview/stop")}"><button>go</button></form>`,
    }),
  );
  await page.goto("http://elsewhere.test/");
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === "POST"),
    page.getByRole("button", { name: "go" }).click(),
  ]);
  expect([401, 403]).toContain(answer.status());
  expect(await effects("shut-down", services.basic.vmid)).toBe(0);
});
