//! Where a secret comes from, as records and the provider's file keep it: never the secret itself.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A place outside the store that holds a secret.
///
/// The panel's own process reads it, each time it is needed, so that a rotated secret is taken up by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretRef {
    /// An environment variable of the panel's process.
    Env(String),
    /// A file, by absolute path; one trailing line end is not part of the secret.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(out, "env:{name}"),
            Self::File(path) => write!(out, "file:{}", path.display()),
        }
    }
}

/// A secret in a record: where to find it, or the secret encrypted under the panel's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredSecret {
    /// It stays where the provider keeps it.
    Reference(SecretRef),
    /// It was given to the panel, which sealed it; only the panel's key opens it.
    Sealed(Vec<u8>),
}

impl fmt::Display for StoredSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) => reference.fmt(out),
            Self::Sealed(_) => out.write_str("(sealed in the store)"),
        }
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StoredSecret({self})")
    }
}
