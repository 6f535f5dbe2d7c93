// Everything here only improves pages that already work without it.
import "./htmx-setup.js";
import "./live.js";
import "./confirm.js";
import "./copy.js";
import "./theme.js";
import "./menu.js";
