//! Who may do what: users, API tokens, tickets, access control lists.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::roles;
use crate::options::Major;

/// How long a ticket lives, in seconds.
const TICKET_LIFETIME: i64 = 2 * 60 * 60;
/// How long one key signs tickets, in seconds; afterwards it is good for old ones as long again.
const KEY_LIFETIME: i64 = 24 * 60 * 60;
/// How far a ticket may lie in the future, in seconds.
const CLOCK_GRACE: i64 = 300;

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The password; `None` for users that only have tokens.
    pub(crate) password: Option<String>,
    /// Disabled users and their tokens are refused.
    pub(crate) enabled: bool,
    /// The second factor.
    pub(crate) second: Option<SecondFactor>,
}

/// One-time passwords by time.
#[derive(Debug, Clone)]
pub(crate) struct SecondFactor {
    /// What they are made of.
    pub(crate) secret: Vec<u8>,
    /// The step whose password was used last.
    pub(crate) used: Option<i64>,
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// A user who is logged in.
    Of(String),
    /// A login that lacks its second factor.
    Half,
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
    /// What the keys that sign tickets are made of.
    pub(crate) key: String,
    /// How often those keys were replaced ahead of time.
    pub(crate) rotations: i64,
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

    /// The number of the key in use at a time.
    fn period(&self, now: i64) -> i64 {
        now.div_euclid(KEY_LIFETIME) + self.rotations
    }

    fn sign_by(&self, period: i64, text: &str) -> String {
        self.sign(&format!("{period}:{text}"))
    }

    /// Whether the key in use, or the one before it, signed the text.
    fn signed(&self, signature: &str, text: &str, now: i64) -> bool {
        let period = self.period(now);
        [period, period - 1]
            .iter()
            .any(|period| self.sign_by(*period, text) == signature)
    }

    /// Whether something that was made at a time (in hexadecimal) is neither too old nor of the future.
    fn fresh(time: &str, now: i64) -> bool {
        let made = i64::from_str_radix(time, 16).ok();
        made.is_some_and(|made| (-CLOCK_GRACE..TICKET_LIFETIME).contains(&(now - made)))
    }

    /// A new ticket for a user.
    pub(crate) fn ticket(&self, user: &str, now: i64) -> String {
        let plain = format!("PVE:{user}:{now:08X}");
        let signature = self.sign_by(self.period(now), &plain);
        format!("{plain}::{signature}")
    }

    /// A ticket for a user who has yet to give the second factor.
    pub(crate) fn half_ticket(&self, user: &str, now: i64) -> String {
        let challenge = "%7B%22totp%22%3Atrue%2C%22recovery%22%3Anull%7D";
        let plain = format!("PVE:!tfa!{challenge}:{now:08X}");
        let signature = self.sign_by(self.period(now), &format!("{plain}:{user}"));
        format!("{plain}::{signature}")
    }

    /// Whether that is the ticket of this user's login that lacks the second factor.
    pub(crate) fn half_ticket_valid(&self, ticket: &str, user: &str, now: i64) -> bool {
        ticket.split_once("::").is_some_and(|(plain, signature)| {
            plain.starts_with("PVE:!tfa!")
                && self.signed(signature, &format!("{plain}:{user}"), now)
                && plain
                    .rsplit_once(':')
                    .is_some_and(|(_, time)| Self::fresh(time, now))
        })
    }

    /// What a ticket says, if it is good.
    pub(crate) fn read_ticket(&self, ticket: &str, now: i64) -> Option<Ticket> {
        let (plain, signature) = ticket.split_once("::")?;
        let (user, time) = plain.strip_prefix("PVE:")?.rsplit_once(':')?;
        if user.starts_with("!tfa!") {
            return Some(Ticket::Half);
        }
        let good = self.signed(signature, plain, now)
            && Self::fresh(time, now)
            && self.users.get(user).is_some_and(|u| u.enabled);
        good.then(|| Ticket::Of(user.to_owned()))
    }

    /// The user of a valid ticket.
    pub(crate) fn ticket_user(&self, ticket: &str, now: i64) -> Option<String> {
        match self.read_ticket(ticket, now)? {
            Ticket::Of(user) => Some(user),
            Ticket::Half => None,
        }
    }

    /// Takes a second factor (`totp:123456`); each password is good once. Users without a second factor give none.
    pub(crate) fn second_factor(&mut self, user: &str, given: &str, now: i64) -> bool {
        let factor = self.users.get_mut(user).and_then(|user| user.second.as_mut());
        let (Some(factor), Some(code)) = (factor, given.strip_prefix("totp:")) else {
            return false;
        };
        let step = super::totp::step_of(&factor.secret, code, now, factor.used);
        if step.is_some() {
            factor.used = step;
        }
        step.is_some()
    }

    /// The CSRF token that belongs to a user's tickets.
    pub(crate) fn csrf(&self, user: &str, now: i64) -> String {
        let time = format!("{now:08X}");
        let signature = self.sign_by(self.period(now), &format!("csrf:{time}:{user}"));
        format!("{time}:{signature}")
    }

    /// Whether a CSRF token is valid for a user.
    pub(crate) fn csrf_valid(&self, token: &str, user: &str, now: i64) -> bool {
        token.split_once(':').is_some_and(|(time, signature)| {
            self.signed(signature, &format!("csrf:{time}:{user}"), now) && Self::fresh(time, now)
        })
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
            second: None,
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
            rotations: 0,
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

    #[test]
    fn a_ticket_outlives_one_new_key_but_not_two() {
        let mut access = access();
        let ticket = access.ticket("a@pve", 1_000_000);
        let csrf = access.csrf("a@pve", 1_000_000);
        access.rotations += 1;
        assert!(access.ticket_user(&ticket, 1_000_001).is_some());
        assert!(access.csrf_valid(&csrf, "a@pve", 1_000_001));
        access.rotations += 1;
        assert!(access.ticket_user(&ticket, 1_000_001).is_none());
        assert!(!access.csrf_valid(&csrf, "a@pve", 1_000_001));
    }

    #[test]
    fn half_a_login_is_bound_to_its_user_and_is_no_login() {
        let access = access();
        let half = access.half_ticket("a@pve", 1_000_000);
        assert_eq!(access.ticket_user(&half, 1_000_001), None);
        assert!(access.half_ticket_valid(&half, "a@pve", 1_000_001));
        assert!(!access.half_ticket_valid(&half, "root@pam", 1_000_001));
        assert!(!access.half_ticket_valid(&access.ticket("a@pve", 1_000_000), "a@pve", 1_000_001));
    }
}
