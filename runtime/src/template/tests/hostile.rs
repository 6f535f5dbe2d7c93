//! Templates and data made to end the process, to block or to take memory.
//!
//! Rendering happens on a thread with a stack of 2 MiB, as a request's does; an overflow would end the test run.

use std::time::{Duration, Instant};

use super::*;

/// The stack of a thread of an async runtime.
const REQUEST_STACK: usize = 2 * 1024 * 1024;

/// Far above what a rendering takes in a debug build on a busy machine; what is not bounded takes years.
const PATIENCE: Duration = Duration::from_mins(1);

/// Renders on a thread like that of a request, and fails where it takes long.
fn render_at_request(set: TemplateSet, data: &str) -> Result<String, TemplateError> {
    let data = data.to_owned();
    let started = Instant::now();
    let result = std::thread::Builder::new()
        .stack_size(REQUEST_STACK)
        .spawn(move || {
            let rendered = set.render("page.html", &data, &RenderContext::default());
            // The set is dropped here as well, as it is when a plugin is replaced.
            drop(set);
            rendered
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(started.elapsed() < PATIENCE, "took {:?}", started.elapsed());
    result
}

fn attack(template: &str, data: &str) -> Result<String, TemplateError> {
    render_at_request(compile(template)?, data)
}

/// Whether a template was stopped by one of the limits, at compile time or later.
fn stopped(result: &Result<String, TemplateError>) -> bool {
    match result {
        Ok(_) => false,
        Err(TemplateError::Engine { .. }) => panic!("the engine panicked"),
        Err(_) => true,
    }
}

#[test]
fn chains_of_64_kib_end_in_an_error() {
    let fill = |piece: &str| piece.repeat(65_000 / piece.len());
    for template in [
        format!("{{{{ {}1 }}}}", fill("-")),
        format!("{{{{ {}1 }}}}", fill("not ")),
        format!("{{{{ 1{} }}}}", fill("~1")),
        format!("{{{{ 1{} }}}}", fill("+1")),
        format!("{{{{ 1{} }}}}", fill("**1")),
        format!("{{{{ 1{} }}}}", fill(" and 1")),
        format!("{{{{ 1{} }}}}", fill(" or 1")),
        format!("{{{{ 1{} }}}}", fill(" if 1 else 1")),
        format!("{{{{ 1{} }}}}", fill(" is not none")),
        format!("{{{{ a{} }}}}", fill(".b")),
        format!("{{{{ a{} }}}}", fill("|e")),
        format!("{{{{ a{} }}}}", fill("[0]")),
        format!("{{{{ a{} }}}}", fill("[:]")),
        format!("{{{{ a{} }}}}", fill("()")),
        format!("{{{{ a{} }}}}", fill(".b()")),
        format!("{{{{ {} }}}}", fill("(")),
        format!("{{{{ {} }}}}", fill("[")),
        format!("{{{{ {} }}}}", fill("{1:")),
        format!("{{% if 1 %}}{}{{% endif %}}", fill("{% elif 1 %}")),
        fill("{% if 1 %}"),
        fill("{% for x in y %}"),
        fill("{% block x %}"),
        fill("{% macro x() %}"),
        fill("{% call x() %}"),
        fill("{% filter e %}"),
        fill("{% with %}"),
        fill("{% raw %}"),
        format!("{{% filter e{} %}}{{% endfilter %}}", fill("|e")),
    ] {
        assert!(
            stopped(&attack(&template, r#"{"a":{"b":1}}"#)),
            "{}",
            template.get(..40).unwrap()
        );
    }
}

#[test]
fn many_lines_many_tags_and_unfinished_tags_are_no_trouble() {
    let fill = |piece: &str| piece.repeat(65_000 / piece.len());
    for template in [
        fill("\n"),
        fill("{{ 1 }}"),
        fill("{#"),
        fill("{"),
        fill("{#x#}"),
        fill("{% set a = 1 %}"),
        fill("é"),
        format!("{{{{ 1{} }}}}", fill("<1")),
    ] {
        let _ = attack(&template, "{}");
    }
    let error = attack(&"{{".repeat(30_000), "{}").unwrap_err();
    assert!(matches!(error, TemplateError::Syntax { .. }), "{error:?}");
}

#[test]
fn endless_work_runs_out_of_fuel() {
    for template in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9) %}{{ 'x'|upper }}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% if range(9999)|list %}{% endif %}{% endfor %}",
        "{% for a in range(9999) %}{{ 9999 in range(9999) }}{% endfor %}",
        "{% for a in range(9999) %}{{ range(9999)|sum }}{% endfor %}",
        "{% for a in range(9999) %}{{ range(9999)|sort|first }}{% endfor %}",
        "{% for a in range(9999) %}{% set x %}{{ s }}{{ s }}{{ s }}{{ s }}{% endset %}{% endfor %}",
        "{% macro m(n) %}{% for i in range(9) %}{{ m(n) }}{% endfor %}{% endmacro %}{{ m(1) }}",
        "{% for a in range(9999) recursive %}{{ loop(range(9999)) if loop.depth < 9 }}{% endfor %}",
    ] {
        let data = format!("{{\"s\":\"{}\"}}", "s".repeat(10_000));
        let result = attack(template, &data);
        assert!(
            matches!(
                result,
                Err(TemplateError::Fuel { .. } | TemplateError::Recursion { .. })
            ),
            "{template}: {:?}",
            result.map(|html| html.len())
        );
    }
}

