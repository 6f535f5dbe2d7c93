//! How often somebody may try.
//!
//! [`Limiter`] counts one kind of thing by key; [`LoginLimiter`] puts two of them in front of the sign-in.
//! Both live in memory and are empty after a restart: a restart costs an attacker more than it gives.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{later, span};
use crate::mail::EmailAddress;

/// `burst` at once, and then `burst` per `period`, evenly spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once, at least 1.
    pub burst: u32,
    /// In which time the burst is earned anew.
    pub period: Duration,
}

impl Rate {
    /// `burst` per `period`.
    pub const fn new(burst: u32, period: Duration) -> Self {
        Self { burst, period }
    }

    fn interval(&self) -> Duration {
        self.period / self.burst.max(1)
    }

    /// How far ahead of the time the account of a key may be.
    fn tolerance(&self) -> Duration {
        self.interval() * (self.burst.max(1) - 1)
    }
}

/// Come back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts, the next one is possible in {} seconds", self.seconds())]
pub struct RetryAfter(pub Duration);

impl RetryAfter {
    /// The whole seconds of a `Retry-After` header, at least 1.
    pub fn seconds(&self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0).max(u64::from(self.0.is_zero()))
    }
}

/// A rate limit for each of many keys (the generic cell rate algorithm: one timestamp a key).
///
/// It remembers at most `max_keys` keys. When it is full, keys that are back at rest are forgotten first, and
/// then the one that is nearest to rest: a flood of new keys cannot make it forget those who overdo it most.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    max_keys: usize,
    /// For each key the time at which it is at rest again.
    keys: Mutex<HashMap<[u8; 16], Timestamp>>,
}

impl Limiter {
    /// A limit of `rate` a key.
    pub fn new(rate: Rate, max_keys: usize) -> Self {
        Self {
            rate,
            max_keys: max_keys.max(1),
            keys: Mutex::default(),
        }
    }

    /// Takes one of what `key` has left.
    ///
    /// # Errors
    /// [`RetryAfter`] when nothing is left; nothing is taken then, so asking again does not make it later.
    pub fn take(&self, key: &[u8], now: Timestamp) -> Result<(), RetryAfter> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = short(key);
        let at_rest = keys.get(&key).copied().unwrap_or(now).max(now);
        let ahead = span(now, at_rest);
        if let Some(too_early) = ahead
            .checked_sub(self.rate.tolerance())
            .filter(|wait| !wait.is_zero())
        {
            return Err(RetryAfter(too_early));
        }
        if keys.len() >= self.max_keys && !keys.contains_key(&key) {
            make_room(&mut keys, now);
        }
        keys.insert(key, later(at_rest, self.rate.interval()));
        Ok(())
    }

    /// Gives one back that was taken, because it turned out not to count.
    pub fn give_back(&self, key: &[u8], now: Timestamp) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = short(key);
        if let Some(at_rest) = keys.get_mut(&key) {
            *at_rest = crate::clock::earlier(*at_rest, self.rate.interval());
            if *at_rest <= now {
                keys.remove(&key);
            }
        }
    }

    /// How many `key` could take at once now.
    pub fn left(&self, key: &[u8], now: Timestamp) -> u32 {
        self.standing(key, now).left
    }

    /// Where `key` stands now. Nothing is taken.
    pub fn standing(&self, key: &[u8], now: Timestamp) -> Standing {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = keys
            .get(&short(key))
            .map_or(Duration::ZERO, |at_rest| span(now, *at_rest));
        let (interval, burst) = (self.rate.interval(), self.rate.burst.max(1));
        if interval.is_zero() || ahead.is_zero() {
            return Standing {
                left: burst,
                next: None,
            };
        }
        let used = u32::try_from(ahead.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(u32::MAX);
        // The oldest of those taken comes back once the account is ahead by one interval less.
        let kept = interval.saturating_mul(used.saturating_sub(1).min(burst - 1));
        Standing {
            left: burst.saturating_sub(used),
            next: Some(ahead.saturating_sub(kept)),
        }
    }

    /// The rate of each key.
    pub fn rate(&self) -> Rate {
        self.rate
    }
}

/// What a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many it could take at once.
    pub left: u32,
    /// After which time it could take one more than that; none when it has all.
    pub next: Option<Duration>,
}

/// Keys of any length are kept as 16 bytes of their hash, so that memory is bounded in bytes as well.
fn short(key: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    blake3::Hasher::new().update(key).finalize_xof().fill(&mut short);
    short
}

fn make_room(keys: &mut HashMap<[u8; 16], Timestamp>, now: Timestamp) {
    let before = keys.len();
    keys.retain(|_, at_rest| *at_rest > now);
    if keys.len() == before {
        // A sixteenth at once, so that a flood does not pay for a full pass with each key.
        let mut times: Vec<Timestamp> = keys.values().copied().collect();
        let nearest = times.len() / 16;
        let (_, cut, _) = times.select_nth_unstable(nearest);
        let (cut, mut room) = (*cut, nearest + 1);
        keys.retain(|_, at_rest| {
            let goes = *at_rest <= cut && room > 0;
            room -= usize::from(goes);
            !goes
        });
    }
}

