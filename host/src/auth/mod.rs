//! Who is asking: accounts, passwords, sessions, and how often somebody may try.
//!
//! A sign-in goes through the parts in this order: [`LoginLimiter::attempt`] says whether this address may try
//! this account now; [`Sessions::epoch`] is read; [`Passwords::verify`] compares, in the same time whether the
//! account exists or not; [`Sessions::start`] makes the session under that epoch, so that a password changed
//! in between wins. From then on [`Sessions::find`] turns the cookie into the account.
//!
//! Deliberately not here: what an account may do (the domain decides), cookies and forms (the web module).

mod account;
mod limit;
mod password;
mod session;

pub use self::account::{AccountId, AccountIdError};
pub use self::limit::{Limiter, LoginLimiter, LoginLimits, Rate, RetryAfter, Standing, network};
pub use self::password::{
    MAX_CHARACTERS, MIN_CHARACTERS, PasswordCost, PasswordError, PasswordHash, PasswordRuleError, Passwords,
    Verdict, check_password,
};
pub use self::session::{Client, Epoch, Session, SessionError, SessionPolicy, Sessions};
