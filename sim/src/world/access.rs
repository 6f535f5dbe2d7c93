//! Who may do what: users, API tokens, tickets, access control lists.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::roles;
use crate::options::Major;

/// How long a ticket lives, in seconds.
const TICKET_LIFETIME: i64 = 2 * 60 * 60;
/// How far a ticket may lie in the future, in seconds.
const CLOCK_GRACE: i64 = 300;

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The password; `None` for users that only have tokens.
    pub(crate) password: Option<String>,
    /// Disabled users and their tokens are refused.
    pub(crate) enabled: bool,
}

/// An API token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// Its secret.
    pub(crate) secret: String,
    /// Whether its rights are its own, cut down to the user's.
    pub(crate) separate: bool,
    /// Whether it was taken away by the control API.
    pub(crate) revoked: bool,
}

/// One line of the access control list.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// Where it applies.
    pub(crate) path: String,
    /// A user or a token.
    pub(crate) subject: String,
    /// The role's name.
    pub(crate) role: String,
    /// Whether it applies below the path too.
    pub(crate) propagate: bool,
}

/// Users, tokens, roles and grants.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Which privileges exist.
    pub(crate) major: Major,
    /// By user id.
    pub(crate) users: BTreeMap<String, User>,
    /// By full token id (`user@realm!name`).
    pub(crate) tokens: BTreeMap<String, Token>,
    /// Roles besides the built-in ones.
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    /// The list.
    pub(crate) grants: Vec<Grant>,
    /// VMID to pool, for rights that come from a pool.
    pub(crate) pools: BTreeMap<String, BTreeSet<u32>>,
    /// Signs tickets.
    pub(crate) key: String,
}

/// The privileges of somebody on a path, each with whether it reaches further down.
pub(crate) type Privileges = BTreeMap<String, bool>;

impl Access {
    /// Whether this header value names a valid token; gives its id.
    pub(crate) fn token(&self, value: &str) -> Option<String> {
        let (id, secret) = value.rsplit_once('=')?;
        let (user, _) = id.split_once('!')?;
        let token = self.tokens.get(id)?;
        let good =
            token.secret == secret && !token.revoked && self.users.get(user).is_some_and(|u| u.enabled);
        good.then(|| id.to_owned())
    }

    /// The signature of a text.
    pub(crate) fn sign(&self, text: &str) -> String {
        STANDARD.encode(Sha1::digest(format!("{}:{text}", self.key)))
    }

    /// A new ticket for a user.
    pub(crate) fn ticket(&self, user: &str, now: i64) -> String {
        let plain = format!("PVE:{user}:{now:08X}");
        let signature = self.sign(&plain);
        format!("{plain}::{signature}")
    }

    /// The user of a valid ticket.
    pub(crate) fn ticket_user(&self, ticket: &str, now: i64) -> Option<String> {
        let (plain, signature) = ticket.split_once("::")?;
        if self.sign(plain) != signature {
            return None;
        }
        let (user, time) = plain.strip_prefix("PVE:")?.rsplit_once(':')?;
        let age = now - i64::from_str_radix(time, 16).ok()?;
        let fresh = (-CLOCK_GRACE..TICKET_LIFETIME).contains(&age);
        (fresh && self.users.get(user).is_some_and(|u| u.enabled)).then(|| user.to_owned())
    }

    /// The CSRF token that belongs to a user's tickets.
    pub(crate) fn csrf(&self, user: &str, now: i64) -> String {
        let time = format!("{now:08X}");
        format!("{time}:{}", self.sign(&format!("csrf:{time}:{user}")))
    }

    /// Whether a CSRF token is valid for a user.
    pub(crate) fn csrf_valid(&self, token: &str, user: &str, now: i64) -> bool {
        let Some((time, signature)) = token.split_once(':') else {
            return false;
        };
        let Ok(made) = i64::from_str_radix(time, 16) else {
            return false;
        };
        self.sign(&format!("csrf:{time}:{user}")) == signature
            && (-CLOCK_GRACE..TICKET_LIFETIME).contains(&(now - made))
    }

    fn role(&self, name: &str) -> Vec<String> {
        match roles::built_in(name, self.major) {
            Some(list) => list.into_iter().map(str::to_owned).collect(),
            None => self.roles.get(name).cloned().unwrap_or_default(),
        }
    }

    fn roles_on(&self, subject: &str, path: &str) -> BTreeMap<&str, bool> {
        let mut roles = BTreeMap::new();
        for level in levels(path) {
            let found = self
                .grants
                .iter()
                .filter(|g| g.subject == subject && g.path == level && (level == path || g.propagate))
                .map(|g| (g.role.as_str(), g.propagate))
                .collect::<BTreeMap<_, _>>();
            if !found.is_empty() {
                roles = found;
            }
        }
        roles
    }

    /// The roles of a user or token on a path, those that come from pools too; none if one of them is NoAccess.
    fn effective_roles(&self, subject: &str, path: &str) -> impl Iterator<Item = (&str, bool)> {
        let mut roles = self.roles_on(subject, path);
        if roles.contains_key("NoAccess") {
            roles.clear();
        } else if let Some(vmid) = path.strip_prefix("/vms/").and_then(|id| id.parse::<u32>().ok()) {
            for (pool, _) in self.pools.iter().filter(|(_, members)| members.contains(&vmid)) {
                roles.extend(self.roles_on(subject, &format!("/pool/{pool}")));
            }
        }
        roles.into_iter()
    }

    fn own_privileges(&self, subject: &str, path: &str) -> Privileges {
        let mut out = Privileges::new();
        for (role, propagate) in self.effective_roles(subject, path) {
            for privilege in self.role(role) {
                *out.entry(privilege).or_default() |= propagate;
            }
        }
        out
    }

