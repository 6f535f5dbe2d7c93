// noVNC from npm, directly in front of the simulator: a page on the simulator's own origin, so that its cookie counts.
import { readFile } from "node:fs/promises";
import { join, normalize, resolve } from "node:path";

const page = resolve(import.meta.dirname, "vnc");
const novnc = resolve(import.meta.dirname, "../node_modules/@novnc/novnc");
const kinds = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

/** Answers `/vnc/…` on the simulator's origin from files. */
export async function servePage(context) {
  const origin = process.env.PORTICO_SIM_URL;
  // Pages answered here come from no address, and Chromium asks before such a page may talk to this machine.
  await context.grantPermissions(["local-network-access"], { origin });
  await context.route(`${origin}/vnc/**`, async (route) => {
    const path = normalize(new URL(route.request().url()).pathname.slice("/vnc/".length));
    const file = path.startsWith("novnc/") ? join(novnc, path.slice("novnc/".length)) : join(page, path);
    const kind = kinds[/\.\w+$/.exec(file)?.[0]] ?? "application/octet-stream";
    await route.fulfill({ body: await readFile(file), contentType: kind });
  });
  return `${origin}/vnc/index.html`;
}

/** Signs in to the simulated Proxmox as root, with a cookie as a browser has it. */
export async function signInToProxmox(context) {
  const origin = process.env.PORTICO_SIM_URL;
  const answer = await context.request.post(`${origin}/api2/json/access/ticket`, {
    form: { username: "root@pam", password: "demo-root-password" },
  });
  const { data } = await answer.json();
  await context.addCookies([
    { name: "PVEAuthCookie", value: encodeURIComponent(data.ticket), url: origin, secure: true },
  ]);
  return data.CSRFPreventionToken;
}

/** Opens a VM's port; gives the WebSocket's path and VNC's password. */
export async function openPort(context, csrf, node, vmid) {
  const vm = `/api2/json/nodes/${node}/qemu/${vmid}`;
  const answer = await context.request.post(`${process.env.PORTICO_SIM_URL}${vm}/vncproxy`, {
    headers: { CSRFPreventionToken: csrf },
    form: { websocket: "1" },
  });
  const { data } = await answer.json();
  const ticket = encodeURIComponent(data.ticket);
  return { path: `${vm}/vncwebsocket?port=${data.port}&vncticket=${ticket}`, password: data.password ?? data.ticket };
}
