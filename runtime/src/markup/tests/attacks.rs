//! Attacks on the customer, the panel and the page around the content, each with what becomes of it.

use super::*;

/// Markup that is refused as a whole.
const REFUSED: &[&str] = &[
    // Scripts, styles, frames, plugins and what changes the document.
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<script/x>alert(1)</script>",
    "<scr<script>ipt>alert(1)</script>",
    "<style>*{display:none}</style>",
    "<link rel=\"stylesheet\" href=\"https://evil.example/x.css\">",
    "<link rel=\"prefetch\" href=\"/logout\">",
    "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example/\">",
    "<base href=\"https://evil.example/\">",
    "<iframe src=\"/profile\"></iframe>",
    "<iframe srcdoc=\"&lt;script&gt;alert(1)&lt;/script&gt;\"></iframe>",
    "<frameset><frame src=\"/profile\"></frameset>",
    "<object data=\"x.swf\"></object>",
    "<embed src=\"x.swf\">",
    "<applet code=\"x\"></applet>",
    "<portal src=\"/profile\"></portal>",
    "<fencedframe></fencedframe>",
    "<audio src=\"https://evil.example/x\"></audio>",
    "<video poster=\"https://evil.example/x\"></video>",
    "<picture><source srcset=\"https://evil.example/x\"></picture>",
    "<image src=\"x\">",
    "<isindex>",
    "<keygen>",
    "<marquee onstart=\"alert(1)\">x</marquee>",
    "<bgsound src=\"x\">",
    "<canvas></canvas>",
    "<title>x</title>",
    "<html><body>x</body></html>",
    "<head></head>",
    "<body onload=\"alert(1)\">",
    "<main>x</main>",
    "<dialog open>x</dialog>",
    "<template><script>x</script></template>",
    "<slot name=\"x\"></slot>",
    "<noscript><p title=\"</noscript><script>alert(1)</script>\"></p></noscript>",
    "<noembed><p></p></noembed>",
    "<noframes><p></p></noframes>",
    "<plaintext>",
    "<xmp><p></p></xmp>",
    "<listing>x</listing>",
    "<map name=\"x\"><area href=\"x\"></map>",
    "<x-unknown></x-unknown>",
    "<portico-unknown></portico-unknown>",
    // Foreign content and the mutations that live on it.
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=\"alert(1)\"><animate onbegin=\"alert(1)\"/></svg>",
    "<svg><a href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<svg><foreignObject><p>x</p></foreignObject></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><desc><p></p></desc></svg>",
    "<svg></p><style><a title=\"</style><img src onerror=alert(1)>\">",
    "<svg>text</svg>",
    "<use href=\"/assets/x#y\"></use>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><mi></mi></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    // Declarations and what is neither text nor a tag.
    "<!doctype html>",
    "<![CDATA[<p>x</p>]]>",
    "<?xml version=\"1.0\"?>",
    "<?php echo 1 ?>",
    "<!ELEMENT x>",
    "<!-- never closed",
    "<!--><script>alert(1)</script>",
    "<!--->x",
    "<//x>",
    "</ p>",
    "</>",
    // Leaving the content area, or taking what follows into it.
    "</div>",
    "</div></main><div>",
    "<p>x</p></div>",
    "<div>",
    "<div><div></div>",
    "<p>x",
    "<b>x",
    "<b><i>x</b></i>",
    "<a href=\"x\">",
    "<table><tr><td></table>",
    "<ul><li>x</ul>",
    "<textarea>",
    "<textarea></textarea x>",
    "<textarea><p>x</p>",
    "<select>",
    "<select><option>x</select>",
    "<form>",
    "</form>",
    "</body></html>",
    "</br>",
    "</p>",
    "<br></br>",
    "<div/>text",
    "<p/>",
    "<portico-copy/>",
    // Structure that a browser would rebuild.
    "<p><div>x</div></p>",
    "<p><p>x</p></p>",
    "<p><span><ul><li>x</li></ul></span></p>",
    "<p><portico-confirm><details><summary>x</summary></details></portico-confirm></p>",
    "<h2><h3>x</h3></h2>",
    "<a href=\"x\"><a href=\"y\">z</a></a>",
    "<a href=\"x\"><span><a href=\"y\">z</a></span></a>",
    "<button><button>x</button></button>",
    "<button><a href=\"x\">y</a></button>",
    "<form><form></form></form>",
    "<form><div><form></form></div></form>",
    "<li>x</li>",
    "<ul><div><li>x</li></div></ul>",
    "<ul>text</ul>",
    "<dl><div><div><dt>x</dt></div></div></dl>",
    "<div><dd>x</dd></div>",
    "<tr><td>x</td></tr>",
    "<td>x</td>",
    "<table><div>x</div></table>",
    "<table>text</table>",
    "<table><form><tr><td></td></tr></form></table>",
    "<table><tr><input type=\"hidden\"></tr></table>",
    "<table><tbody><td>x</td></tbody></table>",
    "<table><a href=\"x\">y</a></table>",
    "<caption>x</caption>",
    "<option>x</option>",
    "<select><div>x</div></select>",
    "<select><input></select>",
    "<select><option><b>x</b></option></select>",
    "<datalist><p>x</p></datalist>",
    "<legend>x</legend>",
    "<summary>x</summary>",
    // Tags that can be read in two ways.
    "<p title=\"x>y",
    "<p title='x>y",
    "<p title=\"a\"title=\"b\">x</p>",
    "<p/title=\"x\">y</p>",
    "<p / title=\"x\">y</p>",
    "<p =x>y</p>",
    "<p \"onclick=alert(1)>x</p>",
    "<p title==x>y</p>",
    "<p title=`x`>y</p>",
    "<p title=a\"b>y</p>",
    "<p title=>y</p>",
    "<p<b>x</p>",
    "<p:x>y</p:x>",
    "<p\u{0}>x</p>",
    "<p\u{b}title=x>y</p>",
    "<p ö=x>y</p>",
    "<p",
    "<p ",
    "<p title",
    "<p></p",
    "<p></p x=\"y\">",
    "<p></p/>",
    // A login form that looks like the panel's.
    "<form><input type=\"password\" name=\"p\"></form>",
    "<input type=PASSWORD>",
    "<input type=\" password \">",
    "<input type=\"pass&#119;ord\">",
    "<input type=\"file\">",
    "<input type=\"image\" src=\"https://evil.example/x\">",
];

