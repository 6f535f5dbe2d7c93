//! Who may deal with which user, token, pool or line of the access control list.
//!
//! `root@pam` may everything before anything is looked at. The others are judged by parameters that nothing has
//! checked yet: what is not there at all reads as an empty text, as in PVE.

use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::schema::{Raw, format};
use crate::world::World;
use crate::world::access::names;

/// Unchecked parameters.
type Given = BTreeMap<String, Raw>;
type Verdict = Result<(), Failure>;

/// Which groups a request names for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// None: the user's own groups count.
    Nothing,
    /// Those of a user who is made.
    Create,
    /// Those of a user who is changed.
    Update,
}

const MODIFY: &[&str] = &["User.Modify"];
const MODIFY_OR_AUDIT: &[&str] = &["User.Modify", "Sys.Audit"];

/// A parameter's text.
pub(in crate::api) fn text<'g>(given: &'g Given, name: &str) -> &'g str {
    match given.get(name) {
        Some(Raw::Text(text)) => text,
        _ => "",
    }
}

fn is_root(who: &str) -> bool {
    who == "root@pam"
}

/// PVE's refusal of what is no user's name.
fn well_named(user: &str) -> Verdict {
    names::user_id("", user).map_err(Failure::died)
}

/// Whether somebody may make users in the realm of the user.
fn in_realm(world: &World, given: &Given, who: &str) -> Verdict {
    let user = text(given, "userid");
    well_named(user)?;
    let path = format!("/access/realm/{}", names::realm(user));
    world.require(who, &path, &["Realm.AllocateUser"])
}

/// Whether somebody has one of the privileges on a group of the user, and on every group that is named.
fn by_group(world: &World, given: &Given, who: &str, any: &[&str], naming: Naming) -> Verdict {
    let access = &world.access;
    let user = text(given, "userid");
    if naming != Naming::Create && !access.users.contains_key(user) {
        well_named(user)?;
        return Err(Failure::died(format!("no such user ('{user}')")));
    }
    if world.require(who, "/access/groups", any).is_ok() {
        return Ok(());
    }
    let on_group = |group: &str| world.require(who, &format!("/access/groups/{group}"), any);
    if naming != Naming::Nothing {
        let named = match given.get("groups") {
            Some(Raw::List(list)) => list.join(","),
            _ => text(given, "groups").to_owned(),
        };
        if format::items(&named).next().is_none() {
            return world.require(who, "/access/groups", any);
        }
        for group in format::items(&named) {
            // A group that is not there gives nobody any rights.
            if !access.groups.contains_key(group) {
                let detail = format!("/access/groups/{group}, {}", any.join("|"));
                return Err(Failure::forbidden(&detail));
            }
            on_group(group)?;
        }
    }
    let mut own = access
        .groups
        .iter()
        .filter(|(_, group)| group.members.contains(user));
    if naming == Naming::Create || own.any(|(group, _)| on_group(group).is_ok()) {
        Ok(())
    } else {
        Err(Failure::forbidden(""))
    }
}

/// Making a user.
pub(super) fn create_user(world: &World, given: &Given, who: &str) -> Verdict {
    if is_root(who) {
        return Ok(());
    }
    in_realm(world, given, who)?;
    by_group(world, given, who, MODIFY, Naming::Create)
}

/// Looking at a user.
pub(super) fn read_user(world: &World, given: &Given, who: &str) -> Verdict {
    if is_root(who) {
        return Ok(());
    }
    by_group(world, given, who, MODIFY_OR_AUDIT, Naming::Nothing)
}

/// Changing a user.
pub(super) fn update_user(world: &World, given: &Given, who: &str) -> Verdict {
    if is_root(who) {
        return Ok(());
    }
    by_group(world, given, who, MODIFY, Naming::Update)
}

/// Removing a user.
pub(super) fn remove_user(world: &World, given: &Given, who: &str) -> Verdict {
    if is_root(who) {
        return Ok(());
    }
    in_realm(world, given, who)?;
    by_group(world, given, who, MODIFY, Naming::Nothing)
}

/// Dealing with a user's tokens: the user may, and who may change the user. A token is not its user.
pub(super) fn tokens(world: &World, given: &Given, who: &str) -> Verdict {
    if is_root(who) {
        return Ok(());
    }
    let user = text(given, "userid");
    well_named(user)?;
    if user == who && world.access.users.contains_key(user) {
        return Ok(());
    }
    by_group(world, given, who, MODIFY, Naming::Nothing).map_err(|_| Failure::forbidden(""))
}

/// Setting a password: one's own, or that of a user whom one may make and change.
pub(super) fn password(world: &World, given: &Given, who: &str) -> Verdict {
    let user = text(given, "userid");
    if is_root(who) {
        return Ok(());
    }
    well_named(user)?;
    if user == who && world.access.users.contains_key(user) {
        return Ok(());
    }
    remove_user(world, given, who)
}

/// What PVE forgot to say anything of.
pub(in crate::api) fn only_root(_: &World, _: &Given, who: &str) -> Verdict {
    if is_root(who) {
        Ok(())
    } else {
        Err(Failure::forbidden("user != root@pam"))
    }
}

/// Giving rights on a path. Where there is no such path the handler says so, to everybody.
pub(super) fn give_rights(world: &World, given: &Given, who: &str) -> Verdict {
    match names::normal_path(text(given, "path")) {
        Some(path) => rights_on(world, who, &path),
        None => Ok(()),
    }
}

/// Whether somebody may give rights on a (normal) path: who may make a VM, a storage or a pool may do it there.
pub(in crate::api) fn rights_on(world: &World, who: &str, path: &str) -> Verdict {
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| !rest.is_empty());
    let own = [
        ("/storage/", "Datastore.Allocate"),
        ("/vms/", "VM.Allocate"),
        ("/pool/", "Pool.Allocate"),
    ];
    match own.iter().find(|(root, _)| below(root)) {
        Some((_, privilege)) => world.require(who, path, &["Permissions.Modify", privilege]),
        None => world.require(who, path, &["Permissions.Modify"]),
    }
}
