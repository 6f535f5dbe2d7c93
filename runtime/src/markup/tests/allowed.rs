//! Markup that plugins write and that passes.

use super::*;

/// Markup and what is written; both the same where the second is empty. None leaves a violation.
const CASES: &[(&str, &str)] = &[
    ("", ""),
    ("plain text & more", ""),
    ("1 < 2 > 0", "1 &lt; 2 &gt; 0"),
    ("a<3", "a&lt;3"),
    ("<p>Text &amp; &eacute; &#60;</p>", ""),
    ("<P CLASS=\"x\">T</P>", "<p class=\"x\">T</p>"),
    ("<!-- a comment --><p>x</p><!---->", "<p>x</p>"),
    ("<br><hr><br/>", "<br><hr><br>"),
    ("<p>a<br>b</p>", ""),
    (
        "<a href=\"create\">x</a>",
        "<a href=\"/services/7/snapshots/create\">x</a>",
    ),
    (
        "<a href=\"#list\">x</a><div id=\"list\"></div>",
        "<a href=\"#p-list\">x</a><div id=\"p-list\"></div>",
    ),
    (
        "<a href=\"https://docs.example/\">x</a>",
        "<a href=\"https://docs.example/\" rel=\"noopener noreferrer\">x</a>",
    ),
    (
        "<a href=\"https://docs.example/\" target=\"_blank\" rel=\"opener\">x</a>",
        "<a href=\"https://docs.example/\" target=\"_blank\" rel=\"noopener noreferrer\">x</a>",
    ),
    ("<a href=\"/profile\">x</a>", ""),
    (
        "<a href=\"?page=2&amp;q=a b\">x</a>",
        "<a href=\"/services/7/snapshots/?page=2&amp;q=a b\">x</a>",
    ),
    (
        "<form method=\"post\" action=\"create\"><button>Go</button></form>",
        "<form method=\"post\" action=\"/services/7/snapshots/create\"><button>Go</button></form>",
    ),
    (
        "<form><input name=\"action\"></form>",
        "<form action=\"/services/7/snapshots/\"><input name=\"action\"></form>",
    ),
    (
        "<button formaction=\"other\" formmethod=\"post\" name=\"a\" value=\"b\">x</button>",
        "<button formaction=\"/services/7/snapshots/other\" formmethod=\"post\" name=\"a\" value=\"b\">x</button>",
    ),
    (
        "<div class=\"portico-live\" hx-get=\"live\" hx-trigger=\"portico:refresh\" hx-swap=\"morph:innerHTML\" data-portico-fast></div>",
        "<div class=\"portico-live\" hx-get=\"/services/7/snapshots/live\" hx-trigger=\"portico:refresh\" hx-swap=\"morph:innerHTML\" data-portico-fast></div>",
    ),
    (
        "<button hx-post=\"x\" hx-target=\"#list\" hx-select=\"#list\" hx-swap=\"outerHTML\">x</button>",
        "<button hx-post=\"/services/7/snapshots/x\" hx-target=\"#p-list\" hx-select=\"#p-list\" hx-swap=\"outerHTML\">x</button>",
    ),
    (
        "<label for=\"a\">A</label><input id=\"a\" name=\"a\" list=\"l\">",
        "<label for=\"p-a\">A</label><input id=\"p-a\" name=\"a\" list=\"p-l\">",
    ),
    (
        "<p id=\"a\" aria-describedby=\"b c\" aria-label=\"x\">x</p>",
        "<p id=\"p-a\" aria-describedby=\"p-b p-c\" aria-label=\"x\">x</p>",
    ),
    (
        "<table><caption>C</caption><thead><tr><th scope=\"col\">A</th></tr></thead><tbody><tr><td data-label=\"A\"><div>x</div></td></tr></tbody></table>",
        "",
    ),
    (
        "<table><tr><td colspan=\"2\"><table><tr><td>x</td></tr></table></td></tr></table>",
        "",
    ),
    ("<ul> <li>a</li>\n<li><ul><li>b</li></ul></li></ul>", ""),
    ("<dl><dt>a</dt><dd>b</dd><div><dt>a</dt><dd>b</dd></div></dl>", ""),
    (
        "<select name=\"a\"><option value=\"1\" selected>One</option><optgroup label=\"g\"><option>Two</option></optgroup></select>",
        "",
    ),
    (
        "<textarea name=\"t\" rows=\"3\">\n<script>alert(1)</script> &lt;</textarea>",
        "<textarea name=\"t\" rows=\"3\">\n&lt;script&gt;alert(1)&lt;/script&gt; &lt;</textarea>",
    ),
    ("<img src=\"/assets/logo.svg\" alt=\"Logo\" width=\"20\">", ""),
    (
        "<svg class=\"icon\" width=\"20\"><use href=\"/assets/icons.svg#x\"/></svg>",
        "<svg class=\"icon\" width=\"20\"><use href=\"/assets/icons.svg#x\"></use></svg>",
    ),
    ("<portico-copy value=\"1.2.3.4\" label=\"IP\"></portico-copy>", ""),
    (
        "<portico-confirm><details><summary class=\"btn\" role=\"button\">x</summary><div><form method=\"post\" action=\"rm\"></form></div></details></portico-confirm>",
        "<portico-confirm><details><summary class=\"btn\" role=\"button\">x</summary><div><form method=\"post\" action=\"/services/7/snapshots/rm\"></form></div></details></portico-confirm>",
    ),
    (
        "<portico-chart src=\"data?range=hour\" unit=\"%\"></portico-chart>",
        "<portico-chart src=\"/services/7/snapshots/data?range=hour\" unit=\"%\"></portico-chart>",
    ),
    (
        "<progress max=\"1\" value=\"0.5\" aria-label=\"x\"></progress>",
        "",
    ),
    (
        "<time datetime=\"2026-11-24T11:23:00Z\" title=\"x\">24 Nov</time>",
        "",
    ),
    (
        "<p title='\"quoted\" & <b>'>x</p>",
        "<p title=\"&quot;quoted&quot; &amp; &lt;b&gt;\">x</p>",
    ),
    (
        "<p title=\"caf&eacute; &unknown; &hellip;\">x</p>",
        "<p title=\"café &amp;unknown; …\">x</p>",
    ),
    ("<p lang=en hidden>x</p>", "<p lang=\"en\" hidden>x</p>"),
    ("<pre>a\n  b</pre>", ""),
    ("<details open><summary>s</summary><p>x</p></details>", ""),
    (
        "<fieldset disabled><legend>l</legend><label>x <input type=\"checkbox\" name=\"c\" checked></label></fieldset>",
        "",
    ),
];

