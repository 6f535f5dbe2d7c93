//! The sandbox: what templates can do, and what hostile ones cannot.
//!
//! `escaping` shows that nothing unescaped comes out of any filter; `hostile` that no template ends the process, blocks
//! or takes much memory, also on the small stack of a request's thread; `kit` that the panel's kit works in the sandbox; this
//! file the rest.

mod escaping;
mod hostile;
mod kit;

use super::*;

fn source(name: &str, source: &str, samples: &[&str]) -> TemplateSource {
    TemplateSource {
        name: name.to_owned(),
        source: source.to_owned(),
        samples: samples.iter().map(|sample| (*sample).to_owned()).collect(),
    }
}

fn compile_all(sources: Vec<TemplateSource>) -> Result<TemplateSet, TemplateError> {
    TemplateSet::compile(sources, &TemplateLimits::default())
}

fn compile(template: &str) -> Result<TemplateSet, TemplateError> {
    compile_all(vec![source("page.html", template, &[])])
}

fn render(template: &str, data: &str) -> Result<String, TemplateError> {
    compile(template)?.render("page.html", data, &RenderContext::default())
}

#[test]
fn a_template_renders_with_data_and_the_kit() {
    let template = r#"{% import "portico/ui.html" as ui %}
{% call ui.card(title="T") %}{% for row in rows %}<p>{{ row.name }} {{ ui.badge(row.state, tone="success") }}</p>{% endfor %}{% endcall %}"#;
    let html = render(template, r#"{"rows":[{"name":"<b>&\"'","state":"<i>"}]}"#).unwrap();
    assert!(html.contains("&lt;b&gt;&amp;&quot;&#39;"), "{html}");
    assert!(html.contains("&lt;i&gt;"), "{html}");
    assert!(html.contains("portico-tone-success"), "{html}");
}

#[test]
fn templates_of_one_plugin_include_import_and_extend_each_other() {
    let set = compile_all(vec![
        source("base.html", "<h2>{% block head %}{% endblock %}</h2>{% block body %}{% endblock %}", &[]),
        source("part/row.html", "<li>{{ row }}</li>", &[]),
        source("macros.html", "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}", &[]),
        source(
            "page.html",
            r#"{% extends "base.html" %}{% from "macros.html" import b %}{% block head %}{{ b(title) }}{% endblock %}
{%- block body %}<ul>{% for row in rows %}{% include "part/row.html" %}{% endfor %}</ul>{% endblock %}"#,
            &[r#"{"title":"T","rows":[]}"#],
        ),
    ])
    .unwrap();
    let html = set
        .render(
            "page.html",
            r#"{"title":"<T>","rows":[1,"&"]}"#,
            &RenderContext::default(),
        )
        .unwrap();
    assert_eq!(html, "<h2><b>&lt;T&gt;</b></h2><ul><li>1</li><li>&amp;</li></ul>");
    assert_eq!(
        set.names().collect::<Vec<_>>(),
        ["base.html", "macros.html", "page.html", "part/row.html"]
    );
}

#[test]
fn lists_maps_and_slices_work_as_authors_expect() {
    for (template, shown) in [
        ("{{ [3, 1, 2]|sort|join(',') }}", "1,2,3"),
        ("{{ ['b', 'A']|sort|join(',') }}", "A,b"),
        (
            "{{ rows|sort(attribute='n', reverse=true)|map(attribute='n')|join(' ') }}",
            "3 2 1",
        ),
        ("{{ rows|selectattr('n', 'gt', 1)|length }}", "2"),
        ("{{ rows|rejectattr('on')|length }}", "2"),
        (
            "{{ [1, 2, 3, 4]|select('even')|join }}{{ [1, 2]|reject('odd')|join }}",
            "242",
        ),
        ("{{ rows|sum(attribute='n') }} {{ [1, 2.5]|sum }}", "6 3.5"),
        (
            "{{ [1, [2, 3]|max]|min }}{{ rows|max(attribute='n')|items|join if false }}",
            "1",
        ),
        ("{{ [1, 1, 'a', 'A', 2]|unique|join }}", "1a2"),
        (
            "{% for k, v in {'b': 1, 'a': [2]}|items %}{{ k }}={{ v if v is number else v|first }};{% endfor %}",
            "a=2;b=1;",
        ),
        (
            "{% for row in [1, 2, 3, 4, 5]|batch(2) %}{{ row|join('+') }};{% endfor %}",
            "1+2;3+4;5;",
        ),
        (
            "{{ 'abcdef'[1:3] }}{{ [1, 2, 3][1:]|join }}{{ (rows[:2])[::-1]|map(attribute='n')|join }}",
            "bc2331",
        ),
        ("{{ {'a': {'b': [10]}}.a.b[0] }}{{ [[1], [2]][1][0] }}", "102"),
        (
            "{{ 'x' in ['x', 'y'] }}{{ 2 not in [1] }}{{ 'b' in 'abc' }}",
            "TrueTrueTrue",
        ),
        (
            "{% set a = {'warning': 'w'}[tone] if tone in ['warning'] else 'i' %}{{ a }}",
            "w",
        ),
        (
            "{% macro m(x={}, y=[1]) %}{{ x|length }}{{ y|first }}{% endmacro %}{{ m() }}{{ m(x={'a': 1}) }}",
            "0111",
        ),
        (
            "{{ range(2, 5)|join }}{{ range(5, 0, -2)|join }}{{ range(0)|length }}{{ range(3, 1)|length }}",
            "23453100",
        ),
        (
            "{% for i in range(3) %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}",
            "1a2b3a",
        ),
        (
            "{% for a in [1, [2, [3]]] recursive %}{{ a if a is number else loop(a) }}{% endfor %}",
            "123",
        ),
        (
            "{{ 'a,b'|split(',')|last }}{{ 'x\ny'|lines|length }}{{ 'ab'|reverse }}",
            "b2ba",
        ),
        (
            "{{ loop_count|default(7) }}{{ none|default('x', true) }}{{ 3|plus(4)|times(2) }}{{ 1 + 2 }}",
            "7x143",
        ),
        (
            "{{ ' a '|trim|upper ~ 'B'|lower }}{{ 'hello world'|title|truncate(7) }}",
            "AbHello W…",
        ),
        (
            "{{ 'abcabc'|replace('b', '<') }}{{ 'ab'|capitalize }}{{ '5'|int + 1 }}{{ 2.567|round(1) }}",
            "a&lt;ca&lt;cAb62.6",
        ),
        ("{{ 'a b/c?'|urlencode }}", "a%20b%2Fc%3F"),
        (
            "{{ {'a': [1, none, 'x\"<'], 'b': 1.5}|tojson }}",
            "{&quot;a&quot;:[1,null,&quot;x\\&quot;&lt;&quot;],&quot;b&quot;:1.5}",
        ),
        ("{{ none }}{{ true }}{{ 1.0 }}", "True1.0"),
    ] {
        let data = r#"{"tone":"warning","rows":[{"n":1,"on":true},{"n":3,"on":false},{"n":2,"on":false}]}"#;
        assert_eq!(
            render(template, data).as_deref().map_err(ToString::to_string),
            Ok(shown),
            "{template}"
        );
    }
}

#[test]
fn what_is_undefined_is_an_error_that_names_template_and_line() {
    match render("<p>\n{{ nothing }}</p>", "{}") {
        Err(TemplateError::Render {
            template,
            line: 2,
            message,
        }) => {
            assert_eq!(template.as_str(), "page.html");
            assert!(message.as_str().contains("undefined"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    for template in [
        "{{ a.b }}",
        "{% if nothing %}{% endif %}",
        "{% for x in nothing %}{% endfor %}",
        "{{ nothing|upper }}",
    ] {
        assert!(
            matches!(render(template, r#"{"a":{}}"#), Err(TemplateError::Render { .. })),
            "{template}"
        );
    }
}

#[test]
fn an_error_in_an_included_template_names_that_one() {
    let set = compile_all(vec![
        source("page.html", "{% include 'part.html' %}", &[]),
        source("part.html", "\n\n{{ nothing }}", &[]),
    ])
    .unwrap();
    let error = set
        .render("page.html", "{}", &RenderContext::default())
        .unwrap_err();
    assert!(
        matches!(&error, TemplateError::Render { template, line: 3, .. } if template.as_str() == "part.html"),
        "{error:?}"
    );
}

#[test]
fn a_sample_that_does_not_render_refuses_the_plugin() {
    let error = compile_all(vec![source("page.html", "{{ a }}", &[r#"{"a":1}"#, "{}"])]).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Sample { index: 1, .. }),
        "{error:?}"
    );
    let error = compile_all(vec![source("page.html", "x", &["[]"])]).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Sample { reason, .. } if matches!(**reason, TemplateError::Data { .. })),
        "{error:?}"
    );
}

#[test]
fn a_sample_whose_markup_the_policy_refuses_refuses_the_plugin() {
    let error = compile_all(vec![source("page.html", "<script>x</script>", &["{}"])]).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Sample { reason, .. } if matches!(**reason, TemplateError::Markup { .. })),
        "{error:?}"
    );
}

#[test]
fn names_stay_in_the_plugins_own_space() {
    for name in [
        "",
        "page",
        "page.htm",
        "page.js",
        "/page.html",
        "a//b.html",
        "../page.html",
        "a/../b.html",
        "a/.hidden.html",
        "a..b.html",
        "portico/ui.html",
        "portico/own.html",
        "a b.html",
        "a\\b.html",
        "ü.html",
        "a\0.html",
    ] {
        let error = compile_all(vec![source(name, "x", &[])]).unwrap_err();
        assert!(matches!(error, TemplateError::Name { .. }), "{name:?}: {error:?}");
    }
    let error = compile_all(vec![source("a.html", "", &[]), source("a.html", "", &[])]).unwrap_err();
    assert!(matches!(
        error,
        TemplateError::Name {
            reason: "it is given twice",
            ..
        }
    ));
    for name in [
        "page.html",
        "mail/done.txt",
        "a-b_c.d.html",
        "A/b/c.html",
        "portico.html",
    ] {
        compile_all(vec![source(name, "x", &[])]).unwrap();
    }
}

#[test]
fn sizes_and_numbers_are_capped() {
    let large = "x".repeat(64 * 1024 + 1);
    let error = compile(&large).unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::SourceTooLarge {
                size: 65_537,
                limit: 65_536,
                ..
            }
        ),
        "{error:?}"
    );
    let many: Vec<_> = (0..65)
        .map(|number| source(&format!("{number}.html"), "x", &[]))
        .collect();
    assert!(matches!(
        compile_all(many).unwrap_err(),
        TemplateError::TooMany { count: 65, limit: 64 }
    ));
    let full = "x".repeat(60 * 1024);
    let total: Vec<_> = (0..5)
        .map(|number| source(&format!("{number}.html"), &full, &[]))
        .collect();
    let error = compile_all(total).unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::SourceTooLarge {
                size: 307_200,
                limit: 262_144,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn templates_of_others_do_not_exist() {
    for template in [
        "{% include 'layout.html' %}",
        "{% import '../../etc/passwd' as x %}",
        "{% extends 'portico/layout.html' %}",
        "{% from 'portico/frame.html' import x %}",
        "{% include 'nothing.html' ignore missing %}",
    ] {
        assert!(
            matches!(
                compile(template).unwrap_err(),
                TemplateError::UnknownTemplate { .. }
            ),
            "{template}"
        );
    }
    let set = compile("x").unwrap();
    for name in ["nothing.html", "portico/ui.html", "", "page.txt"] {
        let error = set.render(name, "{}", &RenderContext::default()).unwrap_err();
        assert!(matches!(error, TemplateError::UnknownTemplate { .. }), "{name}");
    }
}

#[test]
fn a_text_template_is_a_mail_with_a_subject_and_is_not_escaped() {
    let set = compile_all(vec![
        source(
            "done.txt",
            "Backup of {{ host }} restored\n\nHello,\n{{ name }}\u{7}, {{ 1795519380|datetime }}\n",
            &[],
        ),
        source("page.html", "x", &[]),
    ])
    .unwrap();
    let context = RenderContext::new("Europe/Berlin", "en");
    let mail = set
        .render_mail("done.txt", r#"{"host":"a&b","name":"<Ann>\u0000"}"#, &context)
        .unwrap();
    assert_eq!(mail.subject, "Backup of a&b restored");
    assert_eq!(mail.body, "Hello,\n<Ann>, 24 Nov 2026, 12:23");
    // A line feed in the data cannot become a header: what follows it is body.
    let mail = set
        .render_mail("done.txt", r#"{"host":"x\nBcc: y","name":""}"#, &context)
        .unwrap();
    assert_eq!(mail.subject, "Backup of x");
    assert!(set.render_mail("page.html", "{}", &context).is_err());
    assert!(
        set.render_page("done.txt", "{}", &context, &Policy::new("/x/"))
            .is_err()
    );
}

#[test]
fn text_and_html_templates_do_not_mix() {
    let error = compile_all(vec![
        source("a.txt", "{% include 'b.html' %}", &[]),
        source("b.html", "x", &[]),
    ])
    .unwrap_err();
    assert!(matches!(error, TemplateError::UnknownTemplate { .. }));
    let error = compile_all(vec![
        source("a.txt", "x", &[]),
        source("b.html", "{% include 'a.txt' %}", &[]),
    ])
    .unwrap_err();
    assert!(matches!(error, TemplateError::UnknownTemplate { .. }));
}

#[test]
fn errors_do_not_repeat_a_plugins_text_without_end() {
    let long = "x".repeat(30_000);
    for template in [
        format!("{{{{ a|{long} }}}}"),
        format!("{{% {long} %}}"),
        format!("{{{{ a is {long} }}}}"),
        format!("{{% include '{long}' %}}"),
        format!("{{{{ {long} }}}}"),
        format!("{{{{ {long}() }}}}"),
    ] {
        let text = render(&template, "{}").unwrap_err().to_string();
        assert!(text.len() < 800, "{} bytes", text.len());
    }
}

#[test]
fn times_are_shown_in_the_time_zone_of_the_context_also_in_macros_includes_and_blocks() {
    let set = compile_all(vec![
        source("part.html", "{{ at|datetime }}", &[]),
        source("base.html", "{% block b %}{% endblock %}", &[]),
        source("m.html", "{% macro t(x) %}{{ x|datetime }}{% endmacro %}", &[]),
        source(
            "page.html",
            "{% extends 'base.html' %}{% import 'm.html' as m %}{% block b %}{{ m.t(at) }};{% include 'part.html' %};\
             {% for at in [at] %}{{ at|datetime }}{% endfor %}{% endblock %}",
            &[],
        ),
    ])
    .unwrap();
    let context = RenderContext::new("Asia/Tokyo", "en");
    let data = r#"{"at":1795519380,"portico context":"UTC"}"#;
    let html = set.render("page.html", data, &context).unwrap();
    assert_eq!(html, "24 Nov 2026, 20:23;24 Nov 2026, 20:23;24 Nov 2026, 20:23");
}
