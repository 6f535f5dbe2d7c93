//! Passwords: the rules for new ones, hashing, and comparing in equal time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::mail::EmailAddress;
use crate::secret::{Entropy, Secret};

/// The fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 10;
/// The most characters of a password; more is refused before it is hashed.
pub const MAX_CHARACTERS: usize = 128;

/// Passwords of ten and more characters that are tried first by everybody who guesses. Compared without case
/// and without what is often put before and after.
const WELL_KNOWN: &[&str] = &[
    "password",
    "passwort",
    "passw0rd",
    "qwertyuiop",
    "qwertzuiop",
    "qwerty",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "q1w2e3r4t5",
    "iloveyou",
    "letmein",
    "welcome",
    "administrator",
    "admin",
    "changeme",
    "changeit",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "dragon",
    "monkey",
    "master",
    "secret",
    "default",
    "abc",
    "abcdefghij",
    "hallo",
    "proxmox",
    "portico",
];

/// Which rule a new password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRuleError {
    /// Under [`MIN_CHARACTERS`].
    #[error("the password needs at least {MIN_CHARACTERS} characters")]
    TooShort,
    /// Over [`MAX_CHARACTERS`].
    #[error("the password may have at most {MAX_CHARACTERS} characters")]
    TooLong,
    /// Hardly any different characters, or one after the other as on the keyboard or in the alphabet.
    #[error("the password repeats or counts the same few characters")]
    TooSimple,
    /// It is a well-known password with little added.
    #[error("the password is one of the first that are guessed")]
    WellKnown,
    /// It is the account's e-mail address, or part of it with little added.
    #[error("the password must not be made from the e-mail address")]
    LikeAddress,
}

/// Checks a new password. There are no rules about kinds of characters: they make passwords worse
/// (NIST SP 800-63B, 5.1.1.2).
pub fn check_password(password: &Secret, address: Option<&EmailAddress>) -> Result<(), PasswordRuleError> {
    let text = password.expose();
    let count = text.chars().take(MAX_CHARACTERS + 1).count();
    if count > MAX_CHARACTERS {
        return Err(PasswordRuleError::TooLong);
    }
    if count < MIN_CHARACTERS {
        return Err(PasswordRuleError::TooShort);
    }
    let lower = zeroize::Zeroizing::new(text.to_lowercase());
    let steps = lower
        .chars()
        .zip(lower.chars().skip(1))
        .map(|(a, b)| u32::from(b).wrapping_sub(u32::from(a)));
    let counted = steps.filter(|step| matches!(*step, 0 | 1 | u32::MAX)).count();
    let different: std::collections::HashSet<char> = lower.chars().collect();
    if different.len() < 4 || counted + 3 > count {
        return Err(PasswordRuleError::TooSimple);
    }
    // What remains when the digits and signs around it are taken away.
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    if core.is_empty()
        || WELL_KNOWN
            .iter()
            .any(|known| *core == **known || *lower.as_str() == **known)
    {
        // Digits alone are a date or a telephone number more often than not.
        return Err(if core.is_empty() {
            PasswordRuleError::TooSimple
        } else {
            PasswordRuleError::WellKnown
        });
    }
    if let Some(address) = address {
        let local = address.local().to_ascii_lowercase();
        let close = local.len() >= 4 && lower.contains(&local) && lower.len() < local.len() + 6;
        if close || *lower == address.folded() {
            return Err(PasswordRuleError::LikeAddress);
        }
    }
    Ok(())
}

/// A stored password hash, in the PHC form `$argon2id$v=19$m=…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// How much work one hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// 19 MiB, 2 passes, 1 lane: the first choice of the OWASP password storage cheat sheet.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// So many sign-ins wait that another one would wait too long.
    #[error("too many sign-ins at once")]
    Busy,
    /// The cost is outside of what argon2 takes.
    #[error("the password cost is out of range")]
    Cost,
    /// The hash in the store is not one, or the hashing thread was lost.
    #[error("the password cannot be checked: {0}")]
    Broken(&'static str),
}

