//! Compiled components on disk, so that a restart does not compile everything again.
//!
//! Compiled code is native code: who can write a file of it can run anything as the panel. So the directory belongs to
//! the service user alone, and every file carries a MAC under a key of the host over the engine's configuration, the
//! component's digest and the compiled bytes, which is verified before the bytes go anywhere. A file that does not fit,
//! for whatever reason, is compiled again and overwritten.

use std::fs::{DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;

/// First bytes of a file; the number is the layout's.
const MAGIC: &[u8; 8] = b"PORTICO1";
const MAC_LENGTH: usize = 32;
/// Largest file that is read.
const MAX_FILE: u64 = 512 << 20;

/// Where compiled components are kept, and the key they are authenticated with.
#[derive(Clone)]
pub struct CacheConfig {
    /// A directory that is the service user's alone (mode 0700). Made if it does not exist.
    pub directory: PathBuf,
    /// A key of the host, secret and the same at each start. A new key makes the cache start anew.
    pub key: [u8; 32],
}

impl std::fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheConfig")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Why a directory cannot hold the compile cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made or looked at.
    #[error("cannot use `{}` for compiled components", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is a symbolic link or no directory.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Others may read or write it, or it is another user's.
    #[error("`{}` must belong to the user who runs the panel, with mode 0700", .0.display())]
    NotPrivate(PathBuf),
}

/// An open cache.
pub(crate) struct Cache {
    directory: PathBuf,
    key: [u8; 32],
    engine: [u8; 32],
}

impl Cache {
    /// Makes the directory if need be and checks that nobody else can write to it.
    pub(crate) fn open(config: CacheConfig, engine: &Engine) -> Result<Self, CacheError> {
        let directory = config.directory;
        let io = |source| CacheError::Io {
            directory: directory.clone(),
            source,
        };
        match DirBuilder::new().recursive(true).mode(0o700).create(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
            Ok(()) | Err(_) => {}
        }
        let metadata = std::fs::symlink_metadata(&directory).map_err(io)?;
        if !metadata.is_dir() {
            return Err(CacheError::NotADirectory(directory));
        }
        if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            return Err(CacheError::NotPrivate(directory));
        }
        let key = blake3::derive_key("portico 2026-11 compiled components", &config.key);
        Ok(Self {
            directory,
            key,
            engine: engine_fingerprint(engine),
        })
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.directory.join(format!("{digest}.compiled"))
    }

    fn mac(&self, digest: Digest, compiled: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(MAGIC)
            .update(&self.engine)
            .update(digest.as_bytes())
            .update(compiled);
        hasher.finalize()
    }

    /// The component of a digest, if a file of it is there, authentic and of this engine's configuration.
    #[expect(
        unsafe_code,
        reason = "wasmtime cannot check compiled code; the MAC does, see the proof below"
    )]
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.file(digest);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a compiled component");
                return None;
            }
        };
        let authentic = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<MAC_LENGTH>())
            .and_then(
                // `blake3::Hash` compares in constant time.
                |(mac, compiled)| (self.mac(digest, compiled) == *mac).then_some(compiled),
            );
        let Some(compiled) = authentic else {
            tracing::warn!(path = %path.display(), "a compiled component is not authentic and is made anew");
            return None;
        };
        // SAFETY: `deserialize` needs bytes that `Component::serialize` made and nobody changed. The MAC under a key that
        // only this host has says that `store` below wrote exactly these bytes, for this component and an engine with
        // this configuration; they are in our own memory, which no other process can change under us.
        match unsafe { Component::deserialize(engine, compiled) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled component does not load and is made anew");
                None
            }
        }
    }

    /// Keeps a compiled component. Written whole under another name first: a crash leaves the old file or none.
    pub(crate) fn store(&self, digest: Digest, component: &Component) -> std::io::Result<()> {
        let compiled = component.serialize().map_err(std::io::Error::other)?;
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".partial")
            .tempfile_in(&self.directory)?;
        file.write_all(MAGIC)?;
        file.write_all(self.mac(digest, &compiled).as_bytes())?;
        file.write_all(&compiled)?;
        file.as_file().sync_all()?;
        file.persist(self.file(digest))?;
        Ok(())
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A fingerprint of everything that decides whether compiled code fits an engine: wasmtime's version, target, tunables.
fn engine_fingerprint(engine: &Engine) -> [u8; 32] {
    struct Fingerprint(blake3::Hasher);

    impl Hasher for Fingerprint {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            let hash = self.0.finalize();
            hash.as_bytes()
                .first_chunk()
                .copied()
                .map_or(0, u64::from_le_bytes)
        }
    }

    let mut fingerprint = Fingerprint(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut fingerprint);
    *fingerprint.0.finalize().as_bytes()
}
