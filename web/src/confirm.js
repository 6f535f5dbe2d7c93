// <portico-confirm>: a <details> with a confirmation form becomes a modal dialog.
//
// The panel is moved into the dialog and back, not copied: ids stay unique, and what was typed stays typed.
class PorticoConfirm extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.addEventListener("click", (event) => {
      const summary = event.target.closest("summary");
      if (summary && this.contains(summary)) {
        event.preventDefault();
        this.ask();
      }
    });
  }

  ask() {
    const details = this.querySelector("details");
    const panel = details?.querySelector(":scope > .portico-confirm-panel");
    if (!panel) return;
    details.open = false;
    const dialog = document.createElement("dialog");
    dialog.className = "portico-dialog";
    const heading = panel.querySelector(".portico-confirm-title");
    if (heading) dialog.setAttribute("aria-label", heading.textContent.trim());
    this.setAttribute("data-portico-busy", "");
    dialog.append(panel);

    const actions = panel.querySelector(".portico-confirm-actions");
    const cancel = document.createElement("button");
    cancel.type = "button";
    cancel.className = "btn portico-confirm-cancel";
    cancel.textContent = "Cancel";
    cancel.autofocus = true; // the harmless choice has the focus
    cancel.addEventListener("click", () => dialog.close());
    actions?.prepend(cancel);

    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // the backdrop
    });
    dialog.addEventListener("close", () => {
      cancel.remove();
      if (this.isConnected) details.append(panel);
      this.removeAttribute("data-portico-busy");
      dialog.remove();
      details.querySelector("summary")?.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    (panel.querySelector("input:not([type=hidden]), select, textarea") ?? cancel).focus();
  }
}
customElements.define("portico-confirm", PorticoConfirm);
