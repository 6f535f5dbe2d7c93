//! What somebody may do: from roles on a path, on the paths above it, and on the pool of what lies there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, names, roles};

/// The privileges of somebody on a path, each with whether it reaches further down.
pub(crate) type Privileges = BTreeMap<String, bool>;

/// Roles on a path, each with whether it reaches further down.
type Roles<'a> = BTreeMap<&'a str, bool>;

/// The role that takes all others away.
const NONE: &str = "NoAccess";

/// Whose rights count for a user or token.
enum Reach {
    /// The user's.
    Users,
    /// What both the token and its user have.
    Both,
    /// Nobody's: there is no such token.
    Nothing,
}

impl Access {
    /// The privileges of a role; none if there is no such role.
    pub(crate) fn role(&self, name: &str) -> BTreeSet<String> {
        match roles::built_in(name, self.major) {
            Some(list) => list.into_iter().map(str::to_owned).collect(),
            None => self.roles.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Whether there is a role, built in or made.
    pub(crate) fn has_role(&self, name: &str) -> bool {
        roles::built_in(name, self.major).is_some() || self.roles.contains_key(name)
    }

    /// What the list says of a subject on a path: of the levels from the root down, the last that says something. A
    /// user's own line counts before those of the user's groups.
    fn roles_on(&self, subject: &str, path: &str) -> Roles<'_> {
        let mut roles = Roles::new();
        for level in levels(path) {
            let here = self
                .grants
                .iter()
                .filter(|grant| grant.path == level && (level == path || grant.propagate));
            let of = |wanted: &dyn Fn(&str) -> bool| {
                here.clone()
                    .filter(|grant| wanted(&grant.subject))
                    .map(|grant| (grant.role.as_str(), grant.propagate))
                    .collect::<Roles<'_>>()
            };
            let mut found = of(&|other| other == subject);
            if found.is_empty() && !self.groups.is_empty() {
                found = of(&|other| {
                    let group = names::group(other).and_then(|name| self.groups.get(name));
                    group.is_some_and(|group| group.members.contains(subject))
                });
            }
            if !found.is_empty() {
                roles = found;
            }
        }
        if let Some(propagate) = roles.get(NONE).copied() {
            return Roles::from([(NONE, propagate)]);
        }
        roles
    }

    /// The names of the pools that what lies on a path is in.
    fn pools_on<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let vmid = path.strip_prefix("/vms/").and_then(|id| id.parse::<u32>().ok());
        let storage = path.strip_prefix("/storage/");
        let wanted = vmid.is_some() || storage.is_some();
        let pools = self.pools.iter().filter(move |_| wanted);
        pools
            .filter(move |(_, pool)| {
                vmid.is_some_and(|vmid| pool.vms.contains(&vmid))
                    || storage.is_some_and(|id| pool.storages.contains(id))
            })
            .map(|(name, _)| name.as_str())
    }

    /// The roles of a user or token on a path, those that come from pools too. `NoAccess` excludes all others.
    fn effective_roles(&self, subject: &str, path: &str) -> Roles<'_> {
        let mut roles = self.roles_on(subject, path);
        if roles.contains_key(NONE) {
            return roles;
        }
        for pool in self.pools_on(path) {
            let of_pool = self.roles_on(subject, &format!("/pool/{pool}"));
            if of_pool.contains_key(NONE) {
                return Roles::from([(NONE, false)]);
            }
            for role in of_pool.into_keys() {
                roles.entry(role).or_insert(false);
            }
        }
        roles
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

    fn reach(&self, who: &str) -> Reach {
        match (names::split(who).1, self.tokens.get(who)) {
            (Some(_), None) => Reach::Nothing,
            (Some(_), Some(token)) if token.separate => Reach::Both,
            _ => Reach::Users,
        }
    }

    /// What `who` (a user or token id) may do on `path`; a token that is gone may do nothing.
    pub(crate) fn privileges(&self, who: &str, path: &str) -> Privileges {
        let (user, _) = names::split(who);
        let of_user = if user == "root@pam" {
            roles::privileges(self.major)
                .map(|p| (p.to_owned(), true))
                .collect()
        } else {
            self.own_privileges(user, path)
        };
        match self.reach(who) {
            Reach::Users => of_user,
            Reach::Nothing => Privileges::new(),
            Reach::Both => {
                let own = self.own_privileges(who, path).into_iter();
                own.filter_map(|(privilege, propagate)| {
                    let users = of_user.get(&privilege)?;
                    Some((privilege, propagate && *users))
                })
                .collect()
            }
        }
    }

