//! The panel's own copies of components, by digest, and looking into a file before it is approved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use portico_runtime::{Digest, InstallError, Runtime};

use crate::domain::PermissionDecl;
use crate::provider::{ComponentInspector, InspectError, Inspection};

/// The directory of the copies. Cheap to clone.
#[derive(Clone)]
pub struct Components {
    directory: Arc<PathBuf>,
    runtime: Runtime,
}

impl Components {
    /// Copies in `directory`, which is made when the first one is kept.
    pub fn new(directory: PathBuf, runtime: Runtime) -> Self {
        Self {
            directory: Arc::new(directory),
            runtime,
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        // A digest is hexadecimal; whatever else stands in a record must not lead elsewhere.
        let name: String = digest.chars().filter(char::is_ascii_alphanumeric).collect();
        self.directory.join(format!("{name}.wasm"))
    }

    /// The bytes of a kept component. Whether they have that digest is for the installation to check. A copy that was
    /// lost is made anew from `source`, the file it came from, if that is still the same.
    pub async fn read(&self, digest: &str, source: &Path) -> std::io::Result<Vec<u8>> {
        let path = self.path(digest);
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.keep(source, digest).await.map_err(|again| {
                    std::io::Error::new(
                        error.kind(),
                        format!(
                            "its copy `{}` is lost, and `{}` {}",
                            path.display(),
                            source.display(),
                            again.message
                        ),
                    )
                })?;
                tokio::fs::read(&path).await
            }
            Err(error) => Err(std::io::Error::new(
                error.kind(),
                format!("its copy `{}` cannot be read: {error}", path.display()),
            )),
        }
    }

    /// Looks into a component, for people.
    pub async fn look(&self, file: &Path) -> std::io::Result<portico_runtime::Inspection> {
        Ok(self.runtime.inspect(tokio::fs::read(file).await?).await)
    }
}

#[async_trait]
impl ComponentInspector for Components {
    async fn inspect(&self, file: &Path) -> Result<Inspection, InspectError> {
        let found = self.look(file).await.map_err(|error| InspectError {
            message: format!("cannot be read: {error}"),
            hint: "name a file that the panel may read, relative to the provider's file".to_owned(),
        })?;
        if let Some(problem) = &found.problem {
            return Err(refused(problem));
        }
        let Some(description) = found.description else {
            return Err(InspectError {
                message: "does not describe itself".to_owned(),
                hint: "run `portico plugin inspect` on it".to_owned(),
            });
        };
        let id = description.id.parse().map_err(|_| InspectError {
            message: format!("calls itself `{}`, which is not a plugin's id", description.id),
            hint: "ask the plugin's author for a version with a valid id".to_owned(),
        })?;
        let imports = found.imports.iter().map(|import| {
            let scopes = import
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect();
            (import.interface.clone(), scopes)
        });
        let permissions = description
            .permissions
            .into_iter()
            .map(|permission| PermissionDecl {
                name: permission.name,
                title: permission.title,
                scopes: permission.scopes,
            });
        Ok(Inspection {
            id,
            version: description.version,
            title: description.title,
            digest: found.digest.to_string(),
            imports: imports.collect::<BTreeMap<_, _>>(),
            permissions: permissions.collect(),
            settings_schema: serde_json::from_str(&description.provider_settings).ok(),
            product_settings_schema: serde_json::from_str(&description.product_settings).ok(),
        })
    }

    async fn keep(&self, file: &Path, digest: &str) -> Result<(), InspectError> {
        let failed = |error: &std::io::Error| InspectError {
            message: format!("cannot be copied to `{}`: {error}", self.directory.display()),
            hint: "give the panel's user a data directory it may write, with space on it".to_owned(),
        };
        let bytes = tokio::fs::read(file).await.map_err(|error| failed(&error))?;
        if Digest::of(&bytes).to_string() != digest {
            return Err(InspectError {
                message: "was changed after it was inspected".to_owned(),
                hint: "run the command again".to_owned(),
            });
        }
        let path = self.path(digest);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(());
        }
        tokio::fs::create_dir_all(&*self.directory)
            .await
            .map_err(|error| failed(&error))?;
        // A crash in the middle leaves a half file under another name.
        let half = path.with_extension("new");
        tokio::fs::write(&half, bytes)
            .await
            .map_err(|error| failed(&error))?;
        tokio::fs::rename(&half, &path)
            .await
            .map_err(|error| failed(&error))
    }
}

impl std::fmt::Debug for Components {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Components")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn refused(problem: &InstallError) -> InspectError {
    InspectError {
        message: format!("cannot be installed: {}", chain(problem)),
        hint: "run `portico plugin inspect` on it, and ask its author for a version that fits this panel"
            .to_owned(),
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
