//! Values encrypted for the store.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::Entropy;
use crate::store::{Key, Table};

/// The first byte of a sealed value: the layout `layout, key id (8), nonce (24), ciphertext and tag`.
const LAYOUT: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// The key that seals, 256 bits. Whoever has it and the store has the secrets: keep the two apart in backups.
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
}

/// Why there is no sealing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a key.
    #[error("the sealing key must be 64 hexadecimal digits")]
    Malformed,
    /// Others may read or write the file.
    #[error("the key file `{}` has mode {mode:04o}; only its owner may have access", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read or made.
    #[error("the key file `{}` cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl KeyError {
    /// What the operator can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Malformed => {
                "restore the key from a backup; a new one cannot open what the old one has sealed"
            }
            Self::TooOpen { .. } => "run `chmod 600` on the file, and consider who may have read it",
            Self::File { .. } => "check that the directory exists and belongs to the user the panel runs as",
        }
    }
}

impl SealingKey {
    /// Makes a new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self { bytes }
    }

    /// A key for another purpose, from which this one cannot be found.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.bytes.as_ref())
    }

    /// Reads a key from 64 hexadecimal digits, as they come from an environment variable or a file.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut()).map_err(|_| KeyError::Malformed)?;
        Ok(Self { bytes })
    }

    /// Reads the key file, or makes it with a new key, mode 0600, when it is not there.
    ///
    /// # Errors
    /// [`KeyError::TooOpen`] when group or others have any access to it; a file that is there and is not a key
    /// is never overwritten.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            other => return other,
        }
        match Self::create(path, entropy) {
            // Another process was faster; its key counts.
            Err(KeyError::File { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::load(path)
            }
            other => other,
        }
    }

    /// Reads the key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(failed)?;
        // The permissions of the file that was opened, not of what the path names by now.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::TooOpen {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(128));
        file.take(128).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text)
    }

    fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let key = Self::generate(entropy);
        let text = Zeroizing::new(hex::encode(*key.bytes) + "\n");
        // Written beside and linked into place, so that nobody ever reads half a key. A link, unlike a rename,
        // does not replace a file that appeared meanwhile.
        let mut suffix = [0; 8];
        entropy.fill(&mut suffix);
        let beside = path.with_extension(format!("new-{}", hex::encode(suffix)));
        let written = (|| {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::hard_link(&beside, path)?;
            match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => std::fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        })();
        // Whatever happened, no second copy of the key stays behind.
        let _ = std::fs::remove_file(&beside);
        written.map_err(failed)?;
        Ok(key)
    }

    /// Names the key without telling anything about it.
    fn id(&self) -> [u8; KEY_ID] {
        let digest = blake3::derive_key("portico sealing key id, version 1", self.bytes.as_ref());
        let mut id = [0; KEY_ID];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        id
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// A sealed value, as it is stored; in JSON a text in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Sealed {
    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes bytes from the store; [`Sealer::open`] finds out whether they are a sealed value.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        STANDARD
            .decode(String::deserialize(deserializer)?)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Why a value cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The value was sealed with a key this process does not have.
    #[error("the value is sealed with another key")]
    OtherKey,
    /// The value was changed, or was sealed for another place in the store.
    #[error("the sealed value is damaged or does not belong here")]
    Damaged,
    /// The value is too large to be sealed.
    #[error("the value is too large to be sealed")]
    TooLarge,
}

/// Seals and opens values with `XChaCha20-Poly1305`.
///
/// A value is bound to its table and key: copied to another place in the store it does not open, so nobody
/// with write access to the disk can swap one customer's secret for another's.
pub struct Sealer {
    current: (SealingKey, XChaCha20Poly1305),
    old: Vec<(SealingKey, XChaCha20Poly1305)>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer(1 current key, {} old)", self.old.len())
    }
}

impl Sealer {
    /// Seals with `key`.
    pub fn new(key: SealingKey) -> Self {
        Self {
            current: with_cipher(key),
            old: Vec::new(),
        }
    }

    /// Also opens what `key` has sealed, as long as a change of keys takes.
    #[must_use]
    pub fn and_open_with(mut self, key: SealingKey) -> Self {
        self.old.push(with_cipher(key));
        self
    }

