// What every spec starts from: pages that are signed in, the accessibility check, screenshots.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect, test as base } from "@playwright/test";

import { customers, PASSWORD } from "./seed.mjs";

export { expect };

/** Signs in by the form. */
export async function signIn(page, customer) {
  await page.goto(`${process.env.PORTICO_URL}/login`);
  await page.getByLabel("E-mail address").fill(customers[customer].email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Services" })).toBeVisible();
}

export const test = base.extend({
  /** Whose pages a test opens; `test.use({ customer: "ben" })` changes it. */
  customer: ["anna", { option: true }],
  baseURL: async ({}, use) => use(process.env.PORTICO_URL),
  /** The cookies of each customer, by one sign-in each: the panel limits how often an address may sign in. */
  sessions: [
    async ({ browser }, use) => {
      await use(async (customer) => {
        // A file, since a failed test ends the process it ran in.
        const file = resolve(process.env.PORTICO_SESSIONS, `${customer}.json`);
        if (!existsSync(file)) {
          const context = await browser.newContext();
          await signIn(await context.newPage(), customer);
          await context.storageState({ path: file });
          await context.close();
        }
        return file;
      });
    },
    { scope: "worker" },
  ],
  storageState: async ({ sessions, customer }, use) => use(customer ? await sessions(customer) : undefined),
});

/** Fails with every rule of WCAG 2.2 AA and of good practice that the page breaks. */
export async function expectAccessible(page, what) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(
    (rule) => `${rule.id} (${rule.impact}): ${rule.help}\n${rule.nodes.map((node) => `    ${node.html}\n    ${node.failureSummary}`).join("\n")}`,
  );
  expect(found, `accessibility of ${what}`).toEqual([]);
}

/** A picture for people, in target/browser. */
export async function shoot(page, name) {
  const path = resolve(base.info().config.metadata.out, `${name}.png`);
  await page.screenshot({ path, fullPage: true });
}

/** The dialog that a button opens. */
export async function confirm(page, button, submit) {
  await button.click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: submit, exact: true }).click();
}
