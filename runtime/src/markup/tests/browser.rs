//! What a browser's parser makes of the output, by html5ever, which implements the parser of the HTML standard.

use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;

use super::*;

/// The page around the content.
fn page(content: &str) -> String {
    format!(
        "<!doctype html><html><head><title>t</title></head><body><header><p>h</p></header><main id=\"main\">\
         <div id=\"plugin-content\">{content}</div><p id=\"after\">after</p></main><footer>f</footer></body></html>"
    )
}

fn parse(html: &str) -> RcDom {
    html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html)
}

/// An element as the tests compare it.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
}

fn nodes(handle: &Handle) -> Vec<Node> {
    let children = handle.children.borrow();
    children
        .iter()
        .filter_map(|child| match &child.data {
            NodeData::Element { name, attrs, .. } => Some(Node {
                name: name.local.to_string(),
                attributes: attrs
                    .borrow()
                    .iter()
                    .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
                    .collect(),
                children: nodes(child),
            }),
            _ => None,
        })
        .collect()
}

fn find<'a>(nodes: &'a [Node], id: &str) -> Option<&'a Node> {
    nodes.iter().find_map(|node| {
        let has = node
            .attributes
            .iter()
            .any(|(name, value)| name == "id" && value == id);
        if has { Some(node) } else { find(&node.children, id) }
    })
}

/// The tree that the tags describe, read without any of a browser's rules.
fn described(html: &str) -> Vec<Node> {
    use super::super::token::{Token, Tokenizer};
    let mut tokens = Tokenizer::new(html);
    let mut open = vec![Node {
        name: String::new(),
        attributes: vec![],
        children: vec![],
    }];
    let close = |open: &mut Vec<Node>| {
        let node = open.pop().unwrap();
        open.last_mut().unwrap().children.push(node);
    };
    while let Some(token) = tokens.next().unwrap() {
        match token {
            Token::Text(_) => {}
            Token::End(name) => {
                assert_eq!(open.last().unwrap().name, name);
                close(&mut open);
            }
            Token::Start(tag) => {
                let attributes = tag
                    .attributes
                    .iter()
                    .map(|a| (a.name.to_string(), a.value.to_string()))
                    .collect();
                open.push(Node {
                    name: tag.name.to_string(),
                    attributes,
                    children: vec![],
                });
                if ["br", "hr", "img", "input", "col", "wbr"].contains(&&*tag.name) {
                    close(&mut open);
                } else if tag.name == "textarea" {
                    tokens.raw_text("textarea").unwrap();
                    close(&mut open);
                }
            }
        }
    }
    assert_eq!(open.len(), 1);
    open.pop().unwrap().children
}

/// A browser puts a `tbody` around rows that have none.
fn without_implied_tbody(nodes: Vec<Node>) -> Vec<Node> {
    let mut out = Vec::new();
    for mut node in nodes {
        node.children = without_implied_tbody(node.children);
        if node.name == "tbody" && node.attributes.is_empty() {
            out.append(&mut node.children);
        } else {
            out.push(node);
        }
    }
    out
}

/// Checks that the output stays in its place, is what it says, and holds nothing forbidden.
fn check(output: &str) {
    let whole = nodes(&parse(&page(output)).document);
    let empty = nodes(&parse(&page("")).document);
    let content = find(&whole, "plugin-content").unwrap();
    assert_eq!(
        without_implied_tbody(described(output)),
        without_implied_tbody(nodes_of(content)),
        "a browser sees another tree in {output}"
    );
    // Without the content the page is what it is without any.
    let mut hollow = whole;
    hollow_out(&mut hollow);
    assert_eq!(hollow, empty, "the page around was changed by {output}");
    for node in described(output) {
        check_node(&node, output);
    }
    // An independent reading by the rewriter that this policy does not use.
    let mut seen = Vec::new();
    let rewritten = lol_html::rewrite_str(
        output,
        lol_html::RewriteStrSettings::new().append_element_content_handler(lol_html::element!(
            "*",
            |element| {
                seen.push(element.tag_name());
                for attribute in element.attributes() {
                    assert!(!attribute.name().starts_with("on"), "{}", attribute.name());
                }
                Ok(())
            }
        )),
    );
    assert_eq!(rewritten.unwrap(), output);
    assert!(
        !seen
            .iter()
            .any(|name| ["script", "style", "iframe", "object", "base", "meta"].contains(&name.as_str()))
    );
}