/// Markup of which something is left out, and what is written instead.
const LEFT_OUT: &[(&str, &str)] = &[
    // Handlers.
    ("<b onclick=\"alert(1)\">x</b>", "<b>x</b>"),
    ("<b OnClick=alert(1)>x</b>", "<b>x</b>"),
    (
        "<img src=\"/assets/x.png\" onerror=\"alert(1)\">",
        "<img src=\"/assets/x.png\">",
    ),
    ("<b onanything-new=\"x\">x</b>", "<b>x</b>"),
    (
        "<details open ontoggle=\"alert(1)\"></details>",
        "<details open></details>",
    ),
    ("<input autofocus onfocus=\"alert(1)\">", "<input>"),
    (
        "<b on=\"x\" xmlns:on=\"x\" @click=\"x\" :onclick=\"x\">x</b>",
        "<b>x</b>",
    ),
    // Styles and positions.
    ("<b style=\"position:fixed;inset:0\">x</b>", "<b>x</b>"),
    ("<b STYLE=\"x\">x</b>", "<b>x</b>"),
    (
        "<div class=\"position-fixed top-0 card\"></div>",
        "<div class=\"card\"></div>",
    ),
    (
        "<a class=\"stretched-link\" href=\"x\">y</a>",
        "<a class href=\"/services/7/snapshots/x\">y</a>",
    ),
    (
        "<div class=\"modal&#32;show\"></div>",
        "<div class=\"show\"></div>",
    ),
    (
        "<b accesskey=\"x\" contenteditable draggable=\"true\" inert popover=\"auto\">x</b>",
        "<b>x</b>",
    ),
    (
        "<button popovertarget=\"x\" commandfor=\"x\" command=\"show-modal\">x</button>",
        "<button>x</button>",
    ),
    ("<b tabindex=\"5\">x</b>", "<b>x</b>"),
    // Links.
    ("<a href=\"javascript:alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\"JaVaScRiPt:alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\" &#14; javascript:alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\"java&#115;cript:alert(1)\">x</a>", "<a>x</a>"),
    (
        "<a href=\"&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)\">x</a>",
        "<a>x</a>",
    ),
    ("<a href=\"java&Tab;script&colon;alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\"java&NewLine;script:alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\"java\nscript:alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=\"javascript&#58;alert(1)\">x</a>", "<a>x</a>"),
    ("<a href=java\u{0}script:alert(1)>x</a>", "<a>x</a>"),
    ("<a href=\"vbscript:x\">x</a>", "<a>x</a>"),
    (
        "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
        "<a>x</a>",
    ),
    ("<a href=\"//evil.example/\">x</a>", "<a>x</a>"),
    ("<a href=\"/\\evil.example/\">x</a>", "<a>x</a>"),
    ("<a href=\"&sol;&bsol;evil.example\">x</a>", "<a>x</a>"),
    ("<a href=\"https:evil.example\">x</a>", "<a>x</a>"),
    (
        "<a href=\"https://panel.example@evil.example/\">x</a>",
        "<a>x</a>",
    ),
    ("<a xlink:href=\"javascript:alert(1)\">x</a>", "<a>x</a>"),
    (
        "<a href=\"x\" ping=\"https://evil.example/\">y</a>",
        "<a href=\"/services/7/snapshots/x\">y</a>",
    ),
    (
        "<a href=\"x\" target=\"_top\">y</a>",
        "<a href=\"/services/7/snapshots/x\">y</a>",
    ),
    (
        "<a href=\"x\" target=\"main\">y</a>",
        "<a href=\"/services/7/snapshots/x\">y</a>",
    ),
    (
        "<a href=\"x\" referrerpolicy=\"unsafe-url\" name=\"location\">y</a>",
        "<a href=\"/services/7/snapshots/x\">y</a>",
    ),
    (
        "<a href=\"a\" href=\"javascript:alert(1)\">y</a>",
        "<a href=\"/services/7/snapshots/a\">y</a>",
    ),
    ("<a href=\"javascript:alert(1)\" href=\"a\">y</a>", "<a>y</a>"),
    // Images and icons.
    ("<img src=\"https://tracker.example/x.gif\">", "<img>"),
    ("<img src=\"//tracker.example/x.gif\">", "<img>"),
    ("<img src=\"/logout\">", "<img>"),
    ("<img src=\"../firewall/x\">", "<img>"),
    (
        "<img srcset=\"https://tracker.example/x 2x\" lowsrc=\"x\" dynsrc=\"x\" usemap=\"#x\">",
        "<img>",
    ),
    ("<img src=\"data:image/svg+xml,<svg onload=alert(1)>\">", "<img>"),
    (
        "<svg><use href=\"data:image/svg+xml,x#y\"></use></svg>",
        "<svg><use></use></svg>",
    ),
    (
        "<svg><use href=\"https://evil.example/x.svg#y\"></use></svg>",
        "<svg><use></use></svg>",
    ),
    (
        "<svg><use xlink:href=\"x#y\"></use></svg>",
        "<svg><use></use></svg>",
    ),
    (
        "<svg><use href=\"#portico-secret\"></use></svg>",
        "<svg><use></use></svg>",
    ),
    (
        "<div background=\"https://tracker.example/x\"></div>",
        "<div></div>",
    ),
    (
        "<table background=\"https://tracker.example/x\"></table>",
        "<table></table>",
    ),
    (
        "<blockquote cite=\"javascript:x\"></blockquote>",
        "<blockquote></blockquote>",
    ),
    // Acting elsewhere in the panel.
    (
        "<form action=\"/profile\" method=\"post\"></form>",
        "<form method=\"post\" action=\"/services/7/snapshots/\"></form>",
    ),
    (
        "<form action=\"../firewall/add\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    (
        "<form action=\"%2e%2e/firewall/add\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    (
        "<form action=\"https://evil.example/\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    (
        "<form action=\"javascript:alert(1)\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    (
        "<form method=\"dialog\" target=\"x\" enctype=\"text/plain\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    ("<button formaction=\"/profile\">x</button>", "<button>x</button>"),
    (
        "<input type=\"submit\" formaction=\"//evil.example\">",
        "<input type=\"submit\">",
    ),
    (
        "<button formtarget=\"_blank\" formenctype=\"text/plain\">x</button>",
        "<button>x</button>",
    ),
    ("<button form=\"logout form\">x</button>", "<button>x</button>"),
    ("<div hx-get=\"/profile\"></div>", "<div></div>"),
    ("<div hx-post=\"/services/7/firewall/add\"></div>", "<div></div>"),
    (
        "<div hx-post=\"/services/8/snapshots/create\"></div>",
        "<div></div>",
    ),
    ("<div hx-delete=\"../../8/snapshots/x\"></div>", "<div></div>"),
    ("<div HX-POST=\"https://evil.example/\"></div>", "<div></div>"),
    (
        "<div data-hx-post=\"/profile\" data-hx-trigger=\"load\"></div>",
        "<div></div>",
    ),
    (
        "<div hx-get=\"x\" hx-trigger=\"load\"></div>",
        "<div hx-get=\"/services/7/snapshots/x\"></div>",
    ),
    (
        "<div hx-get=\"x\" hx-trigger=\"every 1ms\"></div>",
        "<div hx-get=\"/services/7/snapshots/x\"></div>",
    ),
    (
        "<div hx-get=\"x\" hx-trigger=\"revealed, portico:refresh\"></div>",
        "<div hx-get=\"/services/7/snapshots/x\"></div>",
    ),
    (
        "<div hx-get=\"x\" hx-trigger=\"portico:refresh[alert(1)]\"></div>",
        "<div hx-get=\"/services/7/snapshots/x\"></div>",
    ),
    (
        "<div hx-get=\"x\" hx-trigger=\"click from:body\"></div>",
        "<div hx-get=\"/services/7/snapshots/x\"></div>",
    ),
    ("<div hx-target=\"body\"></div>", "<div></div>"),
    ("<div hx-target=\"closest main\"></div>", "<div></div>"),
    ("<div hx-target=\"#x, body\"></div>", "<div></div>"),
    (
        "<div hx-select=\"body\" hx-select-oob=\"#main\" hx-swap-oob=\"true\"></div>",
        "<div></div>",
    ),
    ("<div hx-swap=\"beforebegin\"></div>", "<div></div>"),
    ("<div hx-swap=\"innerHTML show:top\"></div>", "<div></div>"),
    ("<div hx-swap=\"delete\"></div>", "<div></div>"),
    (
        "<div hx-on=\"click: alert(1)\" hx-on:click=\"alert(1)\" hx-on::load=\"alert(1)\"></div>",
        "<div></div>",
    ),
    (
        "<div hx-vals=\"js:{a:alert(1)}\" hx-headers='{\"X\":\"y\"}' hx-vars=\"x\" hx-params=\"*\"></div>",
        "<div></div>",
    ),
    (
        "<div hx-boost=\"true\" hx-ext=\"x\" hx-include=\"body\" hx-push-url=\"/\" hx-replace-url=\"/\"></div>",
        "<div></div>",
    ),
    (
        "<div hx-confirm=\"x\" hx-prompt=\"x\" hx-request='{\"credentials\":true}' hx-sync=\"x\" hx-inherit=\"*\"></div>",
        "<div></div>",
    ),
    (
        "<div sse-connect=\"/x\" ws-connect=\"/x\" hx-ws=\"x\" hx-sse=\"x\"></div>",
        "<div></div>",
    ),
    (
        "<div data-bs-toggle=\"modal\" data-bs-target=\"#x\" data-portico-busy data-portico-acted></div>",
        "<div></div>",
    ),
    (
        "<portico-chart src=\"/profile\"></portico-chart>",
        "<portico-chart></portico-chart>",
    ),
    (
        "<portico-sortable action=\"https://evil.example/\" onsort=\"x\"></portico-sortable>",
        "<portico-sortable></portico-sortable>",
    ),
    // Taking the place of what is the host's.
    ("<p id=\"a b\">x</p>", "<p>x</p>"),
    ("<p id=\"\">x</p>", "<p>x</p>"),
    ("<img name=\"getElementById\">", "<img>"),
    (
        "<form name=\"location\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
    ("<input name=\"submit\">", "<input>"),
    ("<input name=\"attributes\">", "<input>"),
    ("<input name=\"parentNode\">", "<input>"),
    ("<input name=\"a b\">", "<input>"),
    (
        "<b is=\"portico-console\" slot=\"x\" part=\"x\" nonce=\"x\" itemprop=\"x\">x</b>",
        "<b>x</b>",
    ),
    (
        "<div role=\"dialog\" aria-modal=\"true\"></div>",
        "<div aria-modal=\"true\"></div>",
    ),
    ("<div role=\"ALERTDIALOG\"></div>", "<div></div>"),
    ("<div class=\"portico-offline\"></div>", "<div class></div>"),
    ("<input autocomplete=\"current-password\">", "<input>"),
    ("<input autocomplete=\"section-a USERNAME\">", "<input>"),
    (
        "<form autocomplete=\"cc-number\"></form>",
        "<form action=\"/services/7/snapshots/\"></form>",
    ),
];

/// What is written with a prefix, so that it is the plugin's own.
const PREFIXED: &[(&str, &str)] = &[
    ("<p id=\"location\">x</p>", "<p id=\"p-location\">x</p>"),
    ("<p id=\"main\">x</p>", "<p id=\"p-main\">x</p>"),
    (
        "<button form=\"logout\">x</button>",
        "<button form=\"p-logout\">x</button>",
    ),
    (
        "<div hx-target=\"#main\"></div>",
        "<div hx-target=\"#p-main\"></div>",
    ),
    ("<a href=\"#main\">x</a>", "<a href=\"#p-main\">x</a>"),
    ("<input list=\"secrets\">", "<input list=\"p-secrets\">"),
];

#[test]
fn what_cannot_be_mended_is_refused() {
    for html in REFUSED {
        if let Ok(cleaned) = apply(html) {
            panic!("{html} became {}", cleaned.html);
        }
    }
    assert!(REFUSED.len() > 130);
}

#[test]
fn what_is_not_allowed_is_left_out_and_reported() {
    for (html, expected) in LEFT_OUT {
        let cleaned = apply(html).unwrap_or_else(|error| panic!("{html}: {error}"));
        assert_eq!(cleaned.html, *expected, "{html}");
        assert_ne!(cleaned.violations, [], "{html}");
    }
    assert!(LEFT_OUT.len() > 85);
}

#[test]
fn names_of_the_host_are_out_of_reach() {
    for (html, expected) in PREFIXED {
        assert_eq!(apply(html).unwrap().html, *expected, "{html}");
    }
}

#[test]
fn nothing_that_was_left_out_comes_back_in_a_second_pass() {
    for (html, _) in LEFT_OUT.iter().chain(PREFIXED) {
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
fn sizes_and_depths_are_capped() {
    assert!(apply(&"x".repeat(2 * 1024 * 1024 + 1)).is_err());
    assert!(apply(&format!("{}{}", "<div>".repeat(101), "</div>".repeat(101))).is_err());
    assert!(apply(&format!("{}{}", "<div>".repeat(100), "</div>".repeat(100))).is_ok());
    assert!(apply(&"<div>".repeat(300_000)).is_err());
    let attributes = (0..65)
        .map(|number| format!("data-a{number}=\"x\""))
        .collect::<Vec<_>>()
        .join(" ");
    assert!(apply(&format!("<b {attributes}></b>")).is_err());
}