    /// Whether `who` has `privilege` on `path`; the same as looking into [`Self::privileges`], without making it.
    pub(crate) fn may(&self, who: &str, path: &str, privilege: &str) -> bool {
        let (user, _) = names::split(who);
        let of_user = || {
            if user == "root@pam" {
                roles::privileges(self.major).any(|known| known == privilege)
            } else {
                self.has_by_own(user, path, privilege)
            }
        };
        match self.reach(who) {
            Reach::Users => of_user(),
            Reach::Nothing => false,
            Reach::Both => self.has_by_own(who, path, privilege) && of_user(),
        }
    }

    fn has_by_own(&self, subject: &str, path: &str, privilege: &str) -> bool {
        let roles = self.effective_roles(subject, path);
        roles
            .into_keys()
            .any(|role| match roles::grants(role, privilege, self.major) {
                Some(granted) => granted,
                None => self.roles.get(role).is_some_and(|list| list.contains(privilege)),
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
        let mut paths = BTreeSet::from(fixed.map(str::to_owned));
        paths.extend(self.grants.iter().map(|grant| grant.path.clone()));
        for pool in self.pools.values() {
            paths.extend(pool.vms.iter().map(|vmid| format!("/vms/{vmid}")));
            paths.extend(pool.storages.iter().map(|id| format!("/storage/{id}")));
        }
        paths
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
    use super::super::pools::Pool;
    use super::super::{Grant, Group, Token, User};
    use super::*;
    use crate::options::Major;

    fn grant(path: &str, subject: &str, role: &str) -> Grant {
        Grant {
            path: path.into(),
            subject: subject.into(),
            role: role.into(),
            propagate: true,
        }
    }

    fn access() -> Access {
        let mut access = Access::new(Major::V9, "k".into());
        for user in ["root@pam", "a@pve"] {
            access.users.insert(user.into(), User::new(None));
        }
        for (id, separate) in [("a@pve!own", true), ("a@pve!full", false), ("root@pam!t", false)] {
            let token = Token {
                secret: "s".into(),
                separate,
                expire: 0,
                comment: None,
                revoked: false,
            };
            access.tokens.insert(id.into(), token);
        }
        access.grants = vec![
            grant("/vms", "a@pve", "PVEVMUser"),
            grant("/vms", "a@pve!own", "PVEVMAdmin"),
            grant("/vms/200", "a@pve", "NoAccess"),
            grant("/pool/p1", "a@pve", "PVEVMAdmin"),
            grant("/pool/p1", "a@pve", "PVEDatastoreUser"),
        ];
        let pool = Pool {
            vms: BTreeSet::from([100, 200]),
            storages: BTreeSet::from(["x".to_owned()]),
            ..Pool::default()
        };
        access.pools.insert("p1".to_owned(), pool);
        access
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
    fn a_token_that_is_gone_has_nothing_of_its_users() {
        let mut access = access();
        access.remove_token("a@pve!full");
        assert!(!access.may("a@pve!full", "/vms/100", "VM.Audit"));
        assert!(access.privileges("a@pve!full", "/vms/100").is_empty());
    }

    #[test]
    fn a_deeper_grant_replaces_the_one_above() {
        assert!(!access().may("a@pve!full", "/vms/200", "VM.Audit"));
    }

    #[test]
    fn a_pool_gives_rights_on_its_members_that_reach_no_further() {
        let access = access();
        assert!(!access.privileges("a@pve", "/vms/100")["VM.Snapshot"]);
        assert!(access.privileges("a@pve", "/vms/100")["VM.Audit"], "both give it");
        assert!(access.may("a@pve", "/storage/x", "Datastore.AllocateSpace"));
        assert!(!access.may("a@pve", "/storage/y", "Datastore.AllocateSpace"));
        assert!(
            !access.may("a@pve", "/vms/200", "VM.Snapshot"),
            "no access to the VM counts before the pool"
        );
    }

    #[test]
    fn no_access_to_a_pool_takes_away_what_is_given_on_its_members() {
        let mut access = access();
        access.grant(grant("/pool/p1", "a@pve", "NoAccess"));
        assert!(!access.may("a@pve", "/vms/100", "VM.Audit"));
        assert!(access.may("a@pve", "/vms/101", "VM.Audit"));
    }

    #[test]
    fn a_group_gives_rights_to_its_members_unless_they_have_a_line_of_their_own_there() {
        let mut access = access();
        let members = BTreeSet::from(["a@pve".to_owned()]);
        access.groups.insert(
            "g".into(),
            Group {
                comment: None,
                members,
            },
        );
        access.grant(grant("/", "@g", "PVEAuditor"));
        access.grant(grant("/vms", "@g", "Administrator"));
        assert!(access.may("a@pve", "/nodes/n", "Sys.Audit"));
        assert!(!access.may("a@pve", "/vms/101", "VM.Allocate"));
        assert!(!access.may("b@pve", "/nodes/n", "Sys.Audit"));
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
            "nobody@pve!t",
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
}
