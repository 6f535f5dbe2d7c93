//! Every address of the panel, typed: handlers, redirects and templates make them here and nowhere else.
//!
//! Each constructor of [`Url`] stands beside the pattern in [`pattern`] that routes it. Parts that come from outside
//! (ids, plugin names, file names) are percent-encoded. A new page adds one pattern and one constructor; the test
//! below proves that they meet.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// Route patterns in axum's notation.
pub mod pattern {
    /// The sign-in form (GET) and its submission (POST).
    pub const LOGIN: &str = "/login";
    /// Ends the session (POST).
    pub const LOGOUT: &str = "/logout";
    /// The customer's services.
    pub const SERVICES: &str = "/services";
    /// The list of services alone, as a live fragment.
    pub const SERVICES_LIVE: &str = "/services/-/live";
    /// A service: leads to its overview.
    pub const SERVICE: &str = "/services/{id}";
    /// What changes above a service's pages: state, buttons, jobs. A live fragment.
    pub const SERVICE_LIVE: &str = "/services/{id}/-/live";
    /// What was done with a service.
    pub const ACTIVITY: &str = "/services/{id}/-/activity";
    /// The first page of a plugin.
    pub const PLUGIN: &str = "/services/{id}/{plugin}";
    /// A page, an action or a fragment of a plugin.
    pub const PLUGIN_PATH: &str = "/services/{id}/{plugin}/{*path}";
    /// The customer's own settings (GET, POST).
    pub const PROFILE: &str = "/profile";
    /// Changes the password (POST).
    pub const PASSWORD: &str = "/profile/password";
    /// Ends one other session (POST).
    pub const REVOKE_SESSION: &str = "/profile/sessions/{id}/revoke";
    /// Ends all other sessions (POST).
    pub const REVOKE_OTHERS: &str = "/profile/sessions/-/revoke-others";
    /// A built file of the web assets.
    pub const ASSET: &str = "/assets/{file}";
    /// Alive.
    pub const HEALTHZ: &str = "/healthz";
    /// Ready to serve.
    pub const READYZ: &str = "/readyz";
    /// Figures for Prometheus.
    pub const METRICS: &str = "/metrics";
}

/// What may stand in one segment of a path without encoding: the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An address within the panel: absolute path, and a query where the page has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Url(String);

impl Url {
    /// [`pattern::LOGIN`]
    pub fn login() -> Self {
        Self(pattern::LOGIN.to_owned())
    }

    /// [`pattern::LOGIN`], coming back to `next` afterwards.
    pub fn login_then(next: &Self) -> Self {
        Self(format!("{}?next={}", pattern::LOGIN, segment(&next.0)))
    }

    /// [`pattern::LOGOUT`]
    pub fn logout() -> Self {
        Self(pattern::LOGOUT.to_owned())
    }

    /// [`pattern::SERVICES`]
    pub fn services() -> Self {
        Self(pattern::SERVICES.to_owned())
    }

    /// [`pattern::SERVICES_LIVE`]
    pub fn services_live() -> Self {
        Self(pattern::SERVICES_LIVE.to_owned())
    }

    /// [`pattern::SERVICE`]
    pub fn service(id: &impl fmt::Display) -> Self {
        Self(format!("/services/{}", segment(id)))
    }

    /// [`pattern::SERVICE_LIVE`] for the page of `plugin`, since the overview shows more than the others.
    pub fn service_live(id: &impl fmt::Display, plugin: &str) -> Self {
        Self(format!(
            "/services/{}/-/live?plugin={}",
            segment(id),
            segment(plugin)
        ))
    }

    /// [`pattern::ACTIVITY`]; `before` is the position that the page starts after.
    pub fn activity(id: &impl fmt::Display, before: Option<&str>) -> Self {
        let query = before
            .map(|before| format!("?before={}", segment(before)))
            .unwrap_or_default();
        Self(format!("/services/{}/-/activity{query}", segment(id)))
    }

    /// [`pattern::PLUGIN`]
    pub fn plugin(id: &impl fmt::Display, plugin: &str) -> Self {
        Self(format!("/services/{}/{}", segment(id), segment(plugin)))
    }

    /// [`pattern::PLUGIN_PATH`]; `path` is relative to the plugin and each of its segments is encoded.
    pub fn plugin_path(id: &impl fmt::Display, plugin: &str, path: &str) -> Self {
        let mut url = Self::plugin(id, plugin);
        // Browsers resolve dot segments, encoded ones too, away from the plugin: they are left out.
        for part in path.split('/').filter(|part| !matches!(*part, "" | "." | "..")) {
            url.0.push('/');
            url.0.push_str(&segment(part));
        }
        url
    }

    /// [`pattern::PROFILE`]
    pub fn profile() -> Self {
        Self(pattern::PROFILE.to_owned())
    }

