//! The attributes a plugin may write, and what their values may be. What is not allowed is left out of the page.

use std::borrow::Cow;

use super::address::{self, Use};
use super::class;
use super::element::Open;
use super::token::{Attribute, StartTag};

/// What becomes of an attribute.
pub(super) enum Verdict<'a> {
    /// Written with this value.
    Write(Cow<'a, str>),
    /// Written with this value; something was taken out of it.
    Trimmed(String, String),
    /// Left out, with the reason.
    Drop(&'static str),
}

/// Attributes that every element may have and whose value is only text or a number to the browser.
const PLAIN: &[&str] = &["dir", "hidden", "lang", "title", "translate"];

/// Attributes of ARIA whose value names elements by their ids.
const ARIA_REFERENCES: &[&str] = &[
    "aria-activedescendant",
    "aria-controls",
    "aria-describedby",
    "aria-details",
    "aria-errormessage",
    "aria-flowto",
    "aria-labelledby",
    "aria-owns",
];

/// Roles that claim a part of the page that belongs to the host.
const HOST_ROLES: &[&str] = &["alertdialog", "application", "banner", "dialog", "main"];

/// What `input` may be. `password` is not among them: a plugin has no business with passwords, and a form that asks for
/// one looks like the panel's login. `file` and `image` send what the host does not take.
const INPUT_TYPES: &[&str] = &[
    "checkbox",
    "color",
    "date",
    "datetime-local",
    "email",
    "hidden",
    "month",
    "number",
    "radio",
    "range",
    "reset",
    "search",
    "submit",
    "tel",
    "text",
    "time",
    "url",
    "week",
];

/// Values of `autocomplete` that make a browser fill in the customer's credentials or cards.
const CREDENTIALS: &[&str] = &[
    "current-password",
    "new-password",
    "username",
    "one-time-code",
    "webauthn",
    "cc-",
];

/// Names of form fields that would hide what scripts call on the form.
const CLOBBERING: &[&str] = &[
    "addeventlistener",
    "appendchild",
    "attributes",
    "checkvalidity",
    "childnodes",
    "children",
    "classlist",
    "clonenode",
    "closest",
    "constructor",
    "contains",
    "dataset",
    "dispatchevent",
    "elements",
    "firstchild",
    "firstelementchild",
    "getattribute",
    "getattributenames",
    "getrootnode",
    "hasattribute",
    "innerhtml",
    "insertbefore",
    "isconnected",
    "lastchild",
    "localname",
    "matches",
    "nextsibling",
    "nodename",
    "nodetype",
    "nodevalue",
    "outerhtml",
    "ownerdocument",
    "parentelement",
    "parentnode",
    "previoussibling",
    "queryselector",
    "queryselectorall",
    "remove",
    "removeattribute",
    "removechild",
    "removeeventlistener",
    "replacewith",
    "reportvalidity",
    "requestsubmit",
    "reset",
    "setattribute",
    "submit",
    "tagname",
    "textcontent",
    "_charset_",
    "isindex",
];

/// Values of `hx-swap`. Those that write outside of the element, or remove others, are not among them.
const SWAPS: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "morph",
    "morph:innerHTML",
    "morph:outerHTML",
    "none",
];

/// The only event on which a plugin's markup may ask the server by itself: the host's, at its own pace.
const TRIGGER: &str = "portico:refresh";

/// The prefix of all ids of plugins, so that none takes the place of the host's or of a property of `window`.
const PREFIX: &str = "p-";

/// An id with the prefix.
pub(super) fn prefixed(id: &str) -> String {
    if id.starts_with(PREFIX) {
        id.to_owned()
    } else {
        format!("{PREFIX}{id}")
    }
}

