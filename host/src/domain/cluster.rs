//! Clusters: the Proxmox VE installations the panel holds a token for.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::id::ClusterId;
use super::secret_ref::StoredSecret;

/// A Proxmox VE cluster or stand-alone node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id in the provider's file.
    pub id: ClusterId,
    /// Base URLs of its nodes' APIs, `https://HOST:8006`, tried in this order. Each is one host, no load balancer.
    pub endpoints: Vec<Url>,
    /// The API token's name, `USER@REALM!TOKENID`.
    pub token_id: TokenId,
    /// The API token's secret.
    pub token_secret: StoredSecret,
    /// How the panel knows that it speaks to this cluster.
    pub trust: Trust,
    /// How hard the panel may press on it.
    pub tuning: ClusterTuning,
}

/// Timeouts and concurrency towards one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterTuning {
    /// Seconds to open a connection before the next endpoint is tried, 1 to 60.
    pub connect_timeout_secs: u32,
    /// Seconds for a read, 5 to 300. PVE itself waits 30 s for another node, so less than that cuts off its
    /// own answer.
    pub read_timeout_secs: u32,
    /// Seconds for a write, which may wait for locks inside PVE, 5 to 600.
    pub write_timeout_secs: u32,
    /// Calls about one node under way at once, 1 to 64. A node has three workers by default.
    pub per_node: u32,
    /// Calls to one endpoint under way at once, 1 to 256. One in four is for calls that no node has to answer.
    pub per_endpoint: u32,
}

impl Default for ClusterTuning {
    fn default() -> Self {
        Self {
            connect_timeout_secs: 5,
            read_timeout_secs: 35,
            write_timeout_secs: 60,
            per_node: 4,
            per_endpoint: 16,
        }
    }
}

/// How the certificate of a cluster is checked. There is no way not to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// By the certificate authorities of the machine.
    System,
    /// By the authority in this PEM file, as a cluster's own `/etc/pve/pve-root-ca.pem`.
    CaFile(PathBuf),
    /// By the SHA-256 of the certificate itself, one of these.
    Fingerprints(Vec<Fingerprint>),
}

/// The SHA-256 of a certificate, as Proxmox shows it: 32 upper-case hexadecimal pairs with colons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The text with colons.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a certificate fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 fingerprint: write 32 hexadecimal pairs as `pvenode cert info` prints them")]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text.chars().filter(|&character| character != ':').collect();
        let bytes = hex::decode(&digits).map_err(|_| FingerprintError(text.to_owned()))?;
        if bytes.len() != 32 {
            return Err(FingerprintError(text.to_owned()));
        }
        let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self(pairs.join(":")))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.0
    }
}

/// The name of an API token, `USER@REALM!TOKENID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

impl TokenId {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `!`: the user the token belongs to.
    pub fn user(&self) -> &str {
        self.0.split_once('!').map_or(self.0.as_str(), |(user, _)| user)
    }
}

/// Why a text is not the name of an API token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a token id: write `USER@REALM!TOKENID`, such as `portico@pve!panel`")]
pub struct TokenIdError(String);

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        // PVE: a user is `[^\s:/]+`, realm and token name are `[A-Za-z][A-Za-z0-9.\-_]+`.
        let name = |part: &str| {
            part.len() >= 2
                && part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        let good = text.split_once('!').is_some_and(|(user, token)| {
            name(token)
                && user.rsplit_once('@').is_some_and(|(user, realm)| {
                    name(realm)
                        && !user.is_empty()
                        && user.chars().all(|character| {
                            !character.is_whitespace() && !character.is_control() && !":/".contains(character)
                        })
                })
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for TokenId {
    type Error = TokenIdError;

    fn try_from(text: String) -> Result<Self, TokenIdError> {
        text.parse()
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_taken_in_any_case_and_shown_as_pve_shows_it() {
        let shown = ["AB"; 32].join(":");
        assert_eq!(shown.parse::<Fingerprint>().unwrap().as_str(), shown);
        assert_eq!("ab".repeat(32).parse::<Fingerprint>().unwrap().as_str(), shown);
        assert!(
            "ab".repeat(20).parse::<Fingerprint>().is_err(),
            "a SHA-1 is too short"
        );
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn a_token_id_has_user_realm_and_name() {
        assert_eq!(
            "portico@pve!panel".parse::<TokenId>().unwrap().user(),
            "portico@pve"
        );
        for bad in [
            "portico@pve",
            "portico!panel",
            "@pve!panel",
            "a b@pve!panel",
            "a@pve!p",
            "a@pve!panel=uuid",
            "a@pve!pan\nel",
        ] {
            assert!(bad.parse::<TokenId>().is_err(), "{bad}");
        }
    }
}