    /// [`pattern::PASSWORD`]
    pub fn password() -> Self {
        Self(pattern::PASSWORD.to_owned())
    }

    /// [`pattern::REVOKE_SESSION`]
    pub fn revoke_session(id: &impl fmt::Display) -> Self {
        Self(format!("/profile/sessions/{}/revoke", segment(id)))
    }

    /// [`pattern::REVOKE_OTHERS`]
    pub fn revoke_others() -> Self {
        Self(pattern::REVOKE_OTHERS.to_owned())
    }

    /// [`pattern::ASSET`]
    pub fn asset(file: &str) -> Self {
        Self(format!("/assets/{}", segment(file)))
    }

    /// Takes an address that a client sent back (the `next` of the sign-in form), if it stays within the panel.
    ///
    /// `//host` and `/\host` lead elsewhere in browsers, and control characters are dropped by them: all refused.
    pub fn from_client(value: &str) -> Option<Self> {
        let inside = value.starts_with('/') && !value.starts_with("//") && !value.contains('\\');
        (inside && value.len() <= 2048 && value.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(value.to_owned()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn segment(part: &(impl fmt::Display + ?Sized)) -> String {
    utf8_percent_encode(&part.to_string(), SEGMENT).to_string()
}

/// The addresses without parameters, which templates find as the global `urls`.
#[derive(Debug, Serialize)]
pub(super) struct Fixed {
    login: Url,
    logout: Url,
    services: Url,
    services_live: Url,
    profile: Url,
    password: Url,
    revoke_others: Url,
}

impl Fixed {
    pub(super) fn new() -> Self {
        Self {
            login: Url::login(),
            logout: Url::logout(),
            services: Url::services(),
            services_live: Url::services_live(),
            profile: Url::profile(),
            password: Url::password(),
            revoke_others: Url::revoke_others(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    async fn routed(url: &Url) -> String {
        let patterns = [
            pattern::LOGIN,
            pattern::LOGOUT,
            pattern::SERVICES,
            pattern::SERVICES_LIVE,
            pattern::SERVICE,
            pattern::SERVICE_LIVE,
            pattern::ACTIVITY,
            pattern::PLUGIN,
            pattern::PLUGIN_PATH,
            pattern::PROFILE,
            pattern::PASSWORD,
            pattern::REVOKE_SESSION,
            pattern::REVOKE_OTHERS,
            pattern::ASSET,
        ];
        let router = patterns.into_iter().fold(Router::new(), |router, pattern| {
            router.route(pattern, get(move || async move { pattern }))
        });
        let request = Request::builder().uri(url.as_str()).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        String::from_utf8(to_bytes(response.into_body(), 1024).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_address_reaches_its_own_route() {
        let id = "0192f0c1-7a3e-7c11-8f00-000000000001";
        let cases = [
            (Url::login(), pattern::LOGIN),
            (Url::login_then(&Url::service(&id)), pattern::LOGIN),
            (Url::logout(), pattern::LOGOUT),
            (Url::services(), pattern::SERVICES),
            (Url::services_live(), pattern::SERVICES_LIVE),
            (Url::service(&id), pattern::SERVICE),
            (Url::service_live(&id, "overview"), pattern::SERVICE_LIVE),
            (Url::activity(&id, None), pattern::ACTIVITY),
            (Url::activity(&id, Some("17:3")), pattern::ACTIVITY),
            (Url::plugin(&id, "snapshots"), pattern::PLUGIN),
            (
                Url::plugin_path(&id, "snapshots", "remove/a b"),
                pattern::PLUGIN_PATH,
            ),
            (Url::profile(), pattern::PROFILE),
            (Url::password(), pattern::PASSWORD),
            (Url::revoke_session(&"abc"), pattern::REVOKE_SESSION),
            (Url::revoke_others(), pattern::REVOKE_OTHERS),
            (Url::asset("app-1.css"), pattern::ASSET),
        ];
        for (url, pattern) in cases {
            assert_eq!(routed(&url).await, pattern, "{url}");
        }
    }

    #[test]
    fn parts_from_outside_cannot_leave_their_segment() {
        assert_eq!(Url::service(&"../x?y#z").as_str(), "/services/..%2Fx%3Fy%23z");
        assert_eq!(
            Url::plugin_path(&"1", "p", "../../profile").as_str(),
            "/services/1/p/profile"
        );
    }

    #[test]
    fn an_address_from_a_client_that_leads_elsewhere_is_refused() {
        for value in [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "",
            "x",
            "/a\nb",
            "/a b",
        ] {
            assert_eq!(Url::from_client(value), None, "{value:?}");
        }
        assert_eq!(
            Url::from_client("/services/1?page=2").unwrap().as_str(),
            "/services/1?page=2"
        );
    }
}
