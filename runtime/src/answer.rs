//! Checks of what a guest is handed and of what it answers.

use std::collections::BTreeSet;

use crate::bindings::CapabilityError;
use crate::bindings::context_types::Context;
use crate::bindings::guest::{Job, PageResponse, Progress, Request, Response, Step};
use crate::capability::bounds::{cut, neutralise};
use crate::error::{LimitKind, PluginError};
use crate::json::{self, JsonFault};
use crate::limits::Limits;
use crate::path::is_relative;

/// Statuses that a page may have; any other becomes 200.
const STATUSES: [u16; 5] = [200, 404, 409, 422, 429];
/// Longest title, sentence and flash, bytes. Longer ones are cut: they are for reading, and no reason to fail.
const MAX_TITLE: usize = 200;
const MAX_SENTENCE: usize = 1_000;

/// Checks the size of a context.
pub(crate) fn check_context(context: &Context, limits: &Limits) -> Result<(), PluginError> {
    let service = &context.service;
    let texts = [
        &service.id,
        &service.hostname,
        &service.product,
        &context.settings,
        &context.locale,
        &context.time_zone,
        &context.request_id,
    ];
    let lists = context.permissions.iter().chain(&context.scopes);
    let addresses = service.addresses.iter().map(|address| &address.ip);
    let bytes: usize = texts
        .into_iter()
        .chain(lists)
        .chain(addresses)
        .map(|text| text.len() + 8)
        .sum();
    within(bytes <= limits.context_bytes, LimitKind::ContextBytes)
}

/// Checks a request against the bounds that the contract promises to plugins.
pub(crate) fn check_request(request: &Request) -> Result<(), PluginError> {
    let size = |fields: &[(String, String)]| {
        fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    };
    let fits = |fields: &[(String, String)]| fields.len() <= 200 && size(fields) <= 64 << 10;
    let path = request.path.len() <= 512;
    within(
        path && fits(&request.query) && fits(&request.form),
        LimitKind::RequestBytes,
    )
}

/// Checks a job's state on its way in.
pub(crate) fn check_job(job: &Job, limits: &Limits) -> Result<(), PluginError> {
    within(job.state.len() <= limits.state_bytes, LimitKind::StateBytes)
}

fn within(fits: bool, kind: LimitKind) -> Result<(), PluginError> {
    if fits {
        Ok(())
    } else {
        Err(PluginError::Limit(kind))
    }
}

/// Reads the type of an error that the plugin answered with.
pub(crate) fn guest_error(error: CapabilityError) -> PluginError {
    match error {
        CapabilityError::Denied(text) => PluginError::Denied(text),
        other => PluginError::Guest(other),
    }
}

/// Checks the answer of `handle` and brings statuses and texts into bounds.
pub(crate) fn check_response(
    response: Response,
    templates: &BTreeSet<String>,
    limits: &Limits,
) -> Result<Response, PluginError> {
    match response {
        Response::Page(page) => check_page(page, templates, limits).map(Response::Page),
        Response::Fragment(page) => check_page(page, templates, limits).map(Response::Fragment),
        Response::Redirect(mut redirection) => {
            if !is_relative(&redirection.path) {
                return Err(PluginError::Invalid(
                    "`redirect.path` is not a path under the plugin".to_owned(),
                ));
            }
            if let Some(flash) = &mut redirection.flash {
                sentence(&mut flash.text);
            }
            Ok(Response::Redirect(redirection))
        }
        Response::Json(text) => {
            json::check(&text, limits.response_bytes)
                .map_err(|fault| json_fault("json", fault, LimitKind::ResponseBytes))?;
            Ok(Response::Json(text))
        }
    }
}

fn check_page(
    mut page: PageResponse,
    templates: &BTreeSet<String>,
    limits: &Limits,
) -> Result<PageResponse, PluginError> {
    // A mail's template is plain text: as a page it would reach the browser without the escaping of HTML.
    let is_page = std::path::Path::new(&page.view.template)
        .extension()
        .is_some_and(|ext| ext == "html");
    if !is_page || !templates.contains(&page.view.template) {
        return Err(PluginError::Invalid(
            "`view.template` names no `.html` template of the plugin".to_owned(),
        ));
    }
    json::check_object(&page.view.data, limits.response_bytes)
        .map_err(|fault| json_fault("view.data", fault, LimitKind::ResponseBytes))?;
    if let Some(title) = &mut page.title {
        cut(title, MAX_TITLE);
        neutralise(title);
    }
    if !STATUSES.contains(&page.status) {
        page.status = 200;
    }
    Ok(page)
}