#[test]
fn endless_recursion_ends_at_the_limit() {
    for template in [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ caller() }}{% call m() %}x{% endcall %}{% endmacro %}{% call m() %}y{% endcall %}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% include 'page.html' %}",
        "{% import 'page.html' as p %}",
        "{% from 'page.html' import p %}",
        "{% block b %}{{ self.b() }}{% endblock %}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m(f) %}{{ f(m) }}{% endmacro %}{{ m(m) }}",
        "{% macro m() %}{% include 'page.html' %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% for i in [1] %}{% with a=1 %}{% set x %}{{ m()|upper }}{% endset %}{% endwith %}{% endfor %}{% endmacro %}{{ m() }}",
    ] {
        let result = attack(template, "{}");
        assert!(
            matches!(result, Err(TemplateError::Recursion { .. })),
            "{template}: {result:?}"
        );
    }
    let result = attack("{% extends 'page.html' %}", "{}");
    assert!(
        matches!(
            result,
            Err(TemplateError::Render { .. } | TemplateError::Recursion { .. })
        ),
        "{result:?}"
    );
}

#[test]
fn the_deepest_allowed_nesting_fits_the_stack_of_a_request() {
    // The limit that the configuration cannot exceed, in a debug build, whose frames are larger than a release's.
    let limits = TemplateLimits {
        recursion: 10_000,
        fuel: 10_000_000,
        ..TemplateLimits::default()
    };
    for template in [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% set x %}{{ [m()|upper]|join }}{% endset %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ caller() }}{% call m() %}x{% endcall %}{% endmacro %}{% call m() %}y{% endcall %}",
        "{% include 'page.html' %}",
        "{% block b %}{{ self.b() }}{% endblock %}",
        "{% macro m() %}{{ ['m']|map('upper')|join }}{% include 'page.html' %}{% endmacro %}{{ m() }}",
    ] {
        let set = TemplateSet::compile(vec![source("page.html", template, &[])], &limits).unwrap();
        let result = render_at_request(set, "{}");
        assert!(
            matches!(result, Err(TemplateError::Recursion { .. })),
            "{template}: {result:?}"
        );
    }
}

