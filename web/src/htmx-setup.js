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

/** What the person at the screen has opened or typed, and a refresh must not take away. */
const callbacks = {
  beforeAttributeUpdated(name, element) {
    return !(name === "open" && (element.localName === "details" || element.localName === "dialog"));
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