/// Checks the answer of `advance` and brings texts and fractions into bounds.
pub(crate) fn check_step(mut step: Step, limits: &Limits) -> Result<Step, PluginError> {
    match &mut step {
        Step::AwaitTask(next) => check_state(&next.state, &mut next.progress, limits)?,
        Step::SleepUntil(next) => check_state(&next.state, &mut next.progress, limits)?,
        Step::Continue(next) => check_state(&next.state, &mut next.progress, limits)?,
        Step::Done(text) => sentence(text),
        Step::Failed(failure) => sentence(&mut failure.reason),
    }
    Ok(step)
}

fn check_state(state: &str, progress: &mut Progress, limits: &Limits) -> Result<(), PluginError> {
    sentence(&mut progress.text);
    progress.fraction = progress
        .fraction
        .filter(|f| f.is_finite())
        .map(|f| f.clamp(0.0, 1.0));
    json::check(state, limits.state_bytes)
        .map_err(|fault| json_fault("step.state", fault, LimitKind::StateBytes))
}

fn sentence(text: &mut String) {
    cut(text, MAX_SENTENCE);
    neutralise(text);
}

fn json_fault(place: &str, fault: JsonFault, too_long: LimitKind) -> PluginError {
    match fault {
        JsonFault::TooLong(_) => PluginError::Limit(too_long),
        fault => PluginError::Invalid(format!("`{place}` {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::guest::{Continuing, Redirection, View};

    fn page(template: &str, data: &str, status: u16) -> Response {
        let view = View {
            template: template.into(),
            data: data.into(),
        };
        Response::Page(PageResponse {
            view,
            title: None,
            status,
        })
    }

    fn checked(response: Response) -> Result<Response, PluginError> {
        let templates = BTreeSet::from(["page.html".to_owned(), "mail.txt".to_owned()]);
        check_response(response, &templates, &Limits::default())
    }

    #[test]
    fn a_page_of_a_known_template_passes_and_odd_statuses_become_200() {
        for (given, kept) in [(200, 200), (422, 422), (302, 200), (500, 200), (0, 200)] {
            let Ok(Response::Page(page)) = checked(page("page.html", "{}", given)) else {
                panic!()
            };
            assert_eq!(page.status, kept);
        }
    }

    #[test]
    fn unknown_templates_text_templates_and_data_that_is_no_object_are_invalid() {
        for (template, data) in [
            ("other.html", "{}"),
            ("mail.txt", "{}"),
            ("page.html", "[]"),
            ("page.html", "{"),
            ("", "{}"),
        ] {
            assert!(
                matches!(checked(page(template, data, 200)), Err(PluginError::Invalid(_))),
                "{template} {data}"
            );
        }
    }

    #[test]
    fn data_over_the_limit_is_a_limit_and_a_thousand_levels_are_invalid() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(256 << 10));
        assert!(matches!(
            checked(page("page.html", &long, 200)),
            Err(PluginError::Limit(LimitKind::ResponseBytes))
        ));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
        assert!(matches!(
            checked(page("page.html", &deep, 200)),
            Err(PluginError::Invalid(_))
        ));
    }

    #[test]
    fn a_redirect_cannot_leave_the_plugin() {
        for path in [
            "/profile",
            "//evil.example",
            "../../profile",
            "https://evil.example",
            "a\r\nset-cookie: x",
        ] {
            let redirect = Response::Redirect(Redirection {
                path: path.into(),
                flash: None,
            });
            assert!(
                matches!(checked(redirect), Err(PluginError::Invalid(_))),
                "{path:?}"
            );
        }
    }

    #[test]
    fn progress_is_a_fraction_or_nothing() {
        for (given, kept) in [
            (0.5, Some(0.5)),
            (7.0, Some(1.0)),
            (-1.0, Some(0.0)),
            (f64::NAN, None),
        ] {
            let progress = Progress {
                text: "x".into(),
                fraction: Some(given),
            };
            let step = Step::Continue(Continuing {
                state: "{}".into(),
                progress,
            });
            let Ok(Step::Continue(next)) = check_step(step, &Limits::default()) else {
                panic!()
            };
            assert_eq!(next.progress.fraction, kept);
        }
    }

    #[test]
    fn a_state_over_the_limit_or_not_json_is_refused() {
        let step = |state: &str| {
            let progress = Progress {
                text: String::new(),
                fraction: None,
            };
            check_step(
                Step::Continue(Continuing {
                    state: state.into(),
                    progress,
                }),
                &Limits::default(),
            )
        };
        assert!(step("7").is_ok());
        assert!(matches!(step("x"), Err(PluginError::Invalid(_))));
        let long = format!("\"{}\"", "x".repeat(64 << 10));
        assert!(matches!(
            step(&long),
            Err(PluginError::Limit(LimitKind::StateBytes))
        ));
    }
}
