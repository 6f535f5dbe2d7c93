//! Checks of what a plugin says of itself. All that is wrong is listed, for the plugin's author.

use std::collections::BTreeSet;
use std::fmt;

use crate::bindings::guest::{Button, Description, MenuEntry, Target};
use crate::capability::bounds::is_name;
use crate::path::is_relative;
use crate::scope::{Scope, ScopeSet};
use crate::settings::SettingsSchema;

/// Most permissions, buttons and kinds of background work.
const MAX_ITEMS: usize = 50;

/// Something wrong with a description or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a path through the record: `permissions[2].scopes`.
    pub place: String,
    /// What, and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.place, self.message)
    }
}

/// What the checks made of a description.
pub(crate) struct Checked {
    pub(crate) version: semver::Version,
    pub(crate) provider_settings: SettingsSchema,
    pub(crate) product_settings: SettingsSchema,
}

/// Checks a description against the scopes that the component's imported functions need.
pub(crate) fn check(
    description: &Description,
    importable: ScopeSet,
    icons: &BTreeSet<String>,
) -> Result<Checked, Vec<Problem>> {
    let mut checks = Checks {
        problems: Vec::new(),
        icons,
    };
    checks.name("id", &description.id);
    checks.text("title", &description.title, 1, 60);
    checks.text("summary", &description.summary, 0, 300);
    if let Some(menu) = &description.menu {
        checks.menu(menu);
    }
    let names = checks.permissions(description, importable);
    checks.count("buttons", description.buttons.len());
    for (index, button) in description.buttons.iter().enumerate() {
        checks.button(&format!("buttons[{index}]"), button, &names);
    }
    checks.background(&description.background);
    let version = semver::Version::parse(&description.version)
        .map_err(|error| checks.wrong("version", format!("is not a semantic version: {error}")))
        .ok();
    let provider_settings = checks.schema("provider-settings", &description.provider_settings);
    let product_settings = checks.schema("product-settings", &description.product_settings);
    match (version, provider_settings, product_settings) {
        (Some(version), Some(provider_settings), Some(product_settings)) if checks.problems.is_empty() => {
            Ok(Checked {
                version,
                provider_settings,
                product_settings,
            })
        }
        _ => Err(checks.problems),
    }
}

struct Checks<'a> {
    problems: Vec<Problem>,
    icons: &'a BTreeSet<String>,
}