fn nodes_of(node: &Node) -> Vec<Node> {
    node.children
        .iter()
        .map(|child| Node {
            name: child.name.clone(),
            attributes: child.attributes.clone(),
            children: nodes_of(child),
        })
        .collect()
}

fn hollow_out(nodes: &mut [Node]) {
    for node in nodes {
        if node
            .attributes
            .iter()
            .any(|(name, value)| name == "id" && value == "plugin-content")
        {
            node.children.clear();
        }
        hollow_out(&mut node.children);
    }
}

fn check_node(node: &Node, output: &str) {
    assert!(
        ![
            "script", "style", "iframe", "object", "embed", "link", "meta", "base", "template", "math",
            "dialog"
        ]
        .contains(&node.name.as_str()),
        "{output}"
    );
    for (name, value) in &node.attributes {
        assert!(
            !name.starts_with("on") && name != "style" && name != "srcdoc" && !name.contains(':'),
            "{output}"
        );
        match name.as_str() {
            "id" => assert!(value.starts_with("p-"), "{output}"),
            "action" | "formaction" | "hx-get" | "hx-post" | "hx-put" | "hx-patch" | "hx-delete" => {
                assert!(value.starts_with(BASE) && !value.contains("/../"), "{output}");
            }
            "href" => assert!(
                (value.starts_with('/') && !value.starts_with("//"))
                    || value.starts_with("#p-")
                    || value.to_ascii_lowercase().starts_with("http://")
                    || value.to_ascii_lowercase().starts_with("https://"),
                "{output}"
            ),
            "src" => assert!(
                value.starts_with(BASE) || value.starts_with("/assets/"),
                "{output}"
            ),
            "hx-trigger" => assert_eq!(value, "portico:refresh", "{output}"),
            "type" => assert_ne!(value.to_ascii_lowercase(), "password", "{output}"),
            _ => {}
        }
    }
    for child in &node.children {
        check_node(child, output);
    }
}

/// Pieces that attacks and honest pages are made of.
const PIECES: &[&str] = &[
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<a href=\"x\">",
    "</a>",
    "<table>",
    "</table>",
    "<tr>",
    "</tr>",
    "<td>",
    "</td>",
    "<tbody>",
    "</tbody>",
    "<ul>",
    "</ul>",
    "<li>",
    "</li>",
    "<dl>",
    "</dl>",
    "<dt>",
    "</dt>",
    "<dd>",
    "</dd>",
    "<form>",
    "</form>",
    "<button>",
    "</button>",
    "<select>",
    "</select>",
    "<option>",
    "</option>",
    "<textarea>",
    "</textarea>",
    "<svg>",
    "</svg>",
    "<use href=\"/assets/a#b\"/>",
    "<h2>",
    "</h2>",
    "<pre>",
    "</pre>",
    "<details>",
    "</details>",
    "<summary>",
    "</summary>",
    "<label>",
    "</label>",
    "<input name=\"a\">",
    "<br>",
    "<hr>",
    "<img src=\"/assets/x\">",
    "<script>",
    "</script>",
    "<style>",
    "</style>",
    "<math>",
    "<!--",
    "-->",
    "<!",
    "<?",
    "]]>",
    "<",
    ">",
    "\"",
    "'",
    "=",
    "/",
    "&",
    "&lt;",
    "&#x3c;",
    "text",
    " ",
    "\n",
    "\u{0}",
    "é",
    " title=\"",
    " onclick=\"x\"",
    " style=x",
    " href=\"javascript:x\"",
    " id=\"a\"",
    " hx-get=\"/x\"",
    " class=\"modal\"",
    "<portico-confirm>",
    "</portico-confirm>",
    "<span title=\"</div><script>\">",
    "</span>",
    "<fieldset>",
    "</fieldset>",
    "<caption>",
    "</caption>",
];

/// Elements for trees that are well formed.
const NAMES: &[&str] = &[
    "a",
    "b",
    "button",
    "caption",
    "code",
    "colgroup",
    "datalist",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "figure",
    "form",
    "h2",
    "h3",
    "i",
    "label",
    "legend",
    "li",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "portico-confirm",
    "portico-copy",
    "pre",
    "progress",
    "section",
    "select",
    "small",
    "span",
    "strong",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "u",
    "ul",
    "use",
];

