//! The panel's kit in the sandbox: every macro renders, passes the policy untouched, and escapes what it is given.

use super::*;

/// Calls of the kit. `x` is hostile text, `n` a number.
const CALLS: &[&str] = &[
    "{{ ui.icon(x) }}{{ ui.icon('camera', class=x) }}",
    "{% call ui.card(x, icon='camera', actions=ui.badge(x)) %}{{ x }}{% endcall %}{% call ui.card(flush=true) %}x{% endcall %}",
    "{% call ui.grid() %}{% call ui.col(6) %}{% call ui.row() %}{{ x }}{% endcall %}{% endcall %}{% endcall %}",
    "{% call ui.table([x, 'B', ''], caption=x) %}<tr>{% call ui.cell(x) %}{{ x }}{% endcall %}\
     {% call ui.cell('B', kind='number') %}1{% endcall %}\
     {% call ui.cell('', kind='actions') %}{{ ui.button('R', 'remove', fields={'name': x}, size='sm') }}{% endcall %}</tr>{% endcall %}",
    "{{ ui.badge(x, tone='success', dot=true) }}",
    "{{ ui.button(x, 'create?q=1', tone='danger', icon='x', fields={'a': x, 'b': n}, aria_label=x) }}",
    "{{ ui.button(x, 'create', disabled_reason=x) }}{{ ui.dimmed(x, 'x', x) }}",
    "{{ ui.link(x, '?page=2') }}{{ ui.link(x, 'https://docs.example/', external=true) }}{{ ui.link(x, 'a', disabled_reason=x) }}",
    "{% call ui.form('create', x, layout='row', fields={'a': x}) %}{{ x }}{% endcall %}\
     {% call ui.form('create', x, disabled_reason=x) %}y{% endcall %}",
    "{{ ui.input('name', x, value=x, help=x, error=x, required=true, maxlength=9, placeholder=x, autocomplete='off', list='l', min=1, max=2) }}",
    "{{ ui.textarea('name', x, value=x, help=x, error=x) }}",
    "{{ ui.select('name', x, ['a', x], selected=x) }}{{ ui.select('b', x, [{'value': x, 'label': x, 'disabled': true}], id='other') }}",
    "{{ ui.checkbox('name', x, checked=true, help=x) }}",
    "{{ ui.confirm(x, x, x, 'remove', icon='trash', fields={'a': x}, submit_label=x, quiet=true) }}\
     {% call ui.confirm(x, x, x, 'remove') %}{{ ui.input('word', x) }}{% endcall %}{{ ui.confirm(x, x, x, 'r', disabled_reason=x) }}",
    "{{ ui.progress(0.25, x) }}{{ ui.progress(none, x) }}{{ ui.meter(0.95, x, x, warn=0.7, crit=0.9) }}{{ ui.meter(none, x, x) }}",
    "{{ ui.counter(2, 3, x) }}{{ ui.counter(0, 0, x) }}{{ ui.empty(x, x) }}{{ ui.alert(x, tone='danger', title=x) }}",
    "{% call ui.fields() %}{{ ui.field(x, x, copy=true) }}{{ ui.field(x, [x, 'b'], copy=true) }}{% endcall %}{{ ui.copy(x, x) }}",
    "{% call ui.live('live', fast=true) %}{{ x }}{% endcall %}{{ ui.time(n) }}",
];

#[test]
fn every_macro_of_the_kit_renders_passes_the_policy_and_escapes() {
    let policy = Policy::new("/services/7/snapshots/");
    let context = RenderContext::default();
    let data = r#"{"x":"<script>\"'&</script>","n":1795519380}"#;
    for call in CALLS {
        let template = format!("{{% import 'portico/ui.html' as ui %}}{call}");
        let set = compile(&template).unwrap_or_else(|error| panic!("{call}: {error}"));
        let page = set
            .render_page("page.html", data, &context, &policy)
            .unwrap_or_else(|error| panic!("{call}: {error}"));
        assert_eq!(page.violations, [], "{call}");
        assert!(!page.html.contains("<script"), "{call}: {}", page.html);
    }
}

#[test]
fn every_macro_of_the_kit_is_called_in_these_tests() {
    let kit = include_str!("../../../../templates/ui.html");
    for declaration in kit.split("macro ").skip(1) {
        let name = declaration.split('(').next().unwrap();
        // What begins with an underscore is for the kit itself.
        if name.starts_with('_') || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            continue;
        }
        assert!(
            CALLS.iter().any(|call| call.contains(&format!("ui.{name}("))),
            "{name}"
        );
    }
}

#[test]
fn a_table_of_200_rows_leaves_most_of_the_fuel() {
    let template = "{% import 'portico/ui.html' as ui %}{% call ui.table(['Name', 'Made', ''], caption='c') %}{% for row in rows %}<tr>\
        {% call ui.cell('Name') %}{{ row.name }}{% endcall %}{% call ui.cell('Made') %}{{ ui.time(row.at) }}{% endcall %}\
        {% call ui.cell('', kind='actions') %}{{ ui.confirm('Roll back', 'Roll back?', 'Lost', 'rollback', fields={'name': row.name}) }}\
        {{ ui.button('Remove', 'remove', fields={'name': row.name}) }}{% endcall %}</tr>{% endfor %}{% endcall %}";
    let limits = TemplateLimits {
        fuel: TemplateLimits::default().fuel / 3,
        ..TemplateLimits::default()
    };
    let set = TemplateSet::compile(vec![source("page.html", template, &[])], &limits).unwrap();
    let rows = vec![r#"{"name":"before-the-upgrade","at":1795519380}"#; 200].join(",");
    set.render(
        "page.html",
        &format!("{{\"rows\":[{rows}]}}"),
        &RenderContext::default(),
    )
    .unwrap();
}
