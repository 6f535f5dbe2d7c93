// Live regions: `.portico-live` elements ask the server for themselves again and morph the answer in.
//
// Every 7 s while the tab is visible; every second for 15 s after an action and as long as the server says so (an
// element with data-portico-fast, or the response header `HX-Trigger: portico:fast`); never while the tab is hidden.
// Each region has its own clock: one that fails is asked less and less often, and does not slow the others down.
import htmx from "./htmx-setup.js";

const CALM = 7_000;
const FAST = 1_000;
const FAST_FOR = 15_000;
const MAX_BACKOFF = 60_000;
const TICK = 250;

const now = () => performance.now();
const regions = () => [...document.querySelectorAll(".portico-live[hx-get]")];

let fastUntil = 0;
const pace = () => (now() < fastUntil || document.querySelector("[data-portico-fast]") ? FAST : CALM);

/** Region → what is known of it. */
const states = new WeakMap();
function stateOf(region) {
  let state = states.get(region);
  if (!state) states.set(region, (state = { failures: 0, asked: now(), waiting: false }));
  return state;
}

function isDue(state) {
  const wait = state.failures > 0 ? Math.min(FAST * 2 ** state.failures, MAX_BACKOFF) : pace();
  // One whose answer is awaited is left alone: at a slow server, requests must not pile up.
  return !state.waiting && now() - state.asked >= wait;
}

function ask(region, state) {
  state.asked = now();
  htmx.trigger(region, "portico:refresh");
}

function tick() {
  for (const region of regions()) {
    const state = stateOf(region);
    if (isDue(state)) ask(region, state);
  }
}

let timer = 0;
function run() {
  clearInterval(timer);
  if (!document.hidden) timer = setInterval(tick, TICK);
}

/** Asks all at once, as when the tab is looked at again. */
function refreshNow() {
  run();
  for (const region of regions()) {
    const state = stateOf(region);
    state.failures = 0;
    if (!state.waiting) ask(region, state);
  }
}

function goFast() {
  fastUntil = now() + FAST_FOR;
}

function showConnection() {
  const lost = regions().some((region) => stateOf(region).failures > 1); // one lost request in a while is no news
  let note = document.getElementById("portico-offline");
  if (!lost) {
    note?.remove();
  } else if (!note) {
    note = document.createElement("div");
    note.id = "portico-offline";
    note.className = "portico-offline";
    note.setAttribute("role", "status");
    const icon = document.createElement("span");
    icon.className = "icon pi pi-wifi-off";
    icon.setAttribute("aria-hidden", "true");
    note.append(icon, "Connection lost, retrying");
    document.body.append(note);
  }
}

document.addEventListener("htmx:beforeSend", (event) => {
  if (event.detail.elt.matches(".portico-live")) stateOf(event.detail.elt).waiting = true;
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, xhr, successful } = event.detail;
  if (!elt.matches(".portico-live")) return;
  if (xhr?.status === 401) {
    location.reload(); // the session has ended: the server answers with the login page
    return;
  }
  const state = stateOf(elt);
  state.waiting = false;
  state.failures = successful ? 0 : state.failures + 1;
  showConnection();
});
// A fragment may answer an error with words of its own (403, 503): those are shown in the region's place.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status >= 400 && xhr.status !== 401 && xhr.getResponseHeader("X-Portico-Fragment")) {
    event.detail.shouldSwap = true;
  }
});
document.addEventListener("portico:fast", goFast);
document.addEventListener("submit", goFast);
document.addEventListener("visibilitychange", () => (document.hidden ? clearInterval(timer) : refreshNow()));
addEventListener("online", refreshNow);

if (document.body.hasAttribute("data-portico-acted")) goFast();
for (const region of regions()) stateOf(region);
run();
