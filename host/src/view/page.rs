//! What every page has: language, theme, who is signed in, messages.

use serde::Serialize;

/// The colour of a badge, a button or a message, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// The main action; what is chosen.
    Primary,
    /// It went well; it runs.
    Success,
    /// Needs attention soon.
    Warning,
    /// It failed; it destroys something.
    Danger,
    /// Good to know.
    Info,
    /// Neither good nor bad.
    Muted,
}

/// The colour theme, as the cookie [`Theme::COOKIE`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the visitor's system has it.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The cookie that the theme switch in the browser writes; no secret, readable by script.
    pub const COOKIE: &'static str = "portico_theme";

    /// Reads the cookie's value; anything unknown is [`Theme::Auto`].
    pub fn from_cookie(value: Option<&str>) -> Self {
        match value {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::Auto,
        }
    }
}

/// Who is signed in.
#[derive(Debug, Clone, Serialize)]
pub struct SignedIn {
    name: String,
    email: String,
    initials: String,
}

impl SignedIn {
    /// Takes the name and address; the initials follow from the name.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        let name = name.into();
        let mut words = name.split_whitespace();
        let first = words.next().and_then(|word| word.chars().next());
        let last = words.next_back().and_then(|word| word.chars().next());
        let initials: String = first
            .into_iter()
            .chain(last)
            .flat_map(char::to_uppercase)
            .collect();
        Self {
            initials,
            email: email.into(),
            name,
        }
    }
}

/// A message shown once, after an action.
#[derive(Debug, Clone, Serialize)]
pub struct Flash {
    /// How it went.
    pub tone: Tone,
    /// A plain sentence.
    pub text: String,
}

/// Which entry of the top bar is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The services and everything in them.
    Services,
    /// The customer's own settings.
    Profile,
    /// None of them.
    None,
}

/// The part of the context that the layout needs. Every page has it as `page`.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// BCP 47 tag of the language of the page.
    pub lang: String,
    /// The name of the panel in the top bar and titles; the provider may set his own.
    pub product_name: String,
    /// The colour theme.
    pub theme: Theme,
    /// Who is signed in, if anybody.
    pub user: Option<SignedIn>,
    /// IANA name of the zone that times are shown in.
    pub time_zone: String,
    /// Messages of the action that led here.
    pub flash: Vec<Flash>,
    /// The entry of the top bar that is current.
    pub section: Section,
    /// An action was just taken: the live regions refresh each second for a short while.
    pub fast: bool,
    /// Shown in the footer where the customer may need it.
    pub request_id: Option<String>,
}

impl Page {
    /// A page for somebody who is signed in. `flash` makes the live regions quick, since it means an action was taken.
    pub fn signed_in(user: SignedIn, theme: Theme, time_zone: impl Into<String>, flash: Vec<Flash>) -> Self {
        Self {
            user: Some(user),
            time_zone: time_zone.into(),
            fast: !flash.is_empty(),
            flash,
            section: Section::Services,
            ..Self::anonymous(theme)
        }
    }

    /// A page for a visitor.
    pub fn anonymous(theme: Theme) -> Self {
        Self {
            lang: "en".to_owned(),
            product_name: "Portico".to_owned(),
            theme,
            user: None,
            time_zone: "UTC".to_owned(),
            flash: Vec::new(),
            section: Section::None,
            fast: false,
            request_id: None,
        }
    }

    pub(super) fn sample() -> Self {
        let user = SignedIn::new("Ada Lindqvist", "ada@example.net");
        Self::signed_in(user, Theme::Auto, "Europe/Berlin", Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_come_from_the_first_and_the_last_word() {
        assert_eq!(SignedIn::new("Ada Maria Lindqvist", "").initials, "AL");
        assert_eq!(SignedIn::new("émile", "").initials, "É");
        assert_eq!(SignedIn::new("", "").initials, "");
    }

    #[test]
    fn an_unknown_theme_follows_the_system() {
        assert_eq!(Theme::from_cookie(Some("\"><script>")), Theme::Auto);
        assert_eq!(Theme::from_cookie(Some("dark")), Theme::Dark);
    }
}
