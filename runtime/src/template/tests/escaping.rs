//! Nothing unescaped comes out of a template but what its author wrote.

use super::super::filters;
use super::*;

/// Data that would run if it came out as it is.
const HOSTILE: &str =
    r#"{"x":"<script>\"'&</script>","l":["<script>",["<i>"]],"m":{"<b>":"<script>"},"n":1}"#;

fn harmless(html: &str) -> bool {
    !html.contains(['<', '>', '"', '\''])
}

/// What filters are applied to.
const INPUTS: &[&str] = &[
    "x",
    "l",
    "m",
    "n",
    "l|first",
    "l|last",
    "x[1:]",
    "x ~ x",
    "m|items|first",
    "x|escape",
    "(x|escape)[4:]",
    "[x|escape, x]",
    "(x|escape) ~ x",
    "x ~ (x|escape)",
    "l|map('string')",
    "[n, 1]",
];

/// What they are given.
const ARGUMENTS: &[&str] = &[
    "",
    "('<')",
    "('<', '>')",
    "('&lt;', '<')",
    "(1)",
    "(200)",
    "(attribute='x')",
    "('x')",
    "('upper')",
    "('escape')",
    "('string')",
    "(x)",
    "(x|escape)",
    "(x, x|escape)",
];

/// How the result is printed.
fn printed(expression: &str) -> [String; 6] {
    [
        format!("{{{{ {expression} }}}}"),
        format!("{{{{ ({expression}) ~ x }}}}{{{{ [{expression}, x]|join('<') }}}}"),
        format!("{{% for y in {expression} %}}{{{{ y }}}}{{% endfor %}}"),
        format!("{{% for y in {expression} %}}{{% for z in y %}}{{{{ z }}}}{{% endfor %}}{{% endfor %}}"),
        format!("{{% set y %}}{{{{ {expression} }}}}{{% endset %}}{{{{ y ~ x }}}}"),
        format!("{{% set y = {expression} %}}{{{{ y }}}}{{{{ y|first }}}}"),
    ]
}

#[test]
fn every_filter_gives_escaped_or_harmless_output_or_an_error() {
    let names = filters::all(&mut minijinja::Environment::empty()).filters;
    assert_eq!(
        names.len(),
        48,
        "a new filter needs a look at this test: {names:?}"
    );
    for name in &names {
        let mut rendered = 0;
        for input in INPUTS {
            // Several templates in each set: compiling a set takes far longer than rendering.
            for arguments in ARGUMENTS.chunks(10) {
                let templates: Vec<String> = arguments
                    .iter()
                    .flat_map(|arguments| printed(&format!("{input}|{name}{arguments}")))
                    .collect();
                let sources = templates.iter().enumerate();
                let set = compile_all(
                    sources
                        .map(|(index, template)| source(&format!("{index}.html"), template, &[]))
                        .collect(),
                )
                .unwrap();
                for (index, template) in templates.iter().enumerate() {
                    if let Ok(html) = set.render(&format!("{index}.html"), HOSTILE, &RenderContext::default())
                    {
                        rendered += 1;
                        assert!(harmless(&html), "{template}: {html}");
                    }
                }
            }
        }
        // Most combinations are errors, but some of each filter must have been rendered for this to mean anything.
        assert!(rendered >= 1, "{name}: {rendered}");
    }
}

#[test]
fn blocks_calls_and_filter_blocks_escape_once_and_only_once() {
    for (template, shown) in [
        (
            "{% set y %}<b>{{ n }}{{ l[0] }}</b>{% endset %}{{ y }}",
            "<b>1&lt;script&gt;</b>",
        ),
        (
            "{% macro m(v) %}<b>{{ v }}</b>{% endmacro %}{{ m(l[0]) }}",
            "<b>&lt;script&gt;</b>",
        ),
        (
            "{% macro m() %}<b>{{ caller() }}</b>{% endmacro %}{% call m() %}{{ l[0] }}{% endcall %}",
            "<b>&lt;script&gt;</b>",
        ),
        (
            "{% filter upper %}<b>{{ l[0] }}{% endfilter %}",
            "&lt;B&gt;&amp;LT;SCRIPT&amp;GT;",
        ),
        (
            "{% set y | upper %}{{ l[0] }}{% endset %}{{ y }}",
            "&amp;LT;SCRIPT&amp;GT;",
        ),
        (
            "{{ l[0]|e }}{{ l[0]|escape|escape }}",
            "&lt;script&gt;&lt;script&gt;",
        ),
        (
            "<a title=\"{{ x }}\">",
            "<a title=\"&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;\">",
        ),
        ("{{ '<b>' }}{{ '<b>' ~ n }}", "&lt;b&gt;&lt;b&gt;1"),
        (
            "{% set a %}<br>{% endset %}{{ [a, l[0]]|join(', ') }}",
            "<br>, &lt;script&gt;",
        ),
        (
            "{% set a %}<br>{% endset %}{{ a|replace('br', 'i') }}",
            "&lt;i&gt;",
        ),
        ("{{ l[0]|escape|replace('&lt;', '<') }}", "&lt;script&amp;gt;"),
    ] {
        assert_eq!(
            render(template, HOSTILE).as_deref().map_err(ToString::to_string),
            Ok(shown),
            "{template}"
        );
    }
}

#[test]
fn what_would_switch_escaping_off_is_not_there() {
    for template in [
        "{{ x|safe }}",
        "{% autoescape false %}{{ x }}{% endautoescape %}",
        "{%- autoescape 'none' -%}{{ x }}{% endautoescape %}",
        "{% filter safe %}{{ x }}{% endfilter %}",
        "{% set y | safe %}{{ x }}{% endset %}",
        "{{ x|attr('y') }}",
        "{{ x|pprint }}",
        "{{ x|format }}",
        "{{ x|indent }}",
        "{{ x is safe }}",
        "{{ x is filter }}",
    ] {
        assert!(
            matches!(
                compile(template).unwrap_err(),
                TemplateError::Forbidden { line: 1, .. }
            ),
            "{template}"
        );
    }
    for template in [
        "{{ debug() }}",
        "{{ namespace() }}",
        "{{ dict(a=1) }}",
        "{{ x|map('safe')|join }}",
        "{{ x.format(1) }}",
    ] {
        assert!(
            matches!(render(template, HOSTILE), Err(TemplateError::Render { .. })),
            "{template}"
        );
    }
}

#[test]
fn lists_maps_and_macros_are_not_printed() {
    for template in [
        "{{ l }}",
        "{{ m }}",
        "{% macro z() %}{% endmacro %}{{ z }}",
        "{% for a in l %}{{ loop }}{% endfor %}",
        "{{ range }}",
    ] {
        assert!(
            matches!(render(template, HOSTILE), Err(TemplateError::Render { .. })),
            "{template}"
        );
    }
    assert_eq!(render("{{ l ~ m }}", HOSTILE).unwrap(), "[list of 2][map of 1]");
}
