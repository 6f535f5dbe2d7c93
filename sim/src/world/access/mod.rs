//! Who may do what: users, groups, API tokens, roles, pools, and the access control list.
//!
//! [`Access`] is what PVE keeps in `user.cfg`. The other files say what follows from it: [`tickets`] who somebody is,
//! [`rights`] what somebody may do, [`roles`] what a role's name stands for, [`pools`] what belongs together,
//! [`names`] what users, tokens and paths are called.
//!
//! Not here: who may change it, and in which words that is refused (`api::access`).

pub(crate) mod names;
pub(crate) mod pools;
pub(crate) mod rights;
pub(crate) mod roles;
pub(crate) mod tickets;

use std::collections::{BTreeMap, BTreeSet};

use self::pools::Pool;
pub(crate) use self::rights::Privileges;
use crate::options::Major;

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The password; `None` for users that only have tokens.
    pub(crate) password: Option<String>,
    /// Disabled users and their tokens are refused.
    pub(crate) enabled: bool,
    /// When the account ends, in seconds since the epoch; 0 for never.
    pub(crate) expire: i64,
    /// `firstname`, `lastname`, `email`, `comment` and `keys`; none of them is empty.
    pub(crate) details: BTreeMap<String, String>,
    /// The second factor.
    pub(crate) second: Option<SecondFactor>,
}

impl User {
    /// An enabled user without end.
    pub(crate) fn new(password: Option<String>) -> Self {
        Self {
            password,
            enabled: true,
            expire: 0,
            details: BTreeMap::new(),
            second: None,
        }
    }

    /// Sets a detail; an empty one is none.
    pub(crate) fn detail(&mut self, name: &str, value: &str) {
        match names::kept(value) {
            Some(value) => self.details.insert(name.to_owned(), value),
            None => self.details.remove(name),
        };
    }
}

/// One-time passwords by time.
#[derive(Debug, Clone)]
pub(crate) struct SecondFactor {
    /// What they are made of.
    pub(crate) secret: Vec<u8>,
    /// The step whose password was used last.
    pub(crate) used: Option<i64>,
}

/// Users who have rights together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    /// What it is for; never empty.
    pub(crate) comment: Option<String>,
    /// The ids of its users.
    pub(crate) members: BTreeSet<String>,
}

/// An API token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// Its secret.
    pub(crate) secret: String,
    /// Whether its rights are its own, cut down to the user's.
    pub(crate) separate: bool,
    /// When it ends, in seconds since the epoch; 0 for never.
    pub(crate) expire: i64,
    /// What it is for; never empty.
    pub(crate) comment: Option<String>,
    /// Whether it was taken away by the control API.
    pub(crate) revoked: bool,
}

/// One line of the access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Where it applies.
    pub(crate) path: String,
    /// A user, a token, or a group (`@NAME`).
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
    /// By name.
    pub(crate) groups: BTreeMap<String, Group>,
    /// By full token id (`user@realm!name`).
    pub(crate) tokens: BTreeMap<String, Token>,
    /// Roles besides the built-in ones.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// The list.
    pub(crate) grants: Vec<Grant>,
    /// By name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// What the keys that sign tickets are made of.
    pub(crate) key: String,
    /// How often those keys were replaced ahead of time.
    pub(crate) rotations: i64,
    /// How many tokens were made since the start.
    pub(crate) made_tokens: u64,
}

impl Access {
    /// Nobody and nothing; `key` is what tickets are signed with.
    pub(crate) fn new(major: Major, key: String) -> Self {
        Self {
            major,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            tokens: BTreeMap::new(),
            roles: BTreeMap::new(),
            grants: Vec::new(),
            pools: BTreeMap::new(),
            key,
            rotations: 0,
            made_tokens: 0,
        }
    }

    /// The names and tokens of a user's tokens.
    pub(crate) fn tokens_of(&self, user: &str) -> impl Iterator<Item = (&str, &Token)> {
        let all = self.tokens.iter();
        all.filter_map(move |(id, token)| match names::split(id) {
            (owner, Some(name)) if owner == user => Some((name, token)),
            _ => None,
        })
    }

    /// Adds a line to the list, or changes whether it propagates.
    pub(crate) fn grant(&mut self, grant: Grant) {
        self.grants.retain(|other| !grant.is_like(other));
        self.grants.push(grant);
    }

    /// Removes a user with tokens, memberships and rights.
    pub(crate) fn remove_user(&mut self, user: &str) {
        self.users.remove(user);
        self.tokens.retain(|id, _| names::split(id).0 != user);
        for group in self.groups.values_mut() {
            group.members.remove(user);
        }
        self.grants.retain(|grant| names::split(&grant.subject).0 != user);
    }

    /// Removes a token with its rights.
    pub(crate) fn remove_token(&mut self, id: &str) {
        self.tokens.remove(id);
        self.grants.retain(|grant| grant.subject != id);
    }

    /// Removes a group with its rights.
    pub(crate) fn remove_group(&mut self, group: &str) {
        self.groups.remove(group);
        self.grants
            .retain(|grant| names::group(&grant.subject) != Some(group));
    }

    /// Removes a role. PVE leaves it in the list, but ignores such lines from then on and never writes them again.
    pub(crate) fn remove_role(&mut self, role: &str) {
        self.roles.remove(role);
        self.grants.retain(|grant| grant.role != role);
    }
}

impl Grant {
    /// Whether both give the same role to the same subject in the same place.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.subject, &self.role) == (&other.path, &other.subject, &other.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_leaves_no_rights_behind() {
        let mut access = Access::new(Major::V9, "k".into());
        let grant = |subject: &str, role: &str| Grant {
            path: "/vms".into(),
            subject: subject.into(),
            role: role.into(),
            propagate: true,
        };
        access.users.insert("a@pve".into(), User::new(None));
        access
            .groups
            .entry("g".into())
            .or_default()
            .members
            .insert("a@pve".into());
        for (subject, role) in [
            ("a@pve", "mine"),
            ("a@pve!t", "mine"),
            ("@g", "mine"),
            ("b@pve", "mine"),
        ] {
            access.grant(grant(subject, role));
        }
        access.remove_user("a@pve");
        assert!(access.groups["g"].members.is_empty());
        assert_eq!(access.grants, [grant("@g", "mine"), grant("b@pve", "mine")]);
        access.remove_group("g");
        assert_eq!(access.grants, [grant("b@pve", "mine")]);
        access.remove_role("mine");
        assert!(access.grants.is_empty());
    }

    #[test]
    fn a_role_is_given_once_in_a_place() {
        let mut access = Access::new(Major::V9, "k".into());
        for propagate in [true, false] {
            access.grant(Grant {
                path: "/".into(),
                subject: "a@pve".into(),
                role: "PVEAuditor".into(),
                propagate,
            });
        }
        assert_eq!(access.grants.len(), 1);
        assert!(!access.grants[0].propagate);
    }
}