/// Attributes of one element beyond those of all; none for an element that has none.
fn own(element: &str) -> &'static [&'static str] {
    match element {
        "button" => &["disabled", "type", "value"],
        "col" | "colgroup" => &["span"],
        "data" | "li" => &["value"],
        "del" | "ins" | "time" => &["datetime"],
        "details" => &["open"],
        "fieldset" => &["disabled"],
        "img" => &["alt", "decoding", "height", "loading", "width"],
        "input" => &[
            "checked",
            "disabled",
            "inputmode",
            "max",
            "maxlength",
            "min",
            "minlength",
            "multiple",
            "pattern",
            "placeholder",
            "readonly",
            "required",
            "size",
            "spellcheck",
            "step",
            "value",
        ],
        "meter" => &["high", "low", "max", "min", "optimum", "value"],
        "ol" => &["reversed", "start", "type"],
        "optgroup" => &["disabled", "label"],
        "option" => &["disabled", "label", "selected", "value"],
        "progress" => &["max", "value"],
        "select" => &["disabled", "multiple", "required", "size"],
        "svg" => &["height", "viewbox", "width"],
        "td" | "th" => &["abbr", "colspan", "rowspan", "scope"],
        "textarea" => &[
            "cols",
            "disabled",
            "maxlength",
            "minlength",
            "placeholder",
            "readonly",
            "required",
            "rows",
            "spellcheck",
            "wrap",
        ],
        "portico-chart" => &[
            "colors", "data", "height", "kind", "label", "max", "min", "range", "series", "unit",
        ],
        "portico-confirm" | "portico-console" => &["label"],
        "portico-copy" => &["label", "value"],
        "portico-progress" => &["label", "max", "value"],
        "portico-sortable" => &["handle", "label", "name"],
        _ => &[],
    }
}

/// Judges one attribute of `tag`.
pub(super) fn judge<'a>(
    base_path: &str,
    tag: &StartTag<'_>,
    attribute: &'a Attribute<'_>,
    open: &Open,
) -> Result<Verdict<'a>, String> {
    let element = &*tag.name;
    let name = &*attribute.name;
    let value = &*attribute.value;
    let plain = || Ok(Verdict::Write(Cow::Borrowed(value)));
    Ok(match (element, name) {
        (_, "class") => class::judge(value),
        (_, "id" | "form") | ("label", "for") | ("input", "list") => id(value),
        ("td" | "th", "headers") | ("output", "for") => ids(value),
        (_, aria) if ARIA_REFERENCES.contains(&aria) => ids(value),
        (_, aria) if aria.starts_with("aria-") => return plain(),
        (_, "role") => role(value),
        (_, "tabindex") => match value {
            "0" | "-1" => return plain(),
            _ => Verdict::Drop("only 0 and -1 are allowed"),
        },
        (_, data) if data.starts_with("data-") => data_attribute(data, value),
        (_, hx) if hx.starts_with("hx-") => htmx(base_path, hx, value),
        ("a", "href") => to_address(base_path, value, Use::Link),
        ("a", "target") => match value {
            "_blank" => return plain(),
            _ => Verdict::Drop("only `_blank` is allowed"),
        },
        // Written by the policy itself.
        ("a", "rel") => Verdict::Drop(""),
        ("form", "action") | ("button" | "input", "formaction") => to_address(base_path, value, Use::Own),
        ("form", "method") | ("button" | "input", "formmethod") => {
            match value.to_ascii_lowercase().as_str() {
                "get" | "post" => return plain(),
                _ => Verdict::Drop("only `get` and `post` are allowed"),
            }
        }
        ("form" | "input" | "textarea" | "select", "autocomplete") => autocomplete(value),
        ("form" | "button" | "input", "novalidate" | "formnovalidate") | ("a", "download" | "hreflang") => {
            return plain();
        }
        ("img", "src") => to_address(base_path, value, Use::Image),
        ("use", "href") => to_address(base_path, value, Use::Icon),
        (custom, "src" | "action" | "path") if custom.starts_with("portico-") => {
            to_address(base_path, value, Use::Own)
        }
        ("input", "type") => return input_type(value),
        ("button" | "fieldset" | "input" | "output" | "select" | "textarea", "name") => field_name(value),
        ("details", "name") => Verdict::Drop("not allowed"),
        _ if name == "name" && own(element).contains(&"name") => field_name(value),
        _ if PLAIN.contains(&name) || own(element).contains(&name) => return plain(),
        _ if open.inside("svg") && matches!(name, "width" | "height" | "x" | "y") => return plain(),
        _ => Verdict::Drop("not allowed"),
    })
}