impl Checks<'_> {
    fn wrong(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            place: place.into(),
            message: message.into(),
        });
    }

    fn name(&mut self, place: &str, value: &str) {
        if !is_name(value) {
            self.wrong(
                place,
                "is not a lower-case letter and up to 39 lower-case letters, digits or `-`",
            );
        }
    }

    fn text(&mut self, place: &str, value: &str, least: usize, most: usize) {
        let length = value.chars().count();
        if length < least || length > most {
            self.wrong(place, format!("is not {least} to {most} characters long"));
        }
        if value.chars().any(char::is_control) {
            self.wrong(place, "holds a control character");
        }
    }

    fn count(&mut self, place: &str, count: usize) {
        if count > MAX_ITEMS {
            self.wrong(place, format!("are more than {MAX_ITEMS}"));
        }
    }

    fn icon(&mut self, place: &str, icon: &str) {
        if !self.icons.contains(icon) {
            self.wrong(format!("{place}.icon"), "is not an icon of the UI kit");
        }
    }

    fn menu(&mut self, menu: &MenuEntry) {
        self.text("menu.label", &menu.label, 1, 40);
        self.icon("menu", &menu.icon);
    }

    fn permissions<'d>(&mut self, description: &'d Description, importable: ScopeSet) -> BTreeSet<&'d str> {
        self.count("permissions", description.permissions.len());
        let mut names = BTreeSet::new();
        for (index, permission) in description.permissions.iter().enumerate() {
            let place = format!("permissions[{index}]");
            self.name(&format!("{place}.name"), &permission.name);
            if !names.insert(permission.name.as_str()) {
                self.wrong(format!("{place}.name"), "is there twice");
            }
            self.text(&format!("{place}.title"), &permission.title, 1, 80);
            for scope in &permission.scopes {
                let place = format!("{place}.scopes");
                match scope.parse::<Scope>() {
                    Err(unknown) => self.wrong(place, format!("hold a name that is none: {unknown}")),
                    Ok(scope) if !importable.contains(scope) => self.wrong(
                        place,
                        format!("hold `{scope}`, but the component imports no function that needs it"),
                    ),
                    Ok(_) => {}
                }
            }
        }
        names
    }

    fn button(&mut self, place: &str, button: &Button, permissions: &BTreeSet<&str>) {
        self.text(&format!("{place}.label"), &button.label, 1, 40);
        self.icon(place, &button.icon);
        if let Some(permission) = &button.permission
            && !permissions.contains(permission.as_str())
        {
            self.wrong(format!("{place}.permission"), "is not among the permissions");
        }
        let (Target::Page(path) | Target::Action(path)) = &button.target;
        if !is_relative(path) {
            self.wrong(format!("{place}.target"), "is not a path under the plugin");
        }
        if let Some((title, text)) = &button.confirm {
            self.text(&format!("{place}.confirm"), title, 1, 80);
            self.text(&format!("{place}.confirm"), text, 0, 500);
        }
    }

    fn background(&mut self, kinds: &[(String, String)]) {
        self.count("background", kinds.len());
        let mut names = BTreeSet::new();
        for (index, (kind, sentence)) in kinds.iter().enumerate() {
            let place = format!("background[{index}]");
            self.name(&place, kind);
            self.text(&place, sentence, 1, 300);
            if !names.insert(kind) {
                self.wrong(place, "is there twice");
            }
        }
    }

    fn schema(&mut self, place: &str, text: &str) -> Option<SettingsSchema> {
        SettingsSchema::compile(text)
            .map_err(|error| self.wrong(place, error.to_string()))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::guest::{Needs, Permission, Placement, Tone};

    fn description() -> Description {
        Description {
            id: "snapshots".into(),
            version: "1.2.3".into(),
            title: "Snapshots".into(),
            summary: "Snapshots of a VM.".into(),
            menu: Some(MenuEntry {
                label: "Snapshots".into(),
                icon: "camera".into(),
                order: 1,
            }),
            buttons: vec![Button {
                label: "Take".into(),
                icon: "camera".into(),
                placement: Placement::Management,
                order: 1,
                tone: Tone::Neutral,
                permission: Some("create".into()),
                needs: Needs::Any,
                idle: true,
                target: Target::Page("new".into()),
                confirm: None,
            }],
            permissions: vec![Permission {
                name: "create".into(),
                title: "Take snapshots".into(),
                scopes: vec!["snapshots.create".into()],
            }],
            provider_settings: r#"{"type":"object"}"#.into(),
            product_settings: r#"{"type":"object"}"#.into(),
            background: vec![("take".into(), "Takes a snapshot.".into())],
        }
    }

    fn places(description: &Description) -> Vec<String> {
        let scopes = [Scope::SnapshotsCreate].into_iter().collect();
        let icons = BTreeSet::from(["camera".to_owned()]);
        match check(description, scopes, &icons) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.place).collect(),
        }
    }

    #[test]
    fn a_sound_description_passes() {
        assert_eq!(places(&description()), [""; 0]);
    }

    #[test]
    fn everything_wrong_is_listed_with_its_place() {
        let mut bad = description();
        bad.id = "Snap shots".into();
        bad.version = "1".into();
        bad.product_settings = "[]".into();
        bad.permissions[0].scopes = vec!["snapshots.remove".into(), "root".into()];
        bad.buttons[0].icon = "skull".into();
        bad.buttons[0].permission = Some("missing".into());
        bad.buttons[0].target = Target::Action("../../profile".into());
        assert_eq!(
            places(&bad),
            [
                "id",
                "permissions[0].scopes",
                "permissions[0].scopes",
                "buttons[0].icon",
                "buttons[0].permission",
                "buttons[0].target",
                "version",
                "product-settings",
            ]
        );
    }
}
