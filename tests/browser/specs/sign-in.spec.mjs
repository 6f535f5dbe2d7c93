import { expect, signIn, test } from "../harness/fixtures.mjs";
import { customers, page as url, PASSWORD, services } from "../harness/seed.mjs";

test.use({ customer: null });

test("a customer signs in, sees his services and nobody else's, and signs out", async ({ page }) => {
  await signIn(page, "anna");
  await expect(page.getByRole("link", { name: services.web.host })).toBeVisible();
  await expect(page.getByText(services.basic.host)).toHaveCount(0);
  const menu = page.locator("header summary");
  await expect(menu).toContainText(customers.anna.name);
  await menu.click();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.goto(`${process.env.PORTICO_URL}/services`);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("a wrong password and an unknown address get the same answer", async ({ page }) => {
  const answers = [];
  for (const [email, password] of [[customers.anna.email, "not-the-password"], ["nobody@example.com", PASSWORD]]) {
    await page.goto(`${process.env.PORTICO_URL}/login`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    answers.push(await page.getByRole("alert").first().innerText());
  }
  expect(answers[0]).toBe(answers[1]);
});

test("who is not signed in comes back to the page he asked for", async ({ page }) => {
  await page.goto(process.env.PORTICO_URL + url(services.web, "snapshots"));
  await page.getByLabel("E-mail address").fill(customers.anna.email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(new RegExp(`${services.web.id}/snapshots$`));
});
