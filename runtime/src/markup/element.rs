//! The elements a plugin may write, and which may stand in which.
//!
//! The rules are those under which a browser builds exactly the tree that the tags describe: nothing is closed, moved or
//! added by its parser (HTML standard, 13.2.6), so what was checked is what is shown. Markup that breaks one is refused.

/// What the content of an element may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing; there is no end tag.
    Void,
    /// Whatever may stand in the element around it.
    Any,
    /// Text and elements of running text, no blocks.
    Phrasing,
    /// As `Phrasing`, and nothing that can be clicked or filled in.
    Label,
    /// Text only.
    Text,
    /// Text only, in which a browser knows no tags but the end tag.
    RawText,
    /// Only these elements, and space between them.
    Only(&'static [&'static str]),
}

/// An element that a plugin may write.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) content: Content,
    /// Whether it is a block, which may not stand in running text.
    block: bool,
    /// Whether it can be clicked or filled in.
    interactive: bool,
    /// The elements it must stand in, empty when that does not matter.
    parents: &'static [&'static str],
}

impl Element {
    const fn block(name: &'static str, content: Content) -> Self {
        Self {
            name,
            content,
            block: true,
            interactive: false,
            parents: &[],
        }
    }

    const fn inline(name: &'static str, content: Content) -> Self {
        Self {
            name,
            content,
            block: false,
            interactive: false,
            parents: &[],
        }
    }

    const fn control(name: &'static str, content: Content) -> Self {
        Self {
            name,
            content,
            block: false,
            interactive: true,
            parents: &[],
        }
    }

    const fn part(name: &'static str, content: Content, parents: &'static [&'static str]) -> Self {
        Self {
            name,
            content,
            block: false,
            interactive: false,
            parents,
        }
    }
}

use Content::{Any, Label, Only, Phrasing, RawText, Text, Void};

/// All elements, in alphabetical order. Those whose name begins with `portico-` are the host's custom elements.
static ELEMENTS: &[Element] = &[
    Element::control("a", Any),
    Element::inline("abbr", Phrasing),
    Element::block("address", Any),
    Element::block("article", Any),
    Element::block("aside", Any),
    Element::inline("b", Phrasing),
    Element::inline("bdi", Phrasing),
    Element::block("blockquote", Any),
    Element::inline("br", Void),
    Element::control("button", Label),
    Element::part("caption", Phrasing, &["table"]),
    Element::inline("cite", Phrasing),
    Element::inline("code", Phrasing),
    Element::part("col", Void, &["colgroup"]),
    Element::part("colgroup", Only(&["col"]), &["table"]),
    Element::inline("data", Phrasing),
    Element::inline("datalist", Only(&["option"])),
    Element::part("dd", Any, &["dl", "div"]),
    Element::inline("del", Phrasing),
    Element::block("details", Any),
    Element::inline("dfn", Phrasing),
    Element::block("div", Any),
    Element::block("dl", Only(&["dt", "dd", "div"])),
    Element::part("dt", Phrasing, &["dl", "div"]),
    Element::inline("em", Phrasing),
    Element::block("fieldset", Any),
    Element::part("figcaption", Any, &["figure"]),
    Element::block("figure", Any),
    Element::block("footer", Any),
    Element::block("form", Any),
    Element::block("h1", Phrasing),
    Element::block("h2", Phrasing),
    Element::block("h3", Phrasing),
    Element::block("h4", Phrasing),
    Element::block("h5", Phrasing),
    Element::block("h6", Phrasing),
    Element::block("header", Any),
    Element::block("hr", Void),
    Element::inline("i", Phrasing),
    Element::inline("img", Void),
    Element::control("input", Void),
    Element::inline("ins", Phrasing),
    Element::inline("kbd", Phrasing),
    Element::inline("label", Phrasing),
    Element::part("legend", Phrasing, &["fieldset"]),
    Element::part("li", Any, &["ul", "ol"]),
    Element::inline("mark", Phrasing),
    Element::inline("meter", Phrasing),
    Element::block("nav", Any),
    Element::block("ol", Only(&["li"])),
    Element::part("optgroup", Only(&["option"]), &["select"]),
    Element::part("option", Text, &["select", "optgroup", "datalist"]),
    Element::inline("output", Phrasing),
    Element::block("p", Phrasing),
    Element::inline("portico-chart", Any),
    Element::inline("portico-confirm", Any),
    Element::inline("portico-console", Any),
    Element::inline("portico-copy", Phrasing),
    Element::inline("portico-progress", Any),
    Element::inline("portico-sortable", Any),
    Element::block("pre", Phrasing),
    Element::inline("progress", Phrasing),
    Element::inline("q", Phrasing),
    Element::inline("s", Phrasing),
    Element::inline("samp", Phrasing),
    Element::block("section", Any),
    Element::control("select", Only(&["option", "optgroup"])),
    Element::inline("small", Phrasing),
    Element::inline("span", Phrasing),
    Element::inline("strong", Phrasing),
    Element::inline("sub", Phrasing),
    Element::part("summary", Phrasing, &["details"]),
    Element::inline("sup", Phrasing),
    Element::inline("svg", Only(&["use"])),
    Element::block(
        "table",
        Only(&["caption", "colgroup", "thead", "tbody", "tfoot", "tr"]),
    ),
    Element::part("tbody", Only(&["tr"]), &["table"]),
    Element::part("td", Any, &["tr"]),
    Element::control("textarea", RawText),
    Element::part("tfoot", Only(&["tr"]), &["table"]),
    Element::part("th", Any, &["tr"]),
    Element::part("thead", Only(&["tr"]), &["table"]),
    Element::inline("time", Phrasing),
    Element::part("tr", Only(&["td", "th"]), &["table", "thead", "tbody", "tfoot"]),
    Element::inline("u", Phrasing),
    Element::block("ul", Only(&["li"])),
    Element::part("use", Only(&[]), &["svg"]),
    Element::inline("var", Phrasing),
    Element::inline("wbr", Void),
];

/// Elements in each other deeper than this are refused. Browsers flatten at 512.
const MAX_DEPTH: usize = 100;

/// The element of a name in lower case.
pub(super) fn find(name: &str) -> Option<&'static Element> {
    let index = ELEMENTS.binary_search_by(|element| element.name.cmp(name)).ok()?;
    ELEMENTS.get(index)
}

