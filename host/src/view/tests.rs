//! Every template with every sample: it renders, needs nothing its context lacks, and keeps the content policy.

use std::collections::BTreeSet;

use bytes::Bytes;
use minijinja::context;
use portico_runtime::markup::Policy;
use portico_runtime::template::{TemplateLimits, TemplateSet, TemplateSource};

use super::*;

fn view() -> View {
    let manifest = r#"{"app.css":"app-1.css","app.js":"app-1.js","mark.svg":"mark-1.svg"}"#;
    let files = [
        ("manifest.json", manifest),
        ("app-1.css", ""),
        ("app-1.js", ""),
        ("mark-1.svg", ""),
    ];
    let files = files.map(|(name, data)| (name.to_owned(), Bytes::from(data)));
    View::new(Arc::new(Assets::from_files(files).unwrap())).unwrap()
}

fn kit(source: &str) -> Result<String, Error> {
    let mut environment = view().environment;
    let source = format!("{{% import \"portico/ui.html\" as ui %}}{source}");
    environment.add_template_owned("content.html", source)?;
    environment.get_template("content.html")?.render(context! {})
}

#[test]
fn every_template_renders_with_every_sample() {
    let mut templates = BTreeSet::new();
    view()
        .for_each_sample(|template, sample, text| {
            templates.insert(template.to_owned());
            assert!(!text.trim().is_empty(), "{template} with {sample} is empty");
        })
        .unwrap();
    let parts = ["_parts.html", "layout.html", "job.html"];
    let expected: BTreeSet<String> = templates::PAGES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .filter(|name| !parts.contains(&name.as_str()))
        .collect();
    assert_eq!(
        templates, expected,
        "a template without samples, or samples without a template"
    );
}