#[derive(Debug, Clone)]
enum Tree {
    Text(&'static str),
    Void(&'static str),
    Element(&'static str, Vec<Tree>),
}

impl Tree {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Void(name) => {
                out.push('<');
                out.push_str(name);
                out.push('>');
            }
            Self::Element(name, children) => {
                out.push('<');
                out.push_str(name);
                out.push('>');
                for child in children {
                    child.write(out);
                }
                out.push_str("</");
                out.push_str(name);
                out.push('>');
            }
        }
    }

    /// Without the parts that the policy refuses, so that what is left is worth a look.
    fn prune(self) -> Option<Self> {
        match self {
            Self::Element(name, children) => {
                let mut kept: Vec<Self> = children.into_iter().filter_map(Self::prune).collect();
                loop {
                    let tree = Self::Element(name, kept.clone());
                    let mut html = String::new();
                    in_context(&tree).write(&mut html);
                    if apply(&html).is_ok() {
                        return Some(tree);
                    }
                    kept.pop()?;
                }
            }
            leaf => Some(leaf),
        }
    }
}

/// What an element needs around it to be allowed at all.
fn in_context(tree: &Tree) -> Tree {
    let name = match tree {
        Tree::Element(name, _) => *name,
        _ => return tree.clone(),
    };
    let wrap = |outer| in_context(&Tree::Element(outer, vec![tree.clone()]));
    match name {
        "li" => wrap("ul"),
        "dt" | "dd" => wrap("dl"),
        "td" | "th" => wrap("tr"),
        "tr" | "tbody" | "thead" | "tfoot" | "caption" | "colgroup" => wrap("table"),
        "option" | "optgroup" => wrap("select"),
        "legend" => wrap("fieldset"),
        "summary" => wrap("details"),
        "use" => wrap("svg"),
        _ => tree.clone(),
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["text", " ", "&amp;", "\n"]).prop_map(Tree::Text),
        prop::sample::select(vec!["br", "hr", "img", "input", "wbr"]).prop_map(Tree::Void),
    ];
    leaf.prop_recursive(7, 60, 4, |inner| {
        (prop::sample::select(NAMES), prop::collection::vec(inner, 0..4))
            .prop_map(|(name, children)| Tree::Element(name, children))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_passes_stays_in_its_place_and_is_harmless(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)
    ) {
        if let Ok(cleaned) = apply(&pieces.concat()) {
            check(&cleaned.html);
            let again = apply(&cleaned.html).unwrap();
            prop_assert_eq!(&again.html, &cleaned.html);
            prop_assert_eq!(again.violations, vec![]);
        }
    }

    #[test]
    fn a_browser_builds_the_tree_that_was_checked(trees in prop::collection::vec(tree(), 1..4)) {
        let mut html = String::new();
        for tree in trees.into_iter().filter_map(Tree::prune) {
            in_context(&tree).write(&mut html);
        }
        let cleaned = apply(&html);
        prop_assume!(cleaned.is_ok());
        check(&cleaned.unwrap().html);
    }

    #[test]
    fn random_text_never_panics_and_what_passes_is_stable(text in "\\PC{0,60}|[<>/a-z\"'= &!;:-]{0,60}") {
        if let Ok(cleaned) = apply(&text) {
            check(&cleaned.html);
            prop_assert_eq!(apply(&cleaned.html).unwrap().html, cleaned.html);
        }
    }

    #[test]
    fn an_attribute_value_cannot_leave_its_quotes(value in "\\PC{0,40}|[\"'<>&#x0-9a-z;=` ]{0,40}") {
        let mut html = String::from("<p title=\"");
        html.push_str(&value.replace('"', "&quot;"));
        html.push_str("\">x</p>");
        check(&apply(&html).unwrap().html);
    }

    #[test]
    fn an_address_never_leads_out_of_the_plugin(address in "[a-zA-Z0-9./\\\\:?#%@ \t\n&;]{0,30}|(\\.\\./|%2e|/|\\\\|x|:|//|\t){0,12}") {
        let html = format!("<form action=\"{address}\"></form><a href=\"{address}\">x</a><div hx-post=\"{address}\"></div>");
        check(&apply(&html).unwrap().html);
    }
}