/// The elements that are open at a point of the markup, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Open(Vec<&'static Element>);

impl Open {
    /// Whether `element` may begin here; if not, why.
    pub(super) fn admit(&self, element: &'static Element) -> Result<(), String> {
        let name = element.name;
        if self.0.len() >= MAX_DEPTH {
            return Err(format!("elements in each other deeper than {MAX_DEPTH} levels"));
        }
        let parent = self.0.last();
        if !element.parents.is_empty() && !parent.is_some_and(|parent| element.parents.contains(&parent.name))
        {
            return Err(format!(
                "`{name}` outside of `{}`",
                element.parents.join("` or `")
            ));
        }
        if let Some(parent) = parent {
            match parent.content {
                Only(allowed) if !allowed.contains(&name) => {
                    return Err(format!("`{name}` directly in `{}`", parent.name));
                }
                Text => return Err(format!("`{name}` in `{}`, which takes text only", parent.name)),
                _ => {}
            }
        }
        // `div` may hold `dt` and `dd` only where it groups them in a `dl`.
        if matches!(name, "dt" | "dd") && parent.is_some_and(|parent| parent.name == "div") {
            let grandparent = self.0.len().checked_sub(2).and_then(|index| self.0.get(index));
            if grandparent.is_none_or(|element| element.name != "dl") {
                return Err(format!("`{name}` outside of `dl`"));
            }
        }
        for outer in self.0.iter().rev() {
            if element.block && matches!(outer.content, Phrasing | Label) {
                return Err(format!(
                    "`{name}` in `{}`, which takes running text only",
                    outer.name
                ));
            }
            if element.interactive && outer.content == Label {
                return Err(format!("`{name}` in `{}`", outer.name));
            }
            if outer.name == name && matches!(name, "a" | "form" | "label") {
                return Err(format!("`{name}` in `{name}`"));
            }
        }
        Ok(())
    }

    /// Whether text may stand here; if not, why. Space may stand everywhere.
    pub(super) fn admit_text(&self) -> Result<(), String> {
        match self.0.last() {
            Some(Element {
                name,
                content: Only(_),
                ..
            }) => Err(format!("text directly in `{name}`")),
            _ => Ok(()),
        }
    }

    pub(super) fn push(&mut self, element: &'static Element) {
        self.0.push(element);
    }

    /// Closes the innermost element; it must be `name`.
    pub(super) fn close(&mut self, name: &str) -> Result<&'static Element, String> {
        match self.0.pop() {
            Some(element) if element.name == name => Ok(element),
            Some(element) => Err(format!("`</{name}>` where `{}` is open", element.name)),
            None => Err(format!("`</{name}>` where nothing is open")),
        }
    }

    /// The element that is still open, the innermost.
    pub(super) fn unclosed(&self) -> Option<&'static str> {
        self.0.last().map(|element| element.name)
    }

    /// Whether an element of this name is open.
    pub(super) fn inside(&self, name: &str) -> bool {
        self.0.iter().any(|element| element.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_are_sorted_for_the_binary_search() {
        assert!(ELEMENTS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn the_names_that_rules_mention_are_elements() {
        for element in ELEMENTS {
            for parent in element.parents {
                assert!(find(parent).is_some(), "{parent}");
            }
            if let Only(children) = element.content {
                assert!(
                    children.iter().all(|child| find(child).is_some()),
                    "{}",
                    element.name
                );
            }
        }
    }
}
