//! `/version` and `/access`: who answers, and what the token may do.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::lenient::Scalar;
use crate::route::{Params, Route};
use crate::transport::Class;

/// The version of the endpoint that answered; the nodes of a cluster can differ for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Such as `9.2.11`.
    pub version: String,
    /// Such as `9.2`.
    #[serde(default)]
    pub release: String,
    /// The short commit id of the build.
    #[serde(default)]
    pub repoid: String,
}

impl Version {
    /// The major version, such as 9, where the text begins with a number.
    pub fn major(&self) -> Option<u32> {
        self.version
            .split(['.', '-', '~'])
            .next()
            .and_then(|major| major.parse().ok())
    }
}

/// What the token may do, by object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Path to privilege to whether it extends to everything below the path.
    pub paths: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Permissions {
    /// Whether the privilege holds on the path: given there, or inherited from the nearest path above that
    /// PVE lists (a nearer entry replaces a farther one, as PVE's access rules do).
    pub fn allows(&self, path: &str, privilege: &str) -> bool {
        if let Some(privileges) = self.paths.get(path) {
            return privileges.contains_key(privilege);
        }
        let mut above = path;
        while above != "/" {
            above = match above.rsplit_once('/') {
                Some(("", _)) => "/",
                Some((parent, _)) => parent,
                None => return false,
            };
            if let Some(privileges) = self.paths.get(above) {
                return privileges.get(privilege) == Some(&true);
            }
        }
        false
    }
}

impl Client {
    /// `GET /version`. Needs valid credentials, but no privilege: the cheapest proof that both work.
    pub async fn version(&self) -> Result<Version, Error> {
        Ok(self
            .call(Class::Read, &Route::get("/version"), &Params::new())
            .await?
            .data)
    }

    /// `GET /access/permissions` of the token, on every object or, given a path such as `/vms/100`, there.
    pub async fn permissions(&self, path: Option<&str>) -> Result<Permissions, Error> {
        let route = Route::get("/access/permissions");
        let params = Params::new().opt("path", path);
        let answer = self
            .call::<BTreeMap<String, BTreeMap<String, Scalar>>>(Class::Read, &route, &params)
            .await?;
        let propagates = |flag: Scalar| flag.to_bool().ok().flatten().unwrap_or(false);
        let paths = answer
            .data
            .into_iter()
            .map(|(path, privileges)| {
                (
                    path,
                    privileges
                        .into_iter()
                        .map(|(name, flag)| (name, propagates(flag)))
                        .collect(),
                )
            })
            .collect();
        Ok(Permissions { paths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_inherited_only_where_it_propagates_and_nothing_nearer_replaces_it() {
        let rights = |list: &[(&str, bool)]| {
            list.iter()
                .map(|(name, flag)| ((*name).to_owned(), *flag))
                .collect()
        };
        let permissions = Permissions {
            paths: BTreeMap::from([
                (
                    "/".to_owned(),
                    rights(&[("Sys.Audit", false), ("VM.Audit", true)]),
                ),
                ("/vms/100".to_owned(), rights(&[("VM.PowerMgmt", true)])),
            ]),
        };
        assert!(permissions.allows("/vms/100", "VM.PowerMgmt"));
        assert!(
            !permissions.allows("/vms/100", "VM.Audit"),
            "the nearer entry replaces"
        );
        assert!(permissions.allows("/vms/101", "VM.Audit"));
        assert!(
            !permissions.allows("/nodes/pve1", "Sys.Audit"),
            "does not propagate"
        );
        assert!(permissions.allows("/", "Sys.Audit"));
        assert!(!permissions.allows("relative", "VM.Audit"));
    }

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        let version = |text: &str| Version {
            version: text.to_owned(),
            release: String::new(),
            repoid: String::new(),
        };
        assert_eq!(version("9.2.11").major(), Some(9));
        assert_eq!(version("8.4.10").major(), Some(8));
        assert_eq!(version("9~beta1").major(), Some(9));
        assert_eq!(version("").major(), None);
    }
}
