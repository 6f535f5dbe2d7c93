// <portico-copy value="…">: a button that puts the value on the clipboard. Without JavaScript the element is empty.
class PorticoCopy extends HTMLElement {
  connectedCallback() {
    if (this.querySelector("button") || !navigator.clipboard) return;
    const label = this.getAttribute("label") ?? "value";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "portico-copy-button";
    button.title = "Copy";
    button.setAttribute("aria-label", `Copy ${label}`);
    const icon = document.createElement("span");
    icon.className = "icon pi pi-copy";
    icon.setAttribute("aria-hidden", "true");
    button.append(icon);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(this.getAttribute("value") ?? "");
      icon.className = "icon pi pi-check";
      announce(`Copied ${label}`);
      setTimeout(() => { icon.className = "icon pi pi-copy"; }, 1500);
    });
    this.append(button);
  }
}

function announce(text) {
  const region = document.getElementById("portico-announce");
  if (region) region.textContent = text;
}
customElements.define("portico-copy", PorticoCopy);