#[test]
fn no_template_asks_for_a_variable_that_its_context_lacks() {
    fn missing<T: Template>(view: &View) -> Vec<String> {
        let known = ["urls", "asset", "ui", "parts"]; // globals, and what layout.html imports
        let template = view.environment.get_template(T::NAME).unwrap();
        let asked = template.undeclared_variables(false);
        T::samples()
            .iter()
            .flat_map(|(sample, context)| {
                let value = serde_json::to_value(context).unwrap();
                let lacks =
                    |name: &&String| value.get(name.as_str()).is_none() && !known.contains(&name.as_str());
                asked
                    .iter()
                    .filter(lacks)
                    .map(|name| format!("{} {sample}: {name}", T::NAME))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
    let view = view();
    let mut all = missing::<login::LoginPage>(&view);
    all.extend(missing::<services::ServicesPage>(&view));
    all.extend(missing::<services::ServicesFragment>(&view));
    all.extend(missing::<frame::FramePage>(&view));
    all.extend(missing::<frame::FrameHeadFragment>(&view));
    all.extend(missing::<error::ErrorPage>(&view));
    all.extend(missing::<error::ErrorFragment>(&view));
    all.extend(missing::<activity::ActivityPage>(&view));
    all.extend(missing::<profile::ProfilePage>(&view));
    assert_eq!(all, Vec::<String>::new());
}

#[test]
fn no_page_has_anything_the_content_policy_forbids() {
    view()
        .for_each_sample(|template, sample, text| {
            for forbidden in [
                "<style",
                " style=",
                "javascript:",
                " onclick",
                " onload",
                " onsubmit",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{template} {sample} contains `{forbidden}`"
                );
            }
            let scripts = text.matches("<script").count();
            assert_eq!(
                scripts,
                text.matches("<script type=\"module\" src=\"/assets/").count(),
                "{template} {sample}"
            );
        })
        .unwrap();
}

#[test]
fn no_template_switches_escaping_off() {
    for (name, source) in templates::PAGES.iter().chain([&("portico/ui.html", UI_KIT)]) {
        for forbidden in ["|safe", "| safe", "autoescape"] {
            assert!(!source.contains(forbidden), "{name} contains `{forbidden}`");
        }
    }
}

#[test]
fn a_page_is_complete_and_names_its_language_and_theme() {
    view()
        .for_each_sample(|template, sample, text| {
            if text.starts_with("<!doctype html>") {
                assert!(
                    text.contains("<html lang=\"en\" data-bs-theme=\"auto\">"),
                    "{template} {sample}"
                );
                assert!(text.contains("<main "), "{template} {sample}");
                assert!(text.trim_end().ends_with("</html>"), "{template} {sample}");
                assert_eq!(text.matches("<h1").count(), 1, "{template} {sample}");
            }
        })
        .unwrap();
}

#[test]
fn names_from_outside_are_escaped() {
    let context = services::ServicesFragment::samples().remove(0).1;
    let text = view().render(&context).unwrap();
    assert!(
        text.contains("&lt;b&gt;old &amp; &quot;quoted&quot;&lt;&#x2f;b&gt;"),
        "{text}"
    );
    assert!(!text.contains("<b>old"));
}

#[test]
fn only_checked_markup_is_inserted_as_it_is() {
    let mut page = frame::FramePage::samples().remove(0).1;
    page.content = CheckedHtml::assume_checked("<em>checked</em>".to_owned());
    page.title = "<em>title</em>".to_owned();
    let text = view().render(&page).unwrap();
    assert!(text.contains("<em>checked</em>"));
    assert!(!text.contains("<em>title</em>"));
}

#[test]
fn a_dimmed_button_keeps_its_words_and_leads_nowhere() {
    for call in [
        r#"{{ ui.button("Take", "create", disabled_reason="A backup is running") }}"#,
        r#"{{ ui.link("Take", "create", disabled_reason="A backup is running") }}"#,
        r#"{{ ui.confirm("Take", "Sure?", "Lost.", "create", disabled_reason="A backup is running") }}"#,
        r#"{% call ui.form("create", "Take", disabled_reason="A backup is running") %}{% endcall %}"#,
    ] {
        let text = kit(call).unwrap();
        assert!(text.contains("aria-disabled=\"true\""), "{text}");
        assert!(
            text.contains("Take") && text.contains("A backup is running"),
            "{text}"
        );
        assert!(
            !text.contains("href") && !text.contains("type=\"submit\""),
            "{text}"
        );
    }
}

#[test]
fn values_given_to_the_kit_cannot_leave_their_place() {
    let hostile = r#""><script>x</script>"#;
    let arguments = format!("'{hostile}'");
    for call in [
        "ui.button(X, X, icon=X, fields={X: X}, aria_label=X)",
        "ui.link(X, X, tone=X, icon=X)",
        "ui.input(X, X, value=X, help=X, error=X, placeholder=X, type=X)",
        "ui.textarea(X, X, value=X)",
        "ui.select(X, X, [X, {'value': X, 'label': X}], selected=X)",
        "ui.checkbox(X, X, value=X)",
        "ui.confirm(X, X, X, X, tone=X, icon=X, fields={X: X})",
        "ui.badge(X, tone=X)",
        "ui.alert(X, tone=X, title=X)",
        "ui.field(X, X, copy=true)",
        "ui.field(X, [X], copy=true)",
        "ui.copy(X, label=X)",
        "ui.empty(X, X, icon=X)",
        "ui.progress(0.5, X, tone=X)",
        "ui.meter(0.5, X, X)",
        "ui.counter(1, 2, X)",
        "ui.button(X, X, disabled_reason=X)",
    ] {
        let text = kit(&format!("{{{{ {} }}}}", call.replace('X', &arguments))).unwrap();
        assert!(!text.contains("<script"), "{call}: {text}");
        assert!(!text.contains("=\"\">"), "{call}: {text}");
    }
}

#[test]
fn a_macro_without_a_needed_argument_is_an_error_and_not_a_blank() {
    for call in [
        "{{ ui.button() }}",
        "{{ ui.badge() }}",
        "{{ ui.copy() }}",
        "{{ ui.nothing('x') }}",
    ] {
        assert!(kit(call).is_err(), "{call}");
    }
}

#[test]
fn fractions_outside_the_scale_are_clamped() {
    assert!(kit("{{ ui.progress(7, 'x') }}").unwrap().contains("value=\"1\""));
    assert!(kit("{{ ui.progress(-7, 'x') }}").unwrap().contains("value=\"0\""));
    assert!(!kit("{{ ui.progress(none, 'x') }}").unwrap().contains("value="));
}

#[test]
fn the_kit_shows_only_icons_that_are_built() {
    let listed: Vec<String> = serde_json::from_str(include_str!("../../../web/icons.json")).unwrap();
    let mut used = BTreeSet::new();
    let sources = templates::PAGES.iter().chain([&("portico/ui.html", UI_KIT)]);
    let rendered = std::cell::RefCell::new(String::new());
    view()
        .for_each_sample(|_, _, text| rendered.borrow_mut().push_str(text))
        .unwrap();
    for text in sources
        .map(|(_, source)| (*source).to_owned())
        .chain([rendered.into_inner()])
    {
        for part in text.split("pi pi-").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            used.insert(name);
        }
    }
    used.retain(|name| !name.is_empty() && !listed.contains(name));
    assert_eq!(used, BTreeSet::new(), "not in web/icons.json");
}

#[test]
fn a_mail_has_one_line_of_subject_and_is_not_escaped() {
    let mut mail = mail::NewPassword::samples().remove(0).1;
    mail.service = "web-1\r\nBcc: everyone@example.net".to_owned();
    let mail = view().mail(&mail).unwrap();
    assert_eq!(mail.subject, "New password for web-1 Bcc: everyone@example.net");
    assert!(mail.body.contains("an example & no secret"), "{}", mail.body);
}

#[test]
fn times_are_shown_in_the_time_zone_of_the_context() {
    let head = || service::Head::sample(false).with_sample_outcome(true);
    let fragment = |zone: &str| frame::FrameHeadFragment {
        time_zone: zone.to_owned(),
        head: head(),
    };
    let shown = |zone| view().render(&fragment(zone)).unwrap();
    assert!(
        shown("Europe/Berlin").contains("24 Nov 2025, 17:00"),
        "{}",
        shown("Europe/Berlin")
    );
    assert!(shown("UTC").contains("24 Nov 2025, 16:00"));
}

#[test]
fn what_the_kit_writes_passes_the_markup_policy_whole() {
    let samples = [
        ("kit", include_str!("../../examples/render_samples/kit.html")),
        (
            "overview",
            include_str!("../../examples/render_samples/overview.html"),
        ),
        (
            "snapshots",
            include_str!("../../examples/render_samples/snapshots.html"),
        ),
    ];
    for (name, source) in samples {
        let (html, violations) = plugin_page(source);
        assert_eq!(violations, Vec::<String>::new(), "{name}");
        assert!(html.contains("portico-card"), "{name}");
    }
}

/// Renders a page the way the runtime does for a plugin.
fn plugin_page(source: &str) -> (String, Vec<String>) {
    let source = TemplateSource {
        name: "page.html".to_owned(),
        source: source.to_owned(),
        samples: vec!["{}".to_owned()],
    };
    let templates = TemplateSet::compile(vec![source], &TemplateLimits::default()).unwrap();
    let policy = Policy::new("/services/1/snapshots/");
    let page = templates
        .render_page("page.html", "{}", &RenderContext::default(), &policy)
        .unwrap();
    (
        page.html,
        page.violations
            .iter()
            .map(|violation| format!("{violation:?}"))
            .collect(),
    )
}

#[test]
fn a_table_of_a_hundred_rows_with_buttons_fits_the_limits_of_a_plugin() {
    let row = r#"{% call ui.cell("Name") %}{{ ui.badge("x") }}{{ ui.time(1764000000) }}{% endcall %}
        {% call ui.cell("", kind="actions") %}
        {{ ui.confirm("Roll back", "Sure?", "Lost.", "rollback", icon="trash", size="sm", fields={"id": "1"}) }}
        {{ ui.confirm("Remove", "Sure?", "Lost.", "remove", icon="trash", size="sm", fields={"id": "1"}) }}
        {% endcall %}"#;
    let source = format!(
        "{{% import \"portico/ui.html\" as ui %}}{{% call ui.table([\"Name\", \"\"], \"Many\") %}}\
         {{% for i in range(100) %}}<tr>{row}</tr>{{% endfor %}}{{% endcall %}}"
    );
    let (html, violations) = plugin_page(&source);
    assert_eq!(violations, Vec::<String>::new());
    assert_eq!(html.matches("<tr>").count(), 101); // the heading is one
}
