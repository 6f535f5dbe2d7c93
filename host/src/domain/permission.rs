//! What the customers of a product may do: from the product's permission list to the scopes of one call.
//!
//! Three parties have a say. The plugin declares permissions, names for people (`use`, `schedule`) that stand
//! for scopes (`snapshots.create`). The provider approved the interfaces a plugin may import, and with them
//! their scopes. The product lists what its customers get. [`Grants::compute`] is the meeting of the three:
//! nothing is granted that one of them did not say, and a page never shows a button whose call would be denied.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::http_origin::{HTTP_SEND, http_origin};
use super::id::PluginId;

/// One entry of a product's permission list.
///
/// `PLUGIN:*` is everything the plugin declares and was approved for; `PLUGIN:NAME` a permission it declares;
/// `PLUGIN:INTERFACE.VERB` a single scope (`firewall:firewall.read`, `rdns:http.send:https://api.example`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission {
    /// The plugin that is meant.
    pub plugin: PluginId,
    /// What of it is granted.
    pub what: What,
}

/// What of a plugin an entry of the permission list grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// `*`: every declared permission and every approved scope.
    All,
    /// A permission the plugin declares, by name.
    Named(String),
    /// A scope, `interface.verb`.
    Scope(String),
}

/// Why a text is not an entry of a permission list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// It has none of the forms.
    #[error("`{text}` is not a permission: write `plugin:permission`, `plugin:*` or `plugin:interface.verb`")]
    Form {
        /// What was written.
        text: String,
    },
    /// What follows `http.send:` is not an origin. The remedy has no colon and a blank behind it, by which messages are
    /// parted from remedies.
    #[error(
        "`{text}` does not end in an origin: write `plugin:http.send:https://HOST`, without a path, user, password or `*`"
    )]
    HttpOrigin {
        /// What was written.
        text: String,
    },
    /// Something follows a scope that takes nothing.
    #[error("`{text}` says more than a scope: only `http.send` is followed by something, an origin")]
    Suffix {
        /// What was written.
        text: String,
    },
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let text = text.trim();
        let error = || PermissionError::Form {
            text: text.to_owned(),
        };
        // The first colon only: the scope of an HTTP origin has colons of its own.
        let (plugin, what) = text.split_once(':').ok_or_else(error)?;
        let plugin = plugin.parse().map_err(|_| error())?;
        let what = match what {
            "*" => What::All,
            name if is_name(name) => What::Named(name.to_owned()),
            scope => match scope.split_once(':') {
                None if is_scope(scope) => What::Scope(scope.to_owned()),
                Some((HTTP_SEND, origin)) => {
                    let origin = http_origin(origin).ok_or_else(|| PermissionError::HttpOrigin {
                        text: text.to_owned(),
                    })?;
                    What::Scope(format!("{HTTP_SEND}:{origin}"))
                }
                Some((scope, _)) if is_scope(scope) => {
                    return Err(PermissionError::Suffix {
                        text: text.to_owned(),
                    });
                }
                _ => return Err(error()),
            },
        };
        Ok(Self { plugin, what })
    }
}

impl TryFrom<String> for Permission {
    type Error = PermissionError;

    fn try_from(text: String) -> Result<Self, PermissionError> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> String {
        permission.to_string()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.what {
            What::All => "*",
            What::Named(text) | What::Scope(text) => text,
        };
        write!(out, "{}:{what}", self.plugin)
    }
}

/// A permission name: `[a-z][a-z0-9-]*`, no dot, so that it cannot be taken for a scope.
fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A scope: `interface.verb`.
fn is_scope(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(interface, verb)| is_name(interface) && is_name(verb))
}