#[test]
fn lists_in_lists_cannot_grow_without_end() {
    let doubling =
        |step: &str, end: &str| format!("{{% set x = [0] %}}{{% set y = [0] %}}{}{end}", step.repeat(60));
    for (step, end) in [
        ("{% set x = [x, x] %}", "{{ x ~ '' }}"),
        ("{% set x = [x, x] %}{% set y = [y, y] %}", "{{ x == y }}"),
        ("{% set x = {'a': x, 'b': x} %}", "{{ x|tojson }}"),
        ("{% set x = [x, x, x, x, x, x, x, x] %}", "{{ x in [x] }}"),
        ("{% set x = [[[[[[[[x]]]]]]]] %}", "{{ x ~ '' }}"),
        ("{% set x = [x|items, x] %}", ""),
        ("{% set x = [x[:], x[:]] %}", "{{ x|tojson }}"),
        ("{% set x = [[x, x]|list, [x, x]|reverse] %}", "{{ x|tojson }}"),
    ] {
        assert!(stopped(&attack(&doubling(step, end), "{}")), "{step}{end}");
    }
    for template in [
        "{% set x = (1, 2) %}",
        "{% set x = 1, 2 %}",
        "{% for x in 1, 2 %}{% endfor %}",
        "{{ (1,) }}",
        "{{ () }}",
        "{{ [(1, 2)] }}",
        "{{ [1] * 100000000 }}",
        "{{ 'x' * 100000000 }}",
        "{% set x = a + b %}",
        "{% set x = a + [1] %}",
        "{{ a(*b) }}",
        "{{ a(**b) }}",
        "{% set a.b = 1 %}",
        "{{ a|upper(*b) }}",
        "{% include ['a.html'] %}",
        "{% include name %}",
        "{% import name as x %}",
        "{% extends name %}",
        "{{ (a.b)(1) if 1 }}{{ a[0](1) }}",
        "{% for x in l %}{{ loop.changed(loop) }}{% endfor %}",
        "{% for x in l %}{% set l = loop %}{{ l.changed(l) }}{% endfor %}",
        "{% for x in l %}{{ loop.cycle() }}{% endfor %}",
    ] {
        let error = compile(template).unwrap_err();
        assert!(
            matches!(
                error,
                TemplateError::Forbidden { .. } | TemplateError::Syntax { .. }
            ),
            "{template}: {error:?}"
        );
    }
}

#[test]
fn text_cannot_grow_without_end() {
    for template in [
        format!(
            "{{% set x = 'x' %}}{}{{{{ x }}}}",
            "{% set x = x ~ x %}".repeat(60)
        ),
        format!(
            "{{% set x %}}x{{% endset %}}{}",
            "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60)
        ),
        format!(
            "{{% set x = 'x' %}}{}",
            "{% set x = x|replace('x', 'xxxxxxxx') %}".repeat(60)
        ),
        format!(
            "{{% set x = s %}}{}",
            "{% set x = [x, x, x, x]|join(x) %}".repeat(60)
        ),
        "{% for i in range(9999) %}{{ s }}{% endfor %}".to_owned(),
        "{{ range(9999)|join(s) }}".to_owned(),
        "{{ range(99999)|join }}".to_owned(),
        "{{ range(9999)|map('string')|join(s) }}".to_owned(),
        format!("{{{{ [{}]|sort|first }}}}", "s,".repeat(20_000)),
        format!("{{{{ [{}]|unique|first }}}}", "s,".repeat(20_000)),
        format!("{{{{ [{}]|map('upper')|first }}}}", "s,".repeat(20_000)),
        format!("{{{{ [{}]|tojson }}}}", "s,".repeat(20_000)),
    ] {
        let data = format!("{{\"s\":\"{}\"}}", "s".repeat(100_000));
        assert!(
            stopped(&attack(&template, &data)),
            "{}",
            template.get(..60).unwrap_or(&template)
        );
    }
}

#[test]
fn output_over_the_limit_is_an_error() {
    let result = attack(
        "{% for i in range(20) %}{{ s }}{% endfor %}",
        &format!("{{\"s\":\"{}\"}}", "s".repeat(100_000)),
    );
    assert!(
        matches!(
            result,
            Err(TemplateError::OutputTooLarge { limit: 1_048_576, .. })
        ),
        "{:?}",
        result.map(|html| html.len())
    );
}

