// Theme: the server renders data-bs-theme from the cookie `portico_theme` (auto, light or dark); this switches it.
const root = document.documentElement;
const YEAR = 31_536_000;

const shown = () => {
  const theme = root.getAttribute("data-bs-theme");
  if (theme === "light" || theme === "dark") return theme;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
};

function label(button) {
  const other = shown() === "dark" ? "light" : "dark";
  button.setAttribute("aria-label", `Switch to ${other} theme`);
  button.title = `Switch to ${other} theme`;
  button.firstElementChild.className = `icon pi pi-${other === "dark" ? "moon" : "sun"}`;
}

for (const button of document.querySelectorAll(".portico-theme")) {
  label(button);
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = shown() === "dark" ? "light" : "dark";
    root.setAttribute("data-bs-theme", theme);
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `portico_theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
    label(button);
  });
}