/// Which HTTP origins `list` leaves to `plugin`; none is every one that the plugin is approved for.
///
/// `plugin:*` and `plugin:http.send` leave every one. Otherwise, as soon as the list names an origin for the plugin, those
/// it names and no others, also where a permission that stands for `http.send` is granted beside them.
pub fn http_origins(list: &[Permission], plugin: &PluginId) -> Option<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    for entry in list.iter().filter(|entry| entry.plugin == *plugin) {
        match &entry.what {
            What::All => return None,
            What::Scope(scope) if scope == HTTP_SEND => return None,
            What::Scope(scope) => {
                if let Some((HTTP_SEND, origin)) = scope.split_once(':') {
                    named.insert(origin.to_owned());
                }
            }
            What::Named(_) => {}
        }
    }
    (!named.is_empty()).then_some(named)
}

/// A permission as a plugin declares it in its description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionDecl {
    /// The name that product lists use, unique in the plugin: `use`, `schedule`.
    pub name: String,
    /// The name for people: `Take, roll back and remove snapshots`.
    pub title: String,
    /// The scopes it stands for; it is granted with all of them or not at all.
    pub scopes: Vec<String>,
}

/// What one plugin may do for the customers of one product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    permissions: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

impl Grants {
    /// Computes what `list` grants to `plugin`, which declares `declared` and was approved for `approved_scopes`.
    ///
    /// - A declared permission is granted whole: when one of its scopes was not approved, neither it nor its
    ///   scopes are granted, so that no button leads to a denial.
    /// - A scope by itself never makes a permission: `snapshots:snapshots.create` does not grant
    ///   `snapshots:use`, however few scopes that stands for.
    /// - Names the plugin does not declare and scopes it was not approved for grant nothing.
    pub fn compute(
        list: &[Permission],
        plugin: &PluginId,
        declared: &[PermissionDecl],
        approved_scopes: &BTreeSet<String>,
    ) -> Self {
        let mut grants = Self::default();
        for entry in list.iter().filter(|entry| entry.plugin == *plugin) {
            match &entry.what {
                What::All => {
                    grants.scopes.extend(approved_scopes.iter().cloned());
                    for permission in declared {
                        grants.add(permission, approved_scopes);
                    }
                }
                What::Named(name) => {
                    for permission in declared.iter().filter(|permission| permission.name == *name) {
                        grants.add(permission, approved_scopes);
                    }
                }
                What::Scope(scope) => {
                    if approved_scopes.contains(scope) {
                        grants.scopes.insert(scope.clone());
                    }
                }
            }
        }
        grants
    }

    fn add(&mut self, permission: &PermissionDecl, approved_scopes: &BTreeSet<String>) {
        if permission
            .scopes
            .iter()
            .all(|scope| approved_scopes.contains(scope))
        {
            self.permissions.insert(permission.name.clone());
            self.scopes.extend(permission.scopes.iter().cloned());
        }
    }

    /// Whether the product switches the plugin on at all.
    pub fn is_empty(&self) -> bool {
        self.permissions.is_empty() && self.scopes.is_empty()
    }

    /// Whether the permission `name` is granted.
    pub fn allows(&self, name: &str) -> bool {
        self.permissions.contains(name)
    }

    /// Whether the scope `interface.verb` is granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// The granted permission names, in order.
    pub fn permissions(&self) -> &BTreeSet<String> {
        &self.permissions
    }

    /// The granted scopes, in order.
    pub fn scopes(&self) -> &BTreeSet<String> {
        &self.scopes
    }
}

