//! The sandbox: what templates can do, and what hostile ones cannot.

use super::*;

fn source(name: &str, source: &str, samples: &[&str]) -> TemplateSource {
    TemplateSource {
        name: name.to_owned(),
        source: source.to_owned(),
        samples: samples.iter().map(|sample| (*sample).to_owned()).collect(),
    }
}

fn compile(template: &str) -> Result<TemplateSet, TemplateError> {
    TemplateSet::compile(
        vec![source("page.html", template, &[])],
        &TemplateLimits::default(),
    )
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
