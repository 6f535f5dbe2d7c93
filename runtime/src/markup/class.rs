//! Class names: any, but those with which an element could leave the content area, cover the page, or pass for the frame.

use std::borrow::Cow;

use super::attribute::Verdict;

/// Classes of the style sheet that place an element out of the flow or over the window, and those of the host's frame.
/// A name that ends in `*` stands for all that begin so.
const FORBIDDEN: &[&str] = &[
    "alert-icon",
    "avatar-brand",
    "badge-notification",
    "bottom-*",
    "btn-check",
    "btn-floating",
    "card-img-overlay",
    "card-link*",
    "card-stamp*",
    "carousel*",
    "chart-sparkline-label",
    "dropdown-menu*",
    "end-*",
    "fixed-*",
    "form-colorinput-input",
    "form-imagecheck-input",
    "form-selectgroup-input",
    "input-icon-addon",
    "invalid-tooltip",
    "invisible",
    "loader*",
    "min-vh-*",
    "min-vw-*",
    "modal*",
    "navbar*",
    "offcanvas*",
    "otp-input",
    "page-cover*",
    "page-loader*",
    "popover*",
    "portico-announce",
    "portico-body",
    "portico-brand",
    "portico-dialog",
    "portico-foot*",
    "portico-iconbutton",
    "portico-main",
    "portico-menu*",
    "portico-offline",
    "portico-page",
    "portico-sidebar",
    "portico-skip",
    "portico-theme",
    "portico-top*",
    "position-*",
    "progressbg-progress",
    "ribbon*",
    "skip-link",
    "sparkline-label",
    "start-*",
    "sticky-*",
    "stretched-link",
    "toast*",
    "tooltip*",
    "top-*",
    "translate-*",
    "valid-tooltip",
    "vh-*",
    "vw-*",
    "z-*",
];

/// More classes than this on one element are cut off.
const MAX_CLASSES: usize = 32;

/// Whether a class is one of the forbidden.
fn is_forbidden(class: &str) -> bool {
    // The list is in order and no name of it begins with another, so only the last one that is not after the class can
    // be it, or a beginning of it.
    let after = FORBIDDEN.partition_point(|forbidden| forbidden.trim_end_matches('*') <= class);
    let listed = after
        .checked_sub(1)
        .and_then(|index| FORBIDDEN.get(index))
        .is_some_and(|forbidden| match forbidden.strip_suffix('*') {
            Some(prefix) => class.starts_with(prefix),
            None => class == *forbidden,
        });
    listed || is_negative_margin(class)
}

/// `mt-n3`, `m-n1`, `mt-md-n5`: margins that pull an element over what stands before it.
fn is_negative_margin(class: &str) -> bool {
    let mut parts = class.split('-');
    let first = parts.next().unwrap_or_default();
    if !(first.starts_with('m') && first.len() <= 2) {
        return false;
    }
    parts.any(|part| {
        part.strip_prefix('n')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Judges the value of a `class` attribute.
pub(super) fn judge(value: &str) -> Verdict<'_> {
    let classes = || value.split_ascii_whitespace();
    let count = classes().count();
    if count <= MAX_CLASSES && !classes().any(is_forbidden) {
        return Verdict::Write(Cow::Borrowed(value));
    }
    let kept: Vec<&str> = classes()
        .filter(|class| !is_forbidden(class))
        .take(MAX_CLASSES)
        .collect();
    let dropped: Vec<&str> = classes().filter(|class| is_forbidden(class)).take(5).collect();
    let what = if dropped.is_empty() {
        format!("more than {MAX_CLASSES} classes")
    } else {
        format!(
            "the classes `{}`, which place an element out of the content",
            dropped.join(" ")
        )
    };
    Verdict::Trimmed(kept.join(" "), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_no_name_begins_with_another() {
        let names: Vec<&str> = FORBIDDEN.iter().map(|name| name.trim_end_matches('*')).collect();
        assert!(names.is_sorted());
        for (index, name) in names.iter().enumerate() {
            let others = names.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(
                others.into_iter().all(|(_, other)| !name.starts_with(other)),
                "{name}"
            );
        }
    }

    #[test]
    fn classes_that_leave_the_content_area_are_taken_out() {
        for class in [
            "position-fixed",
            "position-absolute",
            "fixed-top",
            "sticky-md-top",
            "modal",
            "modal-backdrop",
            "offcanvas-lg",
            "navbar-expand",
            "z-3",
            "vh-100",
            "min-vw-100",
            "stretched-link",
            "top-0",
            "translate-middle",
            "mt-n5",
            "mt-md-n5",
            "portico-dialog",
            "portico-offline",
        ] {
            assert!(is_forbidden(class), "{class}");
            assert!(
                matches!(judge(&format!("btn {class} x")), Verdict::Trimmed(kept, _) if kept == "btn x"),
                "{class}"
            );
        }
    }

    #[test]
    fn classes_of_the_kit_stay() {
        for class in [
            "btn",
            "btn-primary",
            "card",
            "card-body",
            "portico-live",
            "portico-table",
            "portico-meter",
            "icon",
            "pi",
            "pi-camera",
            "is-number",
            "visually-hidden",
            "form-control",
            "mt-3",
            "mono-n",
            "text-end",
            "m-n",
        ] {
            assert!(!is_forbidden(class), "{class}");
        }
    }
}
