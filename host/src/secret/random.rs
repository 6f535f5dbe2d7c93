//! Randomness as a parameter, and ids nobody can guess.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

use crate::store::Key;

/// Where random bytes come from.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes`, unpredictably for anybody else.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in `0.0..1.0`, for jitter.
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The process's cryptographic generator, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// The same bytes in every run of a test. **Not for a running panel**: everybody who knows the seed knows all
/// its tokens.
pub struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    /// A generator that repeats itself for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(bytes);
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

/// An unguessable id of 256 bits: a session cookie, a one-time link. Who holds it is let in, so it masks
/// itself like a secret, and the store only ever sees its [`IdHash`].
#[derive(Clone)]
pub struct RandomId([u8; 32]);

impl RandomId {
    /// Makes a new one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The id as 43 letters, digits, `-` and `_`, for a cookie or a URL.
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads what [`RandomId::encode`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(bytes.as_slice().try_into().ok()?))
    }

    /// What is stored and looked up instead of the id. A lookup by hash needs no constant-time comparison:
    /// nobody can steer a hash towards a stored one.
    pub fn hash(&self) -> IdHash {
        IdHash(blake3::derive_key(
            "portico random id at rest, version 1",
            &self.0,
        ))
    }
}

impl Drop for RandomId {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomId(…)")
    }
}

/// The hash of a [`RandomId`]. It names the thing without giving access to it, so it may be shown and stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdHash([u8; 32]);

impl IdHash {
    /// The bytes, for a key of several parts.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A store key of this hash alone.
    pub fn key(&self) -> Key {
        Key::raw(self.0)
    }

    /// Reads the bytes back from a key part.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for IdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for IdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdHash({self})")
    }
}

impl std::str::FromStr for IdHash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for IdHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IdHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_masks_itself() {
        let id = RandomId::generate(&SystemEntropy);
        let text = id.encode();
        assert_eq!(text.len(), 43);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert_eq!(RandomId::parse(&text).unwrap().hash(), id.hash());
        assert!(!format!("{id:?}").contains(text.as_str()));
        let hash = id.hash();
        assert_eq!(hash.to_string().parse::<IdHash>().unwrap(), hash);
        assert_ne!(hash.as_bytes(), &id.0);
    }

    #[test]
    fn two_ids_differ_and_a_seed_repeats() {
        assert_ne!(
            RandomId::generate(&SystemEntropy).hash(),
            RandomId::generate(&SystemEntropy).hash()
        );
        let (a, b) = (SeededEntropy::new(1), SeededEntropy::new(1));
        assert_eq!(RandomId::generate(&a).hash(), RandomId::generate(&b).hash());
    }

    #[test]
    fn a_fraction_is_a_fraction() {
        let entropy = SeededEntropy::new(7);
        let all: Vec<f64> = (0..1000).map(|_| entropy.fraction()).collect();
        assert!(all.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        let mean = all.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    proptest! {
        #[test]
        fn no_text_panics_the_reader_and_two_texts_are_never_one_id(text in ".{0,60}") {
            if let Some(id) = RandomId::parse(&text) {
                let encoded = id.encode();
                prop_assert_eq!(encoded.as_str(), text.as_str());
            }
        }
    }

    #[test]
    fn an_almost_right_text_is_refused() {
        let text = RandomId::generate(&SeededEntropy::new(3)).encode();
        let longer = format!("{}A", *text);
        let padded = format!("{}=", *text);
        let standard = format!("+{}", &text[1..]);
        for wrong in [&text[1..], &longer, &padded, &standard, ""] {
            assert!(RandomId::parse(wrong).is_none());
        }
        // The last letter carries two bits that no byte uses; a second spelling of an id is not accepted.
        let spelled = (b'A'..=b'z').filter(u8::is_ascii_alphanumeric).map(char::from);
        let others = spelled.filter(|last| RandomId::parse(&format!("{}{last}", &text[..42])).is_some());
        assert!(others.count() <= 16);
    }
}