/// The limits of the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failed attempts on one account, from addresses it has not signed in from.
    pub account: Rate,
    /// Attempts from one address: an IPv4 address or an IPv6 /64.
    pub address: Rate,
    /// The keys remembered of each kind.
    pub max_keys: usize,
}

impl Default for LoginLimits {
    /// 10 in 10 minutes an account, 20 in 5 minutes an address, 50,000 of each.
    fn default() -> Self {
        Self {
            account: Rate::new(10, Duration::from_mins(10)),
            address: Rate::new(20, Duration::from_mins(5)),
            max_keys: 50_000,
        }
    }
}

/// Decides whether a sign-in may be tried.
///
/// An attempt takes from the address and from the account before the password is looked at, so that parallel
/// attempts count as well; a success gives the account's back. The account is named by what was typed,
/// whether or not it exists. So that a stranger cannot lock the owner out, an address from which the account
/// has signed in before has a count of its own.
#[derive(Debug)]
pub struct LoginLimiter {
    account: Limiter,
    known: Limiter,
    address: Limiter,
    /// Pairs of account and address that signed in, by the time they are forgotten.
    successes: Mutex<HashMap<[u8; 16], Timestamp>>,
    max_keys: usize,
}

/// How long an address stays known to an account after a sign-in.
const KNOWN_FOR: Duration = Duration::from_hours(24 * 30);

impl LoginLimiter {
    /// A limiter with these limits.
    pub fn new(limits: LoginLimits) -> Self {
        Self {
            account: Limiter::new(limits.account, limits.max_keys),
            known: Limiter::new(limits.account, limits.max_keys),
            address: Limiter::new(limits.address, limits.max_keys),
            successes: Mutex::default(),
            max_keys: limits.max_keys.max(1),
        }
    }

    /// Takes an attempt of `address` on the account called `login`.
    ///
    /// # Errors
    /// [`RetryAfter`] when either has none left. The answer is the same for accounts that do not exist.
    pub fn attempt(&self, login: &EmailAddress, address: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        let net = network(address);
        self.address.take(&net, now)?;
        let pair = pair(login, &net);
        if self.is_known(&pair, now) {
            self.known.take(&pair, now)
        } else {
            self.account.take(login.folded().as_bytes(), now)
        }
    }

    /// Notes that the attempt was a success: it does not count against the account, and the address is known
    /// to it from now on.
    pub fn succeeded(&self, login: &EmailAddress, address: IpAddr, now: Timestamp) {
        let pair = pair(login, &network(address));
        if self.is_known(&pair, now) {
            self.known.give_back(&pair, now);
        } else {
            self.account.give_back(login.folded().as_bytes(), now);
        }
        let mut successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        if successes.len() >= self.max_keys {
            make_room(&mut successes, now);
        }
        successes.insert(short(&pair), later(now, KNOWN_FOR));
    }

    fn is_known(&self, pair: &[u8], now: Timestamp) -> bool {
        let successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        successes.get(&short(pair)).is_some_and(|until| *until > now)
    }
}

/// What counts as one address: a customer's IPv6 line is a /64 at least, so single addresses of it mean
/// nothing.
pub fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().into_iter().take(8).collect(),
    }
}

