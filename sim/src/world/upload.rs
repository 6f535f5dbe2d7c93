//! Files that were uploaded and not yet put where they belong: their size and digest, for their content is not kept.

use std::collections::BTreeMap;

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::units::mix;

/// What was received of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// In bytes.
    pub(crate) size: u64,
    /// The digest that the request asked for, in hexadecimal.
    pub(crate) digest: Option<String>,
}

/// Receives a file bit by bit.
pub(crate) struct Receiver {
    size: u64,
    hasher: Option<Box<dyn DynDigest + Send>>,
}

impl Receiver {
    /// Begins a file; `algorithm` is PVE's name of a digest. There is none for other names.
    pub(crate) fn new(algorithm: &str) -> Self {
        let hasher: Option<Box<dyn DynDigest + Send>> = match algorithm {
            "md5" => Some(Box::new(Md5::default())),
            "sha1" => Some(Box::new(Sha1::default())),
            "sha224" => Some(Box::new(Sha224::default())),
            "sha256" => Some(Box::new(Sha256::default())),
            "sha384" => Some(Box::new(Sha384::default())),
            "sha512" => Some(Box::new(Sha512::default())),
            _ => None,
        };
        Self { size: 0, hasher }
    }

    /// Takes some more of it.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    /// That was all.
    pub(crate) fn end(self) -> Received {
        Received {
            size: self.size,
            digest: self.hasher.map(|hasher| hex::encode(hasher.finalize())),
        }
    }
}

/// The files of requests that are being answered, by the temporary name that the API is told.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    count: u64,
    waiting: BTreeMap<String, Received>,
}

impl Uploads {
    /// Keeps a file and gives its temporary name.
    pub(crate) fn add(&mut self, received: Received) -> String {
        self.count += 1;
        let name = format!(
            "/var/tmp/pveupload-{:016x}{:016x}",
            mix(self.count, 1),
            mix(self.count, 2)
        );
        self.waiting.insert(name.clone(), received);
        name
    }

    /// Takes a file away, if it is there.
    pub(crate) fn take(&mut self, name: &str) -> Option<Received> {
        self.waiting.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_counted_and_hashed_as_it_comes() {
        for (algorithm, wanted) in [
            ("md5", Some("900150983cd24fb0d6963f7d28e17f72")),
            ("sha1", Some("a9993e364706816aba3e25717850c26c9cd0d89d")),
            ("crc32", None),
        ] {
            let mut receiver = Receiver::new(algorithm);
            receiver.add(b"a");
            receiver.add(b"bc");
            let whole = receiver.end();
            assert_eq!((whole.size, whole.digest.as_deref()), (3, wanted));
        }
    }

    #[test]
    fn a_file_is_taken_once() {
        let mut uploads = Uploads::default();
        let received = Receiver::new("").end();
        let (first, second) = (uploads.add(received.clone()), uploads.add(received.clone()));
        assert_ne!(first, second);
        assert_eq!(uploads.take(&first), Some(received));
        assert_eq!(uploads.take(&first), None);
    }
}