fn is_id(value: &str) -> bool {
    (1..=80).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

fn id(value: &str) -> Verdict<'static> {
    let value = value.trim();
    if is_id(value) {
        Verdict::Write(Cow::Owned(prefixed(value)))
    } else {
        Verdict::Drop("an id is letters, digits, `-`, `_`, `.` and `:`, at most 80")
    }
}

fn ids(value: &str) -> Verdict<'static> {
    let names: Vec<&str> = value.split_ascii_whitespace().collect();
    if names.iter().all(|name| is_id(name)) {
        Verdict::Write(Cow::Owned(
            names.into_iter().map(prefixed).collect::<Vec<_>>().join(" "),
        ))
    } else {
        Verdict::Drop("an id is letters, digits, `-`, `_`, `.` and `:`, at most 80")
    }
}

fn role(value: &str) -> Verdict<'_> {
    let claims = value
        .split_ascii_whitespace()
        .any(|role| HOST_ROLES.contains(&role.to_ascii_lowercase().as_str()));
    if claims {
        Verdict::Drop("the role belongs to the panel")
    } else {
        Verdict::Write(Cow::Borrowed(value))
    }
}

fn data_attribute<'a>(name: &str, value: &'a str) -> Verdict<'a> {
    if name == "data-portico-fast" {
        return Verdict::Write(Cow::Borrowed(value));
    }
    // htmx reads `data-hx-*` as `hx-*`; Bootstrap's scripts act on `data-bs-*`; `data-portico-*` is the host's.
    if ["data-hx", "data-bs", "data-portico"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        return Verdict::Drop("the name belongs to a script of the panel");
    }
    Verdict::Write(Cow::Borrowed(value))
}

fn htmx<'a>(base_path: &str, name: &str, value: &'a str) -> Verdict<'a> {
    match name {
        "hx-get" | "hx-post" | "hx-put" | "hx-patch" | "hx-delete" => to_address(base_path, value, Use::Own),
        "hx-trigger" if value == TRIGGER => Verdict::Write(Cow::Borrowed(value)),
        "hx-trigger" => Verdict::Drop("only `portico:refresh` is allowed"),
        "hx-swap" if SWAPS.contains(&value) => Verdict::Write(Cow::Borrowed(value)),
        "hx-target" | "hx-select" => match value.strip_prefix('#') {
            Some(target) if is_id(target) && !target.contains(['.', ':']) => {
                Verdict::Write(Cow::Owned(format!("#{}", prefixed(target))))
            }
            _ if name == "hx-target" && value == "this" => Verdict::Write(Cow::Borrowed(value)),
            _ => Verdict::Drop("only `#id` of an element of the plugin is allowed, and `this` as target"),
        },
        _ => Verdict::Drop("not allowed"),
    }
}

fn to_address(base_path: &str, value: &str, purpose: Use) -> Verdict<'static> {
    match address::judge(base_path, value, purpose) {
        Ok(address) => Verdict::Write(Cow::Owned(address.text)),
        Err(reason) => Verdict::Drop(reason),
    }
}

fn autocomplete(value: &str) -> Verdict<'_> {
    let lower = value.to_ascii_lowercase();
    if CREDENTIALS.iter().any(|word| lower.contains(word)) {
        Verdict::Drop("a plugin must not have credentials filled in")
    } else {
        Verdict::Write(Cow::Borrowed(value))
    }
}

fn input_type(value: &str) -> Result<Verdict<'_>, String> {
    let lower = value.to_ascii_lowercase();
    if INPUT_TYPES.contains(&lower.as_str()) {
        return Ok(Verdict::Write(Cow::Borrowed(value)));
    }
    if lower.trim() == "password" {
        return Err("an `input` of type `password`: a plugin must not ask for passwords".to_owned());
    }
    Err(format!(
        "an `input` of type `{}`",
        lower.chars().take(20).collect::<String>()
    ))
}

fn field_name(value: &str) -> Verdict<'_> {
    let fits = (1..=120).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:[]@/".contains(&byte));
    if !fits {
        return Verdict::Drop(
            "a field's name is letters, digits, `-`, `_`, `.`, `:`, `/`, `@` and brackets, at most 120",
        );
    }
    if CLOBBERING.contains(&value.to_ascii_lowercase().as_str()) {
        return Verdict::Drop("the name would hide a property of the form");
    }
    Verdict::Write(Cow::Borrowed(value))
}
