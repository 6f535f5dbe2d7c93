// Live regions: `.portico-live` elements ask the server for themselves again and morph the answer in.
//
// Every 7 s while the tab is visible; every second for 15 s after an action and as long as the server says so (an
// element with data-portico-fast, or the response header `HX-Trigger: portico:fast`); never while the tab is hidden.
import htmx from "./htmx-setup.js";

const CALM = 7_000;
const FAST = 1_000;
const FAST_FOR = 15_000;
const MAX_BACKOFF = 60_000;

let fastUntil = 0;
let failures = 0;
let timer = 0;
let waiting = 0; // requests under way

const regions = () => document.querySelectorAll(".portico-live[hx-get]");
const now = () => performance.now();

function goFast() {
  fastUntil = now() + FAST_FOR;
  schedule();
}

function delay() {
  if (failures > 0) return Math.min(FAST * 2 ** failures, MAX_BACKOFF);
  const fast = now() < fastUntil || document.querySelector("[data-portico-fast]");
  return fast ? FAST : CALM;
}

function schedule() {
  clearTimeout(timer);
  if (document.hidden || regions().length === 0) return;
  timer = setTimeout(refresh, delay());
}

function refresh() {
  if (document.hidden) return;
  // A region whose last answer is still awaited is left alone: a slow server must not see requests pile up.
  if (waiting === 0) regions().forEach((region) => htmx.trigger(region, "portico:refresh"));
  schedule();
}

function connection(lost) {
  let note = document.getElementById("portico-offline");
  if (!lost) {
    note?.remove();
  } else if (!note) {
    note = document.createElement("div");
    note.id = "portico-offline";
    note.className = "portico-offline";
    note.setAttribute("role", "status");
    note.innerHTML = '<span class="icon pi pi-wifi-off" aria-hidden="true"></span> ';
    note.append("Connection lost, retrying");
    document.body.append(note);
  }
}

function failed() {
  failures += 1;
  if (failures > 1) connection(true); // one lost request in a while is no news
  schedule();
}

document.addEventListener("htmx:beforeSend", () => { waiting += 1; });
document.addEventListener("htmx:afterRequest", (event) => {
  waiting = Math.max(0, waiting - 1);
  const { xhr, successful } = event.detail;
  if (successful) {
    failures = 0;
    connection(false);
    schedule();
  } else if (xhr?.status === 401) {
    location.reload(); // the session has ended: the server answers with the login page
  } else {
    failed();
  }
});
// A fragment may answer an error with words of its own (403, 503): show those, keep the rest of the page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  const type = xhr.getResponseHeader("Content-Type") ?? "";
  if (xhr.status >= 400 && xhr.status !== 401 && xhr.getResponseHeader("X-Portico-Fragment") && type.startsWith("text/html")) {
    event.detail.shouldSwap = true;
  }
});
document.addEventListener("portico:fast", goFast);
document.addEventListener("submit", goFast);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
addEventListener("online", refresh);

if (document.body.hasAttribute("data-portico-acted")) goFast();
schedule();
