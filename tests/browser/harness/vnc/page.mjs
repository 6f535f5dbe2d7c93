// The smallest page that noVNC works in. `open` is called by the test; what happens is told by attributes.
import RFB from "./novnc/core/rfb.js";

const screen = document.getElementById("screen");

window.open = (path, password) => {
  const rfb = new RFB(screen, `wss://${location.host}${path}`, { credentials: { password }, wsProtocols: ["binary"] });
  rfb.addEventListener("connect", () => { screen.dataset.state = "connected"; });
  rfb.addEventListener("desktopname", (event) => { screen.dataset.name = event.detail.name; });
  rfb.addEventListener("securityfailure", (event) => { screen.dataset.failure = event.detail.reason; });
  rfb.addEventListener("disconnect", (event) => { screen.dataset.state = event.detail.clean ? "ended" : "broken"; });
  window.rfb = rfb;
};

/** How many pixels of a part of the screen are not black. */
window.lit = (x, y, width, height) => {
  // Read off a copy: Chromium warns of reading the same canvas often.
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(screen.querySelector("canvas"), x, y, width, height, 0, 0, width, height);
  const { data } = copy.getImageData(0, 0, width, height);
  let lit = 0;
  for (let place = 0; place < data.length; place += 4) if (data[place] || data[place + 1] || data[place + 2]) lit += 1;
  return lit;
};

/** Whether anything was ever drawn at a place. */
window.painted = (x, y) => {
  const copy = new OffscreenCanvas(1, 1).getContext("2d");
  copy.drawImage(screen.querySelector("canvas"), x, y, 1, 1, 0, 0, 1, 1);
  return copy.getImageData(0, 0, 1, 1).data[3] === 255;
};

screen.dataset.state = "ready";
