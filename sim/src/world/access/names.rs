//! What users, tokens, groups, roles and paths are called, and in which words PVE refuses other names.

/// A text as the file of users keeps it: without blanks around it, and not at all when nothing is left.
pub(crate) fn kept(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// `[A-Za-z][A-Za-z0-9.\-_]+`: realms, and the part of a token's id after the `!`.
pub(crate) fn is_realm(text: &str) -> bool {
    text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_plain(text)
}

/// `[A-Za-z0-9.\-_]+`: groups, roles, parts of paths.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// User and token name of a user's or token's id. A user's name may have a `!` in it, a realm has none.
pub(crate) fn split(id: &str) -> (&str, Option<&str>) {
    let realm = id.rfind('@').unwrap_or(0);
    match id.rfind('!').filter(|at| *at > realm) {
        Some(at) => (id.get(..at).unwrap_or_default(), id.get(at + 1..)),
        None => (id, None),
    }
}

/// The realm of a user's id; empty if it has none.
pub(crate) fn realm(user: &str) -> &str {
    user.rsplit_once('@').map_or("", |(_, realm)| realm)
}

/// The group that a subject of the list stands for.
pub(crate) fn group(subject: &str) -> Option<&str> {
    // A user's name may begin with `@`, but has another one before its realm.
    subject.strip_prefix('@').filter(|name| !name.contains('@'))
}

/// `NAME@REALM`.
pub(crate) fn user_id(_: &str, text: &str) -> Result<(), String> {
    let length = text.len();
    if length < 3 {
        return Err(format!("user name '{text}' is too short"));
    }
    if length > 64 {
        return Err(format!("user name '{text}' is too long ({length} > 64)"));
    }
    let good = text.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty()
            && !name.contains(|c: char| c.is_whitespace() || c == ':' || c == '/')
            && is_realm(realm)
    });
    if good {
        Ok(())
    } else {
        Err(format!("value '{text}' does not look like a valid user name"))
    }
}

/// `NAME@REALM!TOKEN`.
pub(crate) fn token_id(_: &str, text: &str) -> Result<(), String> {
    let good = match split(text) {
        (user, Some(name)) => user_id("", user).is_ok() && is_realm(name),
        (_, None) => false,
    };
    if good {
        Ok(())
    } else {
        Err(format!("value '{text}' does not look like a valid token ID"))
    }
}

/// A group's name.
pub(crate) fn group_id(_: &str, text: &str) -> Result<(), String> {
    if is_plain(text) {
        Ok(())
    } else {
        Err(format!("group name '{text}' contains invalid characters"))
    }
}

/// A role's name.
pub(crate) fn role_id(_: &str, text: &str) -> Result<(), String> {
    if is_plain(text) {
        Ok(())
    } else {
        Err(format!("role name '{text}' contains invalid characters"))
    }
}

/// A path of the access control list as PVE keeps it: with one slash in front and between its parts, none behind.
/// `None` if there are other characters in it.
pub(crate) fn normal_path(text: &str) -> Option<String> {
    if text.is_empty() || text == "0" {
        return None;
    }
    let parts = text
        .split('/')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    let good = parts.iter().all(|part| is_plain(part));
    good.then(|| format!("/{}", parts.join("/")))
}

/// Where rights can be given, one step after the other. `*` stands for any name, `~` for one without dots, `=` for one
/// of letters and digits, `#` for a VM's number, `@` for a VLAN tag.
const ACL_PATHS: &[&str] = &[
    "access",
    "access/groups",
    "access/groups/*",
    "access/realm",
    "access/realm/*",
    "mapping",
    "mapping/*",
    "mapping/*/*",
    "nodes",
    "nodes/*",
    "pool",
    "pool/*",
    "pool/*/*",
    "pool/*/*/*",
    "sdn",
    "sdn/controllers",
    "sdn/controllers/~",
    "sdn/dns",
    "sdn/dns/=",
    "sdn/fabrics",
    "sdn/fabrics/=",
    "sdn/ipams",
    "sdn/ipams/=",
    "sdn/zones",
    "sdn/zones/*",
    "sdn/zones/*/*",
    "sdn/zones/*/*/@",
    "storage",
    "storage/*",
    "vms",
    "vms/#",
];

/// Whether rights can be given on a (normal) path: on the roots of PVE's tree and on its objects, which need not exist.
pub(crate) fn is_acl_path(path: &str) -> bool {
    let steps = path.trim_start_matches('/').split('/');
    path == "/"
        || ACL_PATHS.iter().any(|known| {
            let wanted = known.split('/');
            wanted.clone().count() == steps.clone().count()
                && wanted.zip(steps.clone()).all(|(wanted, step)| fits(wanted, step))
        })
}

fn fits(wanted: &str, step: &str) -> bool {
    let all = |good: fn(u8) -> bool| step.bytes().all(good);
    let number = all(|b| b.is_ascii_digit()) && !step.starts_with('0');
    match wanted {
        "*" => true,
        "~" => all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
        "=" => all(|b| b.is_ascii_alphanumeric()),
        "#" => number && step.len() >= 3,
        "@" => number && step.len() <= 4,
        name => name == step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_name_may_have_an_exclamation_mark() {
        assert_eq!(split("a@pve"), ("a@pve", None));
        assert_eq!(split("a@pve!t"), ("a@pve", Some("t")));
        assert_eq!(split("a!b@pve"), ("a!b@pve", None));
        assert_eq!(split("a!b@pve!t"), ("a!b@pve", Some("t")));
    }

    #[test]
    fn a_group_is_told_from_a_user_whose_name_begins_with_an_at() {
        assert_eq!(group("@admins"), Some("admins"));
        assert_eq!(group("@admins@pve"), None);
        assert_eq!(group("a@pve"), None);
    }

    #[test]
    fn users_and_tokens_are_refused_with_what_is_wrong() {
        assert_eq!(user_id("", "a@").unwrap_err(), "user name 'a@' is too short");
        for bad in ["nobody", "a b@pve", "a/b@pve", "a:b@pve", "a@p", "a@pve!t"] {
            let told = user_id("", bad).unwrap_err();
            assert_eq!(
                told,
                format!("value '{bad}' does not look like a valid user name")
            );
        }
        assert!(token_id("", "a@pve!tok").is_ok());
        assert!(token_id("", "a@pve").is_err() && token_id("", "a@pve!1").is_err());
    }

    #[test]
    fn paths_are_made_normal_and_only_some_take_rights() {
        assert_eq!(normal_path("//vms//100/").as_deref(), Some("/vms/100"));
        assert_eq!(normal_path("vms").as_deref(), Some("/vms"));
        assert_eq!(normal_path("/").as_deref(), Some("/"));
        assert_eq!(normal_path(""), None);
        assert_eq!(normal_path("/vms/*"), None);
        for good in [
            "/",
            "/vms/100",
            "/pool/a/b/c",
            "/sdn/zones/z/vmbr0/20",
            "/access/realm/pve",
        ] {
            assert!(is_acl_path(good), "{good}");
        }
        for bad in [
            "/vms/99",
            "/vms/100/x",
            "/pool/a/b/c/d",
            "/sdn/zones/z/vmbr0/x",
            "/nothing",
        ] {
            assert!(!is_acl_path(bad), "{bad}");
        }
    }
}