#[test]
fn markup_of_plugins_passes_without_violations() {
    for (html, expected) in CASES {
        let cleaned = apply(html).unwrap_or_else(|error| panic!("{html}: {error}"));
        assert_eq!(cleaned.html, if expected.is_empty() { *html } else { *expected });
        assert_eq!(cleaned.violations, [], "{html}");
    }
}

#[test]
fn a_second_pass_changes_nothing() {
    for (html, _) in CASES {
        let once = apply(html).unwrap();
        assert_eq!(
            apply(&once.html).unwrap(),
            Cleaned {
                html: once.html.clone(),
                violations: vec![]
            },
            "{html}"
        );
    }
}

#[test]
fn violations_and_errors_name_the_line() {
    let cleaned = apply("<p>\n\n<b onclick=\"x\">y</b></p>").unwrap();
    assert_eq!(cleaned.html, "<p>\n\n<b>y</b></p>");
    assert_eq!(cleaned.violations.len(), 1);
    assert_eq!(cleaned.violations[0].line, 3);
    assert!(
        cleaned.violations[0].what.contains("`onclick` of `b`"),
        "{:?}",
        cleaned.violations
    );
    assert_eq!(apply("<p>\n<script>").unwrap_err().line, 2);
    assert_eq!(
        apply("<p>\n\n").unwrap_err(),
        MarkupError {
            line: 3,
            what: "`p` is not closed".to_owned()
        }
    );
}

#[test]
fn violations_are_listed_up_to_a_number_and_their_text_is_cut() {
    let html = "<b onclick=\"x\"></b>".repeat(500);
    assert_eq!(apply(&html).unwrap().violations.len(), 51);
    let long = format!("<b {}=\"{}\"></b>", "x".repeat(5_000), "y\n".repeat(5_000));
    let cleaned = apply(&long).unwrap();
    assert!(cleaned.violations[0].what.len() < 300, "{:?}", cleaned.violations);
    assert!(!cleaned.violations[0].what.contains('\n'));
    assert!(apply(&format!("<{}>", "x".repeat(5_000))).unwrap_err().what.len() < 300);
    assert!(
        apply(&format!("</{}>", "x".repeat(5_000)))
            .unwrap_err()
            .what
            .len()
            < 300
    );
}

#[test]
fn the_prefix_has_slashes_at_both_ends() {
    for given in ["/services/7/x/", "services/7/x", "/services/7/x"] {
        assert_eq!(Policy::new(given).base_path(), "/services/7/x/");
    }
}
