//! The sources in `templates/`, embedded.

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../templates/", $name)))),*]
    };
}

/// See [`super::UI_KIT`].
pub(super) const UI_KIT: &str = include_str!("../../../templates/ui.html");

/// Name and source of every template that is named by its path under `templates/`.
pub(super) const PAGES: &[(&str, &str)] = embedded!(
    "_parts.html",
    "activity.html",
    "error.html",
    "error_body.html",
    "frame.html",
    "frame_head.html",
    "job.html",
    "layout.html",
    "login.html",
    "mail/job_failed.txt",
    "mail/new_password.txt",
    "mail/password_changed.txt",
    "profile.html",
    "services.html",
    "services_list.html",
);