    /// What `who` (a user or token id) may do on `path`.
    pub(crate) fn privileges(&self, who: &str, path: &str) -> Privileges {
        let user = who.split('!').next().unwrap_or_default();
        let of_user = if user == "root@pam" {
            roles::privileges(self.major)
                .map(|p| (p.to_owned(), true))
                .collect()
        } else {
            self.own_privileges(user, path)
        };
        match self.tokens.get(who) {
            Some(token) if token.separate => {
                let mut own = self.own_privileges(who, path);
                own.retain(|privilege, _| of_user.contains_key(privilege));
                own
            }
            _ => of_user,
        }
    }

    /// Whether `who` has `privilege` on `path`; the same as looking into [`Self::privileges`], without making it.
    pub(crate) fn may(&self, who: &str, path: &str, privilege: &str) -> bool {
        let user = who.split('!').next().unwrap_or_default();
        let of_user = || {
            if user == "root@pam" {
                roles::privileges(self.major).any(|known| known == privilege)
            } else {
                self.has_by_own(user, path, privilege)
            }
        };
        match self.tokens.get(who) {
            Some(token) if token.separate => self.has_by_own(who, path, privilege) && of_user(),
            _ => of_user(),
        }
    }

    fn has_by_own(&self, subject: &str, path: &str, privilege: &str) -> bool {
        let mut roles = self.effective_roles(subject, path);
        roles.any(|(role, _)| match roles::grants(role, privilege, self.major) {
            Some(granted) => granted,
            None => self
                .roles
                .get(role)
                .is_some_and(|list| list.iter().any(|p| p == privilege)),
        })
    }

    /// The paths which a dump of rights names.
    pub(crate) fn known_paths(&self) -> BTreeSet<String> {
        let fixed = [
            "/",
            "/access",
            "/access/groups",
            "/nodes",
            "/pool",
            "/sdn",
            "/storage",
            "/vms",
        ];
        fixed
            .iter()
            .map(|p| (*p).to_owned())
            .chain(self.grants.iter().map(|g| g.path.clone()))
            .collect()
    }
}

/// `/`, `/vms`, `/vms/100` for `/vms/100`.
fn levels(path: &str) -> Vec<&str> {
    let mut out = vec!["/"];
    out.extend(
        path.match_indices('/')
            .skip(1)
            .filter_map(|(at, _)| path.get(..at)),
    );
    if path != "/" {
        out.push(path);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let token = |separate| Token {
            secret: "s".into(),
            separate,
            revoked: false,
        };
        let user = User {
            password: None,
            enabled: true,
        };
        let grant = |path: &str, subject: &str, role: &str| Grant {
            path: path.into(),
            subject: subject.into(),
            role: role.into(),
            propagate: true,
        };
        Access {
            major: Major::V9,
            users: [("root@pam".into(), user.clone()), ("a@pve".into(), user)].into(),
            tokens: [
                ("a@pve!own".into(), token(true)),
                ("a@pve!full".into(), token(false)),
                ("root@pam!t".into(), token(false)),
            ]
            .into(),
            roles: BTreeMap::new(),
            grants: vec![
                grant("/vms", "a@pve", "PVEVMUser"),
                grant("/vms", "a@pve!own", "PVEVMAdmin"),
                grant("/vms/200", "a@pve", "NoAccess"),
                grant("/pool/p1", "a@pve", "PVEVMAdmin"),
            ],
            pools: [("p1".to_owned(), BTreeSet::from([100]))].into(),
            key: "k".into(),
        }
    }

    #[test]
    fn a_separated_token_has_only_what_both_it_and_its_user_have() {
        let access = access();
        assert!(access.may("a@pve!own", "/vms/101", "VM.PowerMgmt"));
        assert!(
            !access.may("a@pve!own", "/vms/101", "VM.Snapshot"),
            "the user has it only in the pool"
        );
        assert!(
            access.may("a@pve!full", "/vms/100", "VM.Snapshot"),
            "the pool grants it"
        );
    }

    #[test]
    fn a_deeper_grant_replaces_the_one_above() {
        assert!(!access().may("a@pve!full", "/vms/200", "VM.Audit"));
    }

    #[test]
    fn a_token_of_root_has_all_privileges_when_it_is_not_separated() {
        assert!(access().may("root@pam!t", "/nodes/pve1", "Sys.Modify"));
    }

    #[test]
    fn looking_one_privilege_up_agrees_with_the_whole_list() {
        let access = access();
        let paths = [
            "/",
            "/vms",
            "/vms/100",
            "/vms/101",
            "/vms/200",
            "/pool/p1",
            "/storage/x",
        ];
        for who in [
            "root@pam",
            "root@pam!t",
            "a@pve",
            "a@pve!own",
            "a@pve!full",
            "nobody@pve",
        ] {
            for path in paths {
                for privilege in roles::privileges(Major::V9) {
                    let listed = access.privileges(who, path).contains_key(privilege);
                    assert_eq!(
                        access.may(who, path, privilege),
                        listed,
                        "{who} {path} {privilege}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_ticket_ends_after_two_hours_and_cannot_be_altered() {
        let access = access();
        let ticket = access.ticket("a@pve", 1_000_000);
        assert_eq!(
            access.ticket_user(&ticket, 1_000_000 + 7199).as_deref(),
            Some("a@pve")
        );
        assert_eq!(access.ticket_user(&ticket, 1_000_000 + 7200), None);
        assert_eq!(
            access.ticket_user(&ticket.replace("a@pve", "root@pam"), 1_000_001),
            None
        );
    }
}
