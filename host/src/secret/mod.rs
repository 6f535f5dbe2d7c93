//! Secrets: how they are held, made, and kept on disk.
//!
//! - [`Secret`]: a text that neither prints nor logs itself and is wiped when dropped.
//! - [`Entropy`] and [`RandomId`]: randomness as a parameter, and unguessable ids of which only the
//!   [`IdHash`] is stored.
//! - [`Sealer`]: values encrypted for the store, bound to the place they are stored in.
//!
//! Deliberately not here: password hashing, which is slow on purpose and lives in [`crate::auth`].

mod random;
mod seal;
mod value;
mod vault;

pub use self::random::{Entropy, IdHash, RandomId, SeededEntropy, SystemEntropy};
pub use self::seal::{KeyError, SealError, Sealed, Sealer, SealingKey};
pub use self::value::Secret;
pub use self::vault::{Vault, VaultError};
