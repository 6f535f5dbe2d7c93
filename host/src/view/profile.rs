//! The customer's own settings: time zone, language, password, sessions.

use serde::Serialize;

use super::Template;
use super::page::{Page, Section};
use super::urls::Url;

/// A choice of a select field.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// What the form sends.
    pub value: String,
    /// What the customer reads.
    pub label: String,
}

/// The form for language and time.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// IANA name, as stored or as typed.
    pub time_zone: String,
    /// All names, for the suggestions.
    pub time_zones: Vec<String>,
    /// Why what was typed is refused.
    pub time_zone_error: Option<String>,
    /// The language's tag.
    pub locale: String,
    /// The languages there are.
    pub locales: Vec<Choice>,
    /// Why the language is refused.
    pub locale_error: Option<String>,
}

/// The form for the password.
#[derive(Debug, Clone, Serialize)]
pub struct PasswordForm {
    /// The least number of characters.
    pub min_length: usize,
    /// Message of the field `current`.
    pub current_error: Option<String>,
    /// Message of the field `new`.
    pub new_error: Option<String>,
    /// Message of the field `repeat`.
    pub repeat_error: Option<String>,
}

/// One place where the customer is signed in.
#[derive(Debug, Clone, Serialize)]
pub struct SessionRow {
    /// Browser and system in words.
    pub agent: String,
    /// The address last seen.
    pub address: String,
    /// Epoch seconds.
    pub created_at: i64,
    /// Epoch seconds.
    pub seen_at: i64,
    /// It is the session that asks.
    pub current: bool,
    /// Ends it (POST).
    pub revoke_href: Url,
}

/// Context of `profile.html`.
#[derive(Debug, Serialize)]
pub struct ProfilePage {
    /// The layout's part; somebody is signed in.
    pub page: Page,
    /// Language and time.
    pub settings: Settings,
    /// Password.
    pub password: PasswordForm,
    /// Sessions, the current one first.
    pub sessions: Vec<SessionRow>,
}

impl Template for ProfilePage {
    const NAME: &'static str = "profile.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let session = |agent: &str, address: &str, current| SessionRow {
            agent: agent.to_owned(),
            address: address.to_owned(),
            created_at: 1_763_900_000,
            seen_at: 1_764_000_000,
            current,
            revoke_href: Url::revoke_session(&"k3v9"),
        };
        let own = || session("Firefox on Linux", "198.51.100.7", true);
        let settings = Settings {
            time_zone: "Europe/Berlin".to_owned(),
            time_zones: ["Europe/Berlin", "Europe/London", "UTC"]
                .map(str::to_owned)
                .to_vec(),
            time_zone_error: None,
            locale: "en".to_owned(),
            locales: vec![Choice {
                value: "en".to_owned(),
                label: "English".to_owned(),
            }],
            locale_error: None,
        };
        let password = PasswordForm {
            min_length: 12,
            current_error: None,
            new_error: None,
            repeat_error: None,
        };
        let mut page = Page::sample();
        page.section = Section::Profile;
        let refused = Self {
            page: page.clone(),
            settings: Settings {
                time_zone: "Mars/Olympus".to_owned(),
                time_zone_error: Some("There is no time zone `Mars/Olympus`.".to_owned()),
                ..settings.clone()
            },
            password: PasswordForm {
                current_error: Some("This is not your current password.".to_owned()),
                new_error: Some("At least 12 characters, please.".to_owned()),
                repeat_error: Some("The two do not match.".to_owned()),
                ..password.clone()
            },
            sessions: vec![own()],
        };
        let phone = session("Safari on iPhone", "2001:db8::7", false);
        let usual = Self {
            page,
            settings,
            password,
            sessions: vec![own(), phone],
        };
        vec![("usual", usual), ("refused", refused)]
    }
}
