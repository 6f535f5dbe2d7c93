// The simulator's control API: what happens to the cluster from outside, and what really happened in it.
async function call(method, path, body) {
  const answer = await fetch(`${process.env.PORTICO_SIM_CONTROL}${path}`, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

export const act = (action) => call("POST", "/actions", action);
export const inject = (fault) => call("POST", "/faults", fault);
export const clearFaults = () => call("DELETE", "/faults");
/** What the screen of a VM shows. */
export const consoleOf = (vmid) => call("GET", `/vms/${vmid}/console`);
export const vm = (vmid) => call("GET", `/vms/${vmid}`);

/** How often something really happened to a VM. */
export async function effects(effect, vmid) {
  const all = await call("GET", "/effects");
  return all.filter((one) => one.effect === effect && one.vmid === vmid).reduce((sum, one) => sum + one.count, 0);
}