#[test]
fn data_as_deep_as_allowed_is_walked_without_trouble() {
    let data = format!("{{\"a\":{}1{}}}", "[".repeat(63), "]".repeat(63));
    let template = "{{ a|tojson|length }}{{ a == a }}{{ a in [a] }}{{ [a]|first|tojson|length }}\
                    {% for x in a recursive %}{{ x if x is number else loop(x) }}{% endfor %}";
    assert_eq!(attack(template, &data).unwrap(), "127TrueTrue1271");
}

#[test]
fn data_that_is_too_deep_or_too_large_is_refused_at_request_time() {
    let data = format!("{{\"a\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let result = attack("x", &data);
    assert!(
        matches!(
            result,
            Err(TemplateError::Data {
                reason: DataError::TooDeep { limit: 64 },
                ..
            })
        ),
        "{result:?}"
    );
    let result = attack("x", &format!("{{\"a\":\"{}\"}}", "x".repeat(300_000)));
    assert!(
        matches!(
            result,
            Err(TemplateError::Data {
                reason: DataError::TooLarge { .. },
                ..
            })
        ),
        "{result:?}"
    );
    let result = attack("x", &format!("{{\"a\":[{}1]}}", "[],".repeat(80_000)));
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn comparing_large_data_does_not_block() {
    let list = format!("[{}1]", "[[1],[2],[3]],".repeat(8_000));
    let data = format!("{{\"a\":[[{list}]],\"b\":[[{list}]]}}");
    let template = "{% for i in range(20000) %}{% if a == b %}{% endif %}{% endfor %}done";
    let _ = attack(template, &data);
}

#[test]
fn numbers_at_their_limits_do_not_panic() {
    for expression in [
        "9223372036854775807 + 1",
        "-9223372036854775808 - 1",
        "2 ** 200",
        "2 ** 99999999999",
        "1 / 0",
        "1 // 0",
        "1 % 0",
        "(-170141183460469231731687303715884105728) // -1",
        "-(-9223372036854775808)",
        "9223372036854775807|plus(1)",
        "9223372036854775807|times(2)",
        "1e308|times(1e308)",
        "1e308|times(1e308)|int",
        "'nan'|float",
        "'1e999'|float",
        "1|round(99999)",
        "1.5|round(-400)",
        "1.5|round(2147483647)",
        "(-9223372036854775808)|abs",
        "'abc'[9223372036854775807:]",
        "[1, 2][-9223372036854775808:9223372036854775807]|join",
        "'abc'|truncate(18446744073709551615)",
        "'abc'|truncate(-1)",
        "[1]|batch(18446744073709551615)|length",
        "[1]|batch(0)|length",
        "range(-9223372036854775808, 9223372036854775807)|length",
        "range(0, 9223372036854775807, 9223372036854775807)|length",
        "range(9223372036854775807, -9223372036854775808, -1)|length",
        "range(5, 0, -9223372036854775808)|length",
        "1 is divisibleby(0)",
        "'x'|int",
        "[]|min",
        "[]|max|upper",
        "[none, 1]|sort",
        "[[], {}]|sort",
        "[1, 'a', 2.5, '']|sort|join",
        "{1: 2, none: 3}|items|length",
        "{[1]: 2}|items|length",
        "1e400",
        "loop",
        "self",
        "self.x()",
        "super()",
        "caller()",
    ] {
        let template = format!("{{{{ {expression} }}}}");
        if let Err(TemplateError::Engine { .. }) = attack(&template, "{}") {
            panic!("`{expression}` panicked");
        }
    }
}

#[test]
fn a_panic_of_the_engine_fails_one_rendering_and_nothing_else() {
    // Overflows in the engine where it is built with overflow checks, as in this test run.
    let set = compile("{{ 'abc'[::step] }}").unwrap();
    let context = RenderContext::default();
    let result = set.render("page.html", r#"{"step":-9223372036854775808}"#, &context);
    assert!(
        matches!(result, Ok(_) | Err(TemplateError::Engine { .. })),
        "{result:?}"
    );
    assert_eq!(set.render("page.html", r#"{"step":2}"#, &context).unwrap(), "ac");
}
