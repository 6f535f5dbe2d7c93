// htmx under a strict content security policy, with morphing swaps.
import htmx from "htmx.org";
import { Idiomorph } from "idiomorph";

Object.assign(htmx.config, {
  allowEval: false, // no trigger filters, no hx-on, no js: values
  allowScriptTags: false,
  includeIndicatorStyles: false, // htmx would add a <style> element, which the policy refuses
  selfRequestsOnly: true,
  historyEnabled: false, // pages of a client area do not belong into localStorage
  scrollBehavior: "auto",
});

/** Whether a property of a form control says something else than the page that came from the server. */
function isChanged(name, element) {
  if (name === "value" && "defaultValue" in element) return element.value !== element.defaultValue;
  if (name === "checked" && "defaultChecked" in element) return element.checked !== element.defaultChecked;
  if (name === "selected" && "defaultSelected" in element) return element.selected !== element.defaultSelected;
  return false;
}

/** What the person at the screen has opened, typed or ticked, and a refresh must not take away. */
const callbacks = {
  beforeAttributeUpdated(name, element) {
    const isOpened = name === "open" && (element.localName === "details" || element.localName === "dialog");
    return !isOpened && !isChanged(name, element);
  },
  beforeNodeMorphed(old) {
    // A confirmation whose dialog is open keeps its button until it is closed.
    return !(old instanceof Element && old.hasAttribute("data-portico-busy"));
  },
};

htmx.defineExtension("portico-morph", {
  isInlineSwap: (style) => style === "morph" || style === "morph:outerHTML",
  handleSwap(style, target, fragment) {
    if (!style.startsWith("morph")) return false;
    const morphStyle = style === "morph:innerHTML" ? "innerHTML" : "outerHTML";
    return Idiomorph.morph(target, fragment.childNodes, { morphStyle, ignoreActiveValue: true, callbacks });
  },
});

export default htmx;