/// The entries of `list` for `plugin` that can grant nothing, each with the reason and the remedy.
///
/// For the provider's file: a misspelt permission must be an error there and not a feature missing in silence.
pub fn problems(
    list: &[Permission],
    plugin: &PluginId,
    declared: &[PermissionDecl],
    approved_scopes: &BTreeSet<String>,
) -> Vec<(Permission, String)> {
    let names = || {
        let names: Vec<_> = declared
            .iter()
            .map(|permission| format!("`{plugin}:{}`", permission.name))
            .collect();
        if names.is_empty() {
            format!("it declares none; use `{plugin}:*`")
        } else {
            format!("it declares {}", names.join(", "))
        }
    };
    let mut found = Vec::new();
    for entry in list.iter().filter(|entry| entry.plugin == *plugin) {
        let problem = match &entry.what {
            What::All => None,
            What::Named(name) => match declared.iter().find(|permission| permission.name == *name) {
                None => Some(format!(
                    "plugin `{plugin}` has no permission `{name}`: {}",
                    names()
                )),
                Some(permission) => {
                    let missing: Vec<_> = permission
                        .scopes
                        .iter()
                        .filter(|scope| !approved_scopes.contains(*scope))
                        .map(|scope| format!("`{scope}`"))
                        .collect();
                    (!missing.is_empty()).then(|| {
                        format!("`{entry}` needs {}, which plugin `{plugin}` is not approved for: approve the interface for the plugin", missing.join(", "))
                    })
                }
            },
            What::Scope(scope) if approved_scopes.contains(scope) => {
                let origin = scope.split_once(':').is_some();
                (origin && http_origins(list, plugin).is_none()).then(|| {
                    format!("`{entry}` stands beside an entry that grants plugin `{plugin}` every origin: remove one of the two")
                })
            }
            What::Scope(scope) if scope.contains(':') => Some(format!(
                "plugin `{plugin}` is not approved for `{scope}`: add the origin to `http_origins` of the plugin, or remove the entry"
            )),
            What::Scope(scope) => Some(format!(
                "plugin `{plugin}` is not approved for `{scope}`: approve the interface for the plugin, or remove the entry"
            )),
        };
        if let Some(problem) = problem {
            found.push((entry.clone(), problem));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(id: &str) -> PluginId {
        id.parse().unwrap()
    }

    fn list(entries: &[&str]) -> Vec<Permission> {
        entries.iter().map(|entry| entry.parse().unwrap()).collect()
    }

    fn scopes(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn declared() -> Vec<PermissionDecl> {
        let decl = |name: &str, scopes: &[&str]| PermissionDecl {
            name: name.into(),
            title: name.into(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        };
        vec![
            decl("use", &["snapshots.read", "snapshots.create"]),
            decl("schedule", &["snapshots.create", "jobs.use"]),
            decl("view", &[]),
        ]
    }

    const APPROVED: &[&str] = &["snapshots.read", "snapshots.create", "snapshots.remove"];

    fn grants(entries: &[&str]) -> Grants {
        Grants::compute(
            &list(entries),
            &plugin("snapshots"),
            &declared(),
            &scopes(APPROVED),
        )
    }

    #[test]
    fn a_named_permission_grants_itself_and_its_scopes_only() {
        let grants = grants(&["snapshots:use"]);
        assert_eq!(grants.permissions(), &scopes(&["use"]));
        assert_eq!(grants.scopes(), &scopes(&["snapshots.read", "snapshots.create"]));
        assert!(grants.allows("use") && !grants.allows("schedule"));
        assert!(!grants.has_scope("snapshots.remove"));
    }

    #[test]
    fn a_permission_with_one_unapproved_scope_is_not_granted_in_part() {
        let grants = grants(&["snapshots:schedule"]);
        assert!(grants.is_empty(), "{grants:?}");
    }

    #[test]
    fn a_star_grants_what_was_approved_and_not_what_was_not() {
        let grants = grants(&["snapshots:*"]);
        assert_eq!(grants.permissions(), &scopes(&["use", "view"]));
        assert_eq!(grants.scopes(), &scopes(APPROVED));
    }

    #[test]
    fn a_star_of_another_plugin_grants_nothing() {
        assert!(grants(&["backups:*", "snap:*"]).is_empty());
    }

    #[test]
    fn a_scope_does_not_grow_into_a_permission() {
        let grants = grants(&["snapshots:snapshots.read", "snapshots:snapshots.create"]);
        assert!(grants.permissions().is_empty());
        assert_eq!(grants.scopes(), &scopes(&["snapshots.read", "snapshots.create"]));
    }

    #[test]
    fn an_unapproved_scope_is_not_granted_by_listing_it() {
        assert!(grants(&["snapshots:jobs.use"]).is_empty());
    }

    #[test]
    fn an_empty_list_switches_the_plugin_off() {
        assert!(grants(&[]).is_empty());
    }

    #[test]
    fn permissions_print_as_they_are_read() {
        for text in [
            "overview:start",
            "snapshots:*",
            "firewall:firewall.read",
            "rdns:http.send:https://api.example:8443",
        ] {
            let permission: Permission = text.parse().unwrap();
            assert_eq!(permission.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_permission_is_refused() {
        for text in [
            "",
            "overview",
            "overview:",
            ":start",
            "overview:Start",
            "over view:start",
            "a:b.c.d",
            "a:.b",
            "a:b.",
            "a:**",
            "a:http.send:",
            "a:http.send:a b",
            "a:http.send:https://*",
            "a:http.send:https://api.example/v1",
            "a:http.send:https://me@api.example",
            "a:http.send:ftp://api.example",
            "a:vm.read:https://api.example",
        ] {
            assert!(text.parse::<Permission>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_with_the_remedy() {
        let error = |text: &str| text.parse::<Permission>().unwrap_err().to_string();
        assert!(
            error("a:http.send:https://x/y")
                .starts_with("`a:http.send:https://x/y` does not end in an origin: ")
        );
        assert!(error("a:vm.read:x").ends_with(": only `http.send` is followed by something, an origin"));
    }

    #[test]
    fn an_origin_is_kept_in_its_one_spelling() {
        let permission: Permission = "rdns:http.send:HTTPS://API.Example:443/".parse().unwrap();
        assert_eq!(permission.to_string(), "rdns:http.send:https://api.example");
    }

    #[test]
    fn an_origin_in_the_list_leaves_no_other_unless_every_one_is_granted() {
        let rdns = plugin("rdns");
        let left = |entries: &[&str]| http_origins(&list(entries), &rdns);
        assert_eq!(left(&["rdns:use"]), None);
        assert_eq!(
            left(&[
                "rdns:use",
                "rdns:http.send:https://a.example",
                "other:http.send:https://b.example"
            ]),
            Some(scopes(&["https://a.example"]))
        );
        assert_eq!(left(&["rdns:*", "rdns:http.send:https://a.example"]), None);
        assert_eq!(
            left(&["rdns:http.send", "rdns:http.send:https://a.example"]),
            None
        );
        let found = problems(
            &list(&[
                "rdns:*",
                "rdns:http.send:https://a.example",
                "rdns:http.send:https://b.example",
            ]),
            &rdns,
            &[],
            &scopes(&["http.send", "http.send:https://a.example"]),
        );
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "`rdns:http.send:https://a.example` stands beside an entry that grants plugin `rdns` every origin: remove one of the two",
                "plugin `rdns` is not approved for `http.send:https://b.example`: add the origin to `http_origins` of the plugin, or remove the entry",
            ]
        );
    }

    #[test]
    fn entries_that_grant_nothing_are_named_with_the_remedy() {
        let found = problems(
            &list(&[
                "snapshots:uze",
                "snapshots:schedule",
                "snapshots:power.stop",
                "snapshots:use",
            ]),
            &plugin("snapshots"),
            &declared(),
            &scopes(APPROVED),
        );
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "plugin `snapshots` has no permission `uze`: it declares `snapshots:use`, `snapshots:schedule`, `snapshots:view`",
                "`snapshots:schedule` needs `jobs.use`, which plugin `snapshots` is not approved for: approve the interface for the plugin",
                "plugin `snapshots` is not approved for `power.stop`: approve the interface for the plugin, or remove the entry",
            ]
        );
    }
}