fn pair(login: &EmailAddress, net: &[u8]) -> Vec<u8> {
    let mut pair = login.folded().into_bytes();
    pair.push(0);
    pair.extend_from_slice(net);
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn login(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    const RATE: Rate = Rate::new(3, Duration::from_secs(30));

    #[test]
    fn a_burst_is_let_through_and_then_one_an_interval() {
        let limiter = Limiter::new(RATE, 10);
        for left in [3, 2, 1] {
            assert_eq!(limiter.left(b"k", at(0)), left);
            limiter.take(b"k", at(0)).unwrap();
        }
        assert_eq!(limiter.left(b"k", at(0)), 0);
        for _ in 0..5 {
            assert_eq!(
                limiter.take(b"k", at(0)),
                Err(RetryAfter(Duration::from_secs(10)))
            );
        }
        limiter.take(b"other", at(0)).unwrap();
        assert_eq!(limiter.take(b"k", at(9)), Err(RetryAfter(Duration::from_secs(1))));
        limiter.take(b"k", at(10)).unwrap();
        assert!(limiter.take(b"k", at(10)).is_err());
        for _ in 0..3 {
            limiter.take(b"k", at(1000)).unwrap();
        }
        assert!(limiter.take(b"k", at(1000)).is_err());
    }

    #[test]
    fn a_standing_tells_what_is_left_and_when_there_is_more() {
        let limiter = Limiter::new(RATE, 10);
        let standing = |second| {
            let Standing { left, next } = limiter.standing(b"k", at(second));
            (left, next.map(|next| next.as_secs()))
        };
        assert_eq!(standing(0), (3, None));
        limiter.take(b"k", at(0)).unwrap();
        assert_eq!(standing(0), (2, Some(10)));
        limiter.take(b"k", at(4)).unwrap();
        assert_eq!(standing(4), (1, Some(6)));
        limiter.take(b"k", at(4)).unwrap();
        assert_eq!(standing(5), (0, Some(5)));
        let wait = limiter.take(b"k", at(5)).unwrap_err();
        assert_eq!(wait.seconds(), 5, "as a refusal says");
        assert_eq!(standing(10), (1, Some(10)));
        assert_eq!(standing(30), (3, None));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lock_out_for_ever_or_panic() {
        let limiter = Limiter::new(RATE, 10);
        limiter.take(b"k", at(100)).unwrap();
        let RetryAfter(wait) = limiter.take(b"k", at(0)).unwrap_err();
        assert!(wait <= Duration::from_secs(100));
        limiter.take(b"k", Timestamp::MAX).unwrap();
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        let seconds = |millis| RetryAfter(Duration::from_millis(millis)).seconds();
        assert_eq!(
            (seconds(0), seconds(1), seconds(1000), seconds(1001)),
            (1, 1, 1, 2)
        );
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_keys_does_not_free_who_overdoes_it() {
        let limiter = Limiter::new(RATE, 100);
        for _ in 0..3 {
            limiter.take(b"bad", at(0)).unwrap();
        }
        for n in 0..10_000_u32 {
            limiter.take(&n.to_le_bytes(), at(0)).unwrap();
            assert!(limiter.keys.lock().unwrap().len() <= 100);
        }
        assert!(limiter.take(b"bad", at(0)).is_err());
    }

    #[test]
    fn an_account_is_limited_over_all_addresses_and_regardless_of_case() {
        let limits = LoginLimits {
            account: RATE,
            address: Rate::new(100, Duration::from_mins(1)),
            max_keys: 100,
        };
        let limiter = LoginLimiter::new(limits);
        for n in 1..=3 {
            limiter
                .attempt(&login("Me@x.de"), ip(&format!("192.0.2.{n}")), at(0))
                .unwrap();
        }
        assert!(
            limiter
                .attempt(&login("mE@X.de"), ip("192.0.2.9"), at(0))
                .is_err()
        );
        limiter
            .attempt(&login("you@x.de"), ip("192.0.2.9"), at(0))
            .unwrap();
    }

    #[test]
    fn an_address_is_limited_over_all_accounts_and_an_ipv6_line_is_one_address() {
        let limits = LoginLimits {
            account: RATE,
            address: RATE,
            max_keys: 100,
        };
        let limiter = LoginLimiter::new(limits);
        for n in 1..=3 {
            let address = ip(&format!("2001:db8:1:2::{n}"));
            limiter
                .attempt(&login(&format!("{n}@x.de")), address, at(0))
                .unwrap();
        }
        assert!(
            limiter
                .attempt(&login("4@x.de"), ip("2001:db8:1:2:ffff::1"), at(0))
                .is_err()
        );
        limiter
            .attempt(&login("4@x.de"), ip("2001:db8:1:3::1"), at(0))
            .unwrap();
        limiter.attempt(&login("5@x.de"), ip("192.0.2.1"), at(0)).unwrap();
        limiter
            .attempt(&login("6@x.de"), ip("::ffff:192.0.2.1"), at(0))
            .unwrap();
        limiter.attempt(&login("7@x.de"), ip("192.0.2.1"), at(0)).unwrap();
        assert!(
            limiter
                .attempt(&login("8@x.de"), ip("::ffff:192.0.2.1"), at(0))
                .is_err()
        );
    }

    #[test]
    fn successes_do_not_count_against_the_account() {
        let limits = LoginLimits {
            account: RATE,
            address: Rate::new(100, Duration::from_mins(1)),
            max_keys: 100,
        };
        let limiter = LoginLimiter::new(limits);
        for _ in 0..20 {
            limiter
                .attempt(&login("me@x.de"), ip("192.0.2.1"), at(0))
                .unwrap();
            limiter.succeeded(&login("me@x.de"), ip("192.0.2.1"), at(0));
        }
    }

    #[test]
    fn a_stranger_cannot_lock_the_owner_out() {
        let limits = LoginLimits {
            account: RATE,
            address: Rate::new(100, Duration::from_mins(1)),
            max_keys: 100,
        };
        let limiter = LoginLimiter::new(limits);
        let (me, home) = (login("me@x.de"), ip("192.0.2.1"));
        limiter.attempt(&me, home, at(0)).unwrap();
        limiter.succeeded(&me, home, at(0));
        while limiter.attempt(&me, ip("198.51.100.1"), at(0)).is_ok() {}
        assert!(limiter.attempt(&me, ip("198.51.100.2"), at(0)).is_err());
        for _ in 0..3 {
            limiter.attempt(&me, home, at(0)).unwrap();
        }
        assert!(
            limiter.attempt(&me, home, at(0)).is_err(),
            "a known address is limited as well"
        );
    }
}
