import { expect, shoot, test } from "../harness/fixtures.mjs";
import { act, consoleOf } from "../harness/control.mjs";
import { openPort, servePage, signInToProxmox } from "../harness/vnc.mjs";

// A VM that no other spec uses.
const VM = { node: "pve1", vmid: 105 };

test.use({ customer: null, ignoreHTTPSErrors: true });

test.afterEach(() => act({ action: "set-running", vmid: VM.vmid, running: true }));

/** Opens the page and collects whatever the browser complains of. */
async function look(page, context) {
  const complaints = [];
  page.on("console", (message) => {
    // noVNC reads its own canvas when that takes another size.
    const harmless = message.text().startsWith("Canvas2D: Multiple readback operations");
    if (["error", "warning"].includes(message.type()) && !harmless) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const url = await servePage(context);
  const csrf = await signInToProxmox(context);
  await page.goto(url);
  const screen = page.locator("#screen");
  await expect(screen).toHaveAttribute("data-state", "ready");
  return { screen, csrf, complaints };
}

// A character's cell on the screen, in pixels.
const CELL = { width: 9, height: 16 };
const SHOWN = { text: true, behind: false };

/** Whether the line that begins so is drawn on the canvas: pixels where its text is, and none behind it. */
const lineOnScreen = (page, begin) => async () => {
  const { lines, pixels } = await consoleOf(VM.vmid);
  const row = lines.findLastIndex((line) => line.startsWith(begin));
  // One cell more, for the cursor.
  const end = (lines[row].length + 2) * CELL.width;
  const lit = (x, width) =>
    page.evaluate(([...part]) => window.lit(...part), [x, row * CELL.height, width, CELL.height]);
  return { text: (await lit(0, end)) > 10 * lines[row].length, behind: (await lit(end, pixels[0] - end)) > 0 };
};

const text = async () => (await consoleOf(VM.vmid)).lines.join("\n").trimEnd();

test("noVNC shows the simulator's console, types a line and sees it echoed", async ({ page, context }) => {
  const { screen, csrf, complaints } = await look(page, context);
  const { path, password } = await openPort(context, csrf, VM.node, VM.vmid);
  await page.evaluate(([path, password]) => window.open(path, password), [path, password]);
  await expect(screen).toHaveAttribute("data-state", "connected");
  await expect(screen).toHaveAttribute("data-name", "QEMU (legacy)");
  expect(await text()).toMatch(/legacy login:$/);
  await expect.poll(lineOnScreen(page, "legacy login:")).toEqual(SHOWN);

  await page.evaluate(() => window.rfb.focus());
  await page.keyboard.type("root");
  await page.keyboard.press("Enter");
  await page.keyboard.type("secret");
  await page.keyboard.press("Enter");
  await page.keyboard.type("echo Hello, World? (1+1) ~");
  await page.keyboard.press("Enter");
  await expect.poll(text).toMatch(/root@legacy:~# echo Hello, World\? \(1\+1\) ~\nHello, World\? \(1\+1\) ~\nroot@legacy:~#$/);
  await expect.poll(lineOnScreen(page, "Hello, World? (1+1) ~")).toEqual(SHOWN);
  await shoot(page, "novnc-echo");

  // The pointer is drawn where it is, by the server: the canvas has the screen's size here.
  const canvas = await screen.locator("canvas").boundingBox();
  await page.mouse.move(canvas.x + 300, canvas.y + 120);
  await expect.poll(async () => (await consoleOf(VM.vmid)).pointer).toEqual([300, 120, 0]);
  await page.mouse.down();
  await expect.poll(async () => (await consoleOf(VM.vmid)).pointer).toEqual([300, 120, 1]);
  await page.mouse.up();

  // The screen follows the window, and the prompt is still there.
  await page.evaluate(() => { window.rfb.resizeSession = true; });
  await expect.poll(async () => (await consoleOf(VM.vmid)).pixels).toEqual([900, 500]);
  expect(await text()).toMatch(/root@legacy:~#$/);
  await expect(screen.locator("canvas")).toHaveJSProperty("width", 900);
  await expect.poll(() => page.evaluate(() => window.painted(899, 499))).toBe(true);
  await shoot(page, "novnc-resized");

  await page.evaluate(() => window.rfb.sendCtrlAltDel());
  await expect.poll(text).toMatch(/^SeaBIOS/);
  await expect.poll(text).toMatch(/legacy login:$/);

  await page.evaluate(() => window.rfb.disconnect());
  await expect(screen).toHaveAttribute("data-state", "ended");
  expect(complaints).toEqual([]);
});

test("noVNC says when the password is wrong", async ({ page, context }) => {
  const { screen, csrf } = await look(page, context);
  const { path } = await openPort(context, csrf, VM.node, VM.vmid);
  await page.evaluate((path) => window.open(path, "wrong"), path);
  await expect(screen).toHaveAttribute("data-failure", "Authentication failed");
  await expect(screen).toHaveAttribute("data-state", "broken");
});

test("a console ends in order when its VM stops", async ({ page, context }) => {
  const { screen, csrf, complaints } = await look(page, context);
  const { path, password } = await openPort(context, csrf, VM.node, VM.vmid);
  await page.evaluate(([path, password]) => window.open(path, password), [path, password]);
  await expect(screen).toHaveAttribute("data-state", "connected");
  await act({ action: "set-running", vmid: VM.vmid, running: false });
  await expect(screen).toHaveAttribute("data-state", "ended");
  expect(complaints).toEqual([]);
});