    /// Seals `plain` for the place `key` in `table`.
    pub fn seal(
        &self,
        table: Table,
        key: &Key,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        let (sealing, cipher) = &self.current;
        let mut nonce = XNonce::default();
        entropy.fill(&mut nonce);
        let id = sealing.id();
        let aad = place(id, table, key);
        let text = cipher
            .encrypt(
                &nonce,
                Payload {
                    msg: plain,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::TooLarge)?;
        let mut sealed = Vec::with_capacity(1 + KEY_ID + NONCE + text.len());
        sealed.push(LAYOUT);
        sealed.extend_from_slice(&id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Ok(Sealed(sealed))
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, table: Table, key: &Key, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let rest = sealed.0.strip_prefix(&[LAYOUT]).ok_or(SealError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID>().ok_or(SealError::Damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Damaged)?;
        let keys = std::iter::once(&self.current).chain(&self.old);
        let (_, cipher) = keys
            .into_iter()
            .find(|(key, _)| key.id() == *id)
            .ok_or(SealError::OtherKey)?;
        let aad = place(*id, table, key);
        let plain = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: &aad });
        plain.map(Zeroizing::new).map_err(|_| SealError::Damaged)
    }

    /// Whether a value was sealed with the current key, and need not be sealed anew.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        sealed.0.get(1..=KEY_ID) == Some(&self.current.0.id())
    }
}

fn with_cipher(key: SealingKey) -> (SealingKey, XChaCha20Poly1305) {
    let cipher = XChaCha20Poly1305::new(&(*key.bytes).into());
    (key, cipher)
}

/// The associated data: everything that says which value this is.
fn place(id: [u8; KEY_ID], table: Table, key: &Key) -> Vec<u8> {
    let mut place = vec![LAYOUT, table.tag()];
    place.extend_from_slice(&id);
    place.extend_from_slice(key.as_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{SeededEntropy, SystemEntropy};
    use std::os::unix::fs::PermissionsExt;

    fn sealer(seed: u64) -> Sealer {
        Sealer::new(SealingKey::generate(&SeededEntropy::new(seed)))
    }

    fn here() -> Key {
        Key::text("smtp").and("password")
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_and_does_not_contain_the_plain_text() {
        let seals = sealer(1);
        let sealed = seals
            .seal(Table::Secrets, &here(), b"hunter2", &SystemEntropy)
            .unwrap();
        assert!(!sealed.as_bytes().windows(7).any(|window| window == b"hunter2"));
        assert_eq!(*seals.open(Table::Secrets, &here(), &sealed).unwrap(), b"hunter2");
        let again = seals
            .seal(Table::Secrets, &here(), b"hunter2", &SystemEntropy)
            .unwrap();
        assert_ne!(sealed, again, "a nonce must not repeat");
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
    }

    #[test]
    fn a_value_moved_to_another_place_does_not_open() {
        let seals = sealer(1);
        let sealed = seals.seal(Table::Secrets, &here(), b"x", &SystemEntropy).unwrap();
        let elsewhere = seals.open(Table::Secrets, &Key::text("smtp").and("user"), &sealed);
        assert_eq!(elsewhere.unwrap_err(), SealError::Damaged);
        assert_eq!(
            seals.open(Table::Accounts, &here(), &sealed).unwrap_err(),
            SealError::Damaged
        );
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let seals = sealer(1);
        let sealed = seals
            .seal(Table::Secrets, &here(), b"hunter2", &SystemEntropy)
            .unwrap();
        for at in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(
                seals
                    .open(Table::Secrets, &here(), &Sealed::from_bytes(bytes))
                    .is_err()
            );
            let cut = Sealed::from_bytes(&sealed.as_bytes()[..at]);
            assert!(seals.open(Table::Secrets, &here(), &cut).is_err());
        }
    }

    #[test]
    fn a_change_of_keys_opens_old_values_and_knows_them() {
        let old = sealer(1);
        let sealed = old.seal(Table::Secrets, &here(), b"x", &SystemEntropy).unwrap();
        let new = sealer(2);
        assert_eq!(
            new.open(Table::Secrets, &here(), &sealed).unwrap_err(),
            SealError::OtherKey
        );
        let both = new.and_open_with(SealingKey::generate(&SeededEntropy::new(1)));
        assert_eq!(*both.open(Table::Secrets, &here(), &sealed).unwrap(), b"x");
        assert!(!both.is_current(&sealed) && old.is_current(&sealed));
    }

    #[test]
    fn a_key_file_is_made_once_closed_to_others_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        let made = SealingKey::load_or_create(&path, &SystemEntropy).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = SealingKey::load_or_create(&path, &SystemEntropy).unwrap();
        assert_eq!(made.bytes, read.bytes);
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no copy stays behind"
        );
    }

    #[test]
    fn a_key_file_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        SealingKey::load_or_create(&path, &SystemEntropy).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o602, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = SealingKey::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert!(matches!(error, KeyError::TooOpen { .. }), "{mode:o}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seal.key");
        for content in [&b""[..], b"hunter2", &[0xff; 64], &[b'a'; 5000]] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = SealingKey::load_or_create(&path, &SystemEntropy).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_key_file_in_a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not/there/seal.key");
        assert!(matches!(
            SealingKey::load_or_create(&path, &SystemEntropy),
            Err(KeyError::File { .. })
        ));
    }
}
