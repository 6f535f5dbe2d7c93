// Menus are <details>; this closes them on Escape and on a click elsewhere, and shows the active entry of the sidebar.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.portico-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.portico-menu[open]")) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

const strip = document.querySelector(".portico-sidebar ul");
const current = strip?.querySelector("[aria-current]");
if (current && strip.scrollWidth > strip.clientWidth) {
  strip.scrollLeft = current.offsetLeft - strip.clientWidth / 2 + current.offsetWidth / 2;
}
