//! Where a secret comes from, as records and the provider's file keep it: never the secret itself.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::Secret;

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

/// Reads what secret references point to.
pub trait SecretSource: Send + Sync {
    /// The secret.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, place: &SecretRef) -> Result<Secret, SecretReadError>;
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretReadError {
    /// The environment does not have the variable.
    #[error("the variable is not set in the environment of the process that reads it")]
    NotSet,
    /// The secret is empty.
    #[error("it is empty")]
    Empty,
    /// The secret is not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// The file is larger than any secret.
    #[error("it is larger than {MAX_SECRET} bytes, which is no secret")]
    TooLarge,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    File(std::io::Error),
}

/// The largest secret that is read, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// The secrets of this process: its environment, and the files it may read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessSecrets;

impl SecretSource for ProcessSecrets {
    fn read(&self, place: &SecretRef) -> Result<Secret, SecretReadError> {
        let text = match place {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(text) => Secret::new(text),
                Err(std::env::VarError::NotPresent) => return Err(SecretReadError::NotSet),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretReadError::NotText),
            },
            SecretRef::File(path) => {
                let file = std::fs::File::open(path).map_err(SecretReadError::File)?;
                let mut bytes = Zeroizing::new(Vec::new());
                file.take(MAX_SECRET + 1)
                    .read_to_end(&mut bytes)
                    .map_err(SecretReadError::File)?;
                if bytes.len() as u64 > MAX_SECRET {
                    return Err(SecretReadError::TooLarge);
                }
                let text = std::str::from_utf8(&bytes).map_err(|_| SecretReadError::NotText)?;
                Secret::new(
                    text.strip_suffix('\n')
                        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text)),
                )
            }
        };
        if text.is_empty() {
            Err(SecretReadError::Empty)
        } else {
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_gives_up_its_last_line_end_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        for (content, secret) in [
            ("a b", "a b"),
            ("ab\n", "ab"),
            ("ab\r\n", "ab"),
            (" ab \n\n", " ab \n"),
        ] {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            assert_eq!(
                ProcessSecrets.read(&SecretRef::File(path)).unwrap().expose(),
                secret
            );
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            ProcessSecrets.read(&SecretRef::File(path.clone())).unwrap_err()
        };
        assert!(matches!(read(b""), SecretReadError::Empty));
        assert!(matches!(read(b"\n"), SecretReadError::Empty));
        assert!(matches!(read(b"\xff"), SecretReadError::NotText));
        assert!(matches!(read(&vec![b'a'; 70_000]), SecretReadError::TooLarge));
        let missing = SecretRef::File(folder.path().join("missing"));
        assert!(matches!(
            ProcessSecrets.read(&missing),
            Err(SecretReadError::File(_))
        ));
        let unset = SecretRef::Env("PORTICO_TEST_SURELY_UNSET".into());
        assert!(matches!(
            ProcessSecrets.read(&unset),
            Err(SecretReadError::NotSet)
        ));
    }
}
