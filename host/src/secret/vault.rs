//! Reading secrets from where the provider keeps them.

use std::sync::Arc;

use super::{SealError, Sealed, Sealer, Secret};
use crate::domain::{SecretRef, StoredSecret};
use crate::store::{Key, Table};

/// Bytes of a secret at most.
const LONGEST: usize = 64 << 10;

/// Why a secret cannot be read. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The environment variable is not set, or is not text.
    #[error("the environment variable `{0}` is not set: set it for the panel's process")]
    Env(String),
    /// The file cannot be read.
    #[error("the secret file `{path}` cannot be read")]
    File {
        /// Where it should be.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is empty, too large or no text.
    #[error("the secret file `{0}` must hold one secret of at most 64 KiB as text")]
    Content(String),
    /// It was sealed with another key.
    #[error("the secret in the store cannot be opened")]
    Seal(#[from] SealError),
}

/// Opens secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault {
    sealer: Arc<Sealer>,
}

impl Vault {
    /// A vault that opens sealed secrets with `sealer`.
    pub fn new(sealer: Arc<Sealer>) -> Self {
        Self { sealer }
    }

    /// Reads a secret by reference, each time anew: a rotated one is taken up by itself.
    pub async fn read(&self, reference: &SecretRef) -> Result<Secret, VaultError> {
        match reference {
            SecretRef::Env(name) => std::env::var(name)
                .map(Secret::new)
                .map_err(|_| VaultError::Env(name.clone())),
            SecretRef::File(path) => {
                let shown = || path.display().to_string();
                let bytes = tokio::fs::read(path).await.map_err(|source| VaultError::File {
                    path: shown(),
                    source,
                })?;
                let text = String::from_utf8(bytes).map_err(|_| VaultError::Content(shown()))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() || text.len() > LONGEST {
                    return Err(VaultError::Content(shown()));
                }
                Ok(Secret::new(text))
            }
        }
    }

    /// Opens a secret of the record under `key` in `table`.
    pub async fn open(&self, table: Table, key: &Key, secret: &StoredSecret) -> Result<Secret, VaultError> {
        match secret {
            StoredSecret::Reference(reference) => self.read(reference).await,
            StoredSecret::Sealed(bytes) => {
                let opened = self.sealer.open(table, key, &Sealed::from_bytes(bytes.clone()))?;
                let text =
                    std::str::from_utf8(&opened).map_err(|_| VaultError::Content("store".to_owned()))?;
                Ok(Secret::new(text))
            }
        }
    }
}
