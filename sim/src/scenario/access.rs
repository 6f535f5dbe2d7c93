//! Users, groups, tokens, roles, rights and pools of a scenario.

use super::build::{Built, wrong};
use super::file;
use crate::options::Major;
use crate::schema::format;
use crate::units::mix;
use crate::world::World;
use crate::world::access::pools::Pool;
use crate::world::access::{Access, Grant, Group, SecondFactor, Token, User, names};

/// Everybody, and what they may do.
pub(super) fn access(file: &file::File, major: Major, seed: u64) -> Built<Access> {
    let mut access = Access::new(major, format!("{:016x}", mix(seed, 2)));
    for role in &file.roles {
        let privileges = role.privileges.iter().cloned().collect();
        access.roles.insert(role.name.clone(), privileges);
    }
    for user in &file.users {
        add_user(&mut access, user)?;
    }
    for group in &file.groups {
        let place = format!("group `{}`", group.name);
        if let Err(reason) = names::group_id("", &group.name) {
            return wrong(place, reason);
        }
        if let Some(user) = group
            .members
            .iter()
            .find(|user| !access.users.contains_key(*user))
        {
            return wrong(place, format!("there is no user `{user}`"));
        }
        let made = Group {
            comment: group.comment.clone().filter(|text| !text.is_empty()),
            members: group.members.iter().cloned().collect(),
        };
        access.groups.insert(group.name.clone(), made);
    }
    for grant in &file.grants {
        let place = format!("acl `{}` on `{}`", grant.subject, grant.path);
        let known = access.users.contains_key(&grant.subject)
            || access.tokens.contains_key(&grant.subject)
            || names::group(&grant.subject).is_some_and(|name| access.groups.contains_key(name));
        if !known {
            return wrong(place, "there is no such user, token or group");
        }
        if !grant.path.starts_with('/') {
            return wrong(place, "the path must begin with `/`");
        }
        if !access.has_role(&grant.role) {
            return wrong(place, format!("there is no role `{}`", grant.role));
        }
        access.grant(Grant {
            path: grant.path.clone(),
            subject: grant.subject.clone(),
            role: grant.role.clone(),
            propagate: grant.propagate,
        });
    }
    for pool in &file.pools {
        if let Err(reason) = format::pool_id("", &pool.name) {
            return wrong(format!("pool `{}`", pool.name), reason);
        }
        let made = Pool {
            comment: pool.comment.clone().filter(|text| !text.is_empty()),
            vms: pool.members.iter().copied().collect(),
            storages: pool.storages.iter().cloned().collect(),
        };
        access.pools.insert(pool.name.clone(), made);
    }
    Ok(access)
}

fn add_user(access: &mut Access, user: &file::User) -> Built<()> {
    let place = format!("user `{}`", user.id);
    if !user.id.contains('@') || user.id.contains('!') {
        return wrong(place, "a user id is `NAME@REALM`");
    }
    let second = match user.totp.as_deref().map(crate::world::totp::secret) {
        None => None,
        Some(Some(secret)) => Some(SecondFactor { secret, used: None }),
        Some(None) => return wrong(place, "`totp` is a secret in base32"),
    };
    let made = User {
        enabled: user.enabled,
        second,
        ..User::new(user.password.clone())
    };
    if access.users.insert(user.id.clone(), made).is_some() {
        return wrong(place, "is there twice");
    }
    for token in &user.tokens {
        let made = Token {
            secret: token.secret.clone(),
            separate: token.privsep,
            expire: 0,
            comment: None,
            revoked: false,
        };
        access.tokens.insert(format!("{}!{}", user.id, token.name), made);
    }
    Ok(())
}

/// Whether what pools name is there, and each VM in one pool alone.
pub(super) fn members(world: &World) -> Built<()> {
    for (name, pool) in &world.access.pools {
        let place = format!("pool `{name}`");
        if let Some(vmid) = pool.vms.iter().find(|vmid| !world.vms.contains_key(*vmid)) {
            return wrong(place, format!("there is no VM {vmid}"));
        }
        let elsewhere = |vmid: &&u32| world.access.pool_of(**vmid) != Some(name);
        if let Some(vmid) = pool.vms.iter().find(elsewhere) {
            return wrong(place, format!("VM {vmid} is in another pool already"));
        }
        if let Some(id) = pool.storages.iter().find(|id| !world.storages.contains_key(*id)) {
            return wrong(place, format!("there is no storage `{id}`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use crate::options::Major;

    fn refusal(text: &str) -> String {
        let scenario = Scenario::from_toml(&format!("[[node]]\nname = 'n1'\n{text}")).unwrap();
        scenario.build(Major::V9, 1, 1.7e9).unwrap_err().to_string()
    }

    #[test]
    fn pools_and_groups_name_only_what_is_there() {
        for (text, wanted) in [
            (
                "[[pool]]\nname = 'p'\nmembers = [100]",
                "pool `p`: there is no VM 100",
            ),
            (
                "[[pool]]\nname = 'p'\nstorages = ['x']",
                "pool `p`: there is no storage `x`",
            ),
            ("[[pool]]\nname = 'p q'", "pool `p q`"),
            (
                "[[group]]\nname = 'g'\nmembers = ['a@pve']",
                "group `g`: there is no user `a@pve`",
            ),
            (
                "[[acl]]\npath = '/'\nsubject = '@g'\nrole = 'PVEAuditor'",
                "there is no such user, token or group",
            ),
        ] {
            let told = refusal(text);
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn a_vm_is_in_one_pool_alone() {
        let vm = "[[vm]]\nvmid = 100\nnode = 'n1'\nconfig = {}\n";
        let pools = "[[pool]]\nname = 'a'\nmembers = [100]\n[[pool]]\nname = 'b'\nmembers = [100]";
        assert!(refusal(&format!("{vm}{pools}")).contains("pool `b`: VM 100 is in another pool already"));
    }
}