/// What comparing a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the right one.
    Right {
        /// The stored hash was made at another cost: hash the password anew and store that.
        outdated: bool,
    },
    /// It is not, or there is no such account.
    Wrong,
}

/// Hashes and compares passwords, a few at a time and off the async threads.
#[derive(Debug)]
pub struct Passwords {
    cost: PasswordCost,
    dummy: PasswordHash,
    running: Arc<Semaphore>,
    inside: AtomicUsize,
    capacity: usize,
}

impl Passwords {
    /// Hashes at `cost`, at most `concurrency` passwords at a time (each takes the cost's memory) and with at
    /// most `queue` waiting. Hashes once itself, which takes some ten milliseconds.
    pub fn new(cost: PasswordCost, concurrency: usize, queue: usize) -> Result<Self, PasswordError> {
        let dummy = hash(cost, b"nobody's password", [7; 16])?;
        let concurrency = concurrency.max(1);
        let running = Arc::new(Semaphore::new(concurrency));
        let capacity = concurrency.saturating_add(queue);
        Ok(Self {
            cost,
            dummy,
            running,
            inside: AtomicUsize::new(0),
            capacity,
        })
    }

    /// Hashes a new password. The rules are [`check_password`]'s business.
    pub async fn hash(
        &self,
        password: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<PasswordHash, PasswordError> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let (password, cost) = (password.clone(), self.cost);
        self.run(move || hash(cost, password.expose().as_bytes(), salt))
            .await
    }

    /// Compares a password with the stored hash, or with nobody's when the account does not exist, which takes
    /// as long and is [`Verdict::Wrong`] always.
    pub async fn verify(
        &self,
        password: &Secret,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, PasswordError> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).clone();
        let (mut password, cost) = (password.clone(), self.cost);
        if password.expose().chars().take(MAX_CHARACTERS + 1).count() > MAX_CHARACTERS {
            // It cannot be right; the time is spent all the same.
            password = Secret::default();
        }
        let verdict = self
            .run(move || verify(cost, password.expose().as_bytes(), &stored))
            .await?;
        Ok(if exists { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = Place::take(&self.inside, self.capacity)?;
        let permit = self.running.clone().acquire_owned().await;
        let permit = permit.map_err(|_| PasswordError::Broken("shutting down"))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the request: who hangs up does not make room for more.
            let _permit = permit;
            work()
        });
        done.await
            .unwrap_or(Err(PasswordError::Broken("the hashing thread was lost")))
    }
}

/// A place among those who hash or wait, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(inside: &'a AtomicUsize, limit: usize) -> Result<Self, PasswordError> {
        let place = Self(inside);
        if inside.fetch_add(1, Ordering::AcqRel) >= limit {
            Err(PasswordError::Busy)
        } else {
            Ok(place)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn argon2(cost: PasswordCost) -> Result<Argon2<'static>, PasswordError> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|_| PasswordError::Cost)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(cost: PasswordCost, password: &[u8], salt: [u8; 16]) -> Result<PasswordHash, PasswordError> {
    let hash: Result<phc::PasswordHash, _> = argon2(cost)?.hash_password_with_salt(password, &salt);
    let hash = hash.map_err(|_| PasswordError::Broken("argon2 refused the input"))?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify(cost: PasswordCost, password: &[u8], stored: &PasswordHash) -> Result<Verdict, PasswordError> {
    let broken = PasswordError::Broken("the stored hash is not in PHC form");
    let Ok(parsed) = phc::PasswordHash::new(&stored.0) else {
        return Err(broken);
    };
    let params = Params::try_from(&parsed).map_err(|_| PasswordError::Broken("unknown hash parameters"))?;
    let argon2 = argon2(cost)?;
    match argon2.verify_password(password, &parsed) {
        Ok(()) => {
            let made_at = (params.m_cost(), params.t_cost(), params.p_cost());
            let outdated = made_at != (cost.memory_kib, cost.passes, cost.lanes)
                || parsed.algorithm.as_str() != Algorithm::Argon2id.as_str();
            Ok(Verdict::Right { outdated })
        }
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(_) => Err(PasswordError::Broken("argon2 refused the stored hash")),
    }
}

#[cfg(test)]
mod tests;
