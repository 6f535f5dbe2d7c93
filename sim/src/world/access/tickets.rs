//! Who somebody is: secrets of tokens, tickets of logins, second factors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::{Access, names};

/// How long a ticket lives, in seconds.
const TICKET_LIFETIME: i64 = 2 * 60 * 60;
/// How long one key signs tickets, in seconds; afterwards it is good for old ones as long again.
const KEY_LIFETIME: i64 = 24 * 60 * 60;
/// How far a ticket may lie in the future, in seconds.
const CLOCK_GRACE: i64 = 300;

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// A user who is logged in.
    Of(String),
    /// A login that lacks its second factor.
    Half,
}

/// Whether something that ends at a time (0 for never) has ended.
fn ended(expire: i64, now: i64) -> bool {
    expire != 0 && expire < now
}

impl Access {
    /// Whether a user is there, enabled, and not expired.
    pub(crate) fn active(&self, user: &str, now: i64) -> bool {
        let known = self.users.get(user);
        known.is_some_and(|user| user.enabled && !ended(user.expire, now))
    }

    /// Whether this header value names a valid token; gives its id.
    pub(crate) fn token(&self, value: &str, now: i64) -> Option<String> {
        let (id, secret) = value.rsplit_once('=')?;
        let token = self.tokens.get(id)?;
        let good = token.secret == secret
            && !token.revoked
            && !ended(token.expire, now)
            && self.active(names::split(id).0, now);
        good.then(|| id.to_owned())
    }

    /// The signature of a text.
    pub(crate) fn sign(&self, text: &str) -> String {
        STANDARD.encode(Sha1::digest(format!("{}:{text}", self.key)))
    }

    /// The number of the key in use at a time.
    fn period(&self, now: i64) -> i64 {
        now.div_euclid(KEY_LIFETIME) + self.rotations
    }

    fn sign_by(&self, period: i64, text: &str) -> String {
        self.sign(&format!("{period}:{text}"))
    }

    /// Whether the key in use, or the one before it, signed the text.
    fn signed(&self, signature: &str, text: &str, now: i64) -> bool {
        let period = self.period(now);
        [period, period - 1]
            .iter()
            .any(|period| self.sign_by(*period, text) == signature)
    }

    /// Whether something that was made at a time (in hexadecimal) is neither too old nor of the future.
    fn fresh(time: &str, now: i64) -> bool {
        let made = i64::from_str_radix(time, 16).ok();
        made.is_some_and(|made| (-CLOCK_GRACE..TICKET_LIFETIME).contains(&(now - made)))
    }

    /// A new ticket for a user.
    pub(crate) fn ticket(&self, user: &str, now: i64) -> String {
        let plain = format!("PVE:{user}:{now:08X}");
        let signature = self.sign_by(self.period(now), &plain);
        format!("{plain}::{signature}")
    }

    /// A ticket for a user who has yet to give the second factor.
    pub(crate) fn half_ticket(&self, user: &str, now: i64) -> String {
        let challenge = "%7B%22totp%22%3Atrue%2C%22recovery%22%3Anull%7D";
        let plain = format!("PVE:!tfa!{challenge}:{now:08X}");
        let signature = self.sign_by(self.period(now), &format!("{plain}:{user}"));
        format!("{plain}::{signature}")
    }

    /// Whether that is the ticket of this user's login that lacks the second factor.
    pub(crate) fn half_ticket_valid(&self, ticket: &str, user: &str, now: i64) -> bool {
        ticket.split_once("::").is_some_and(|(plain, signature)| {
            plain.starts_with("PVE:!tfa!")
                && self.signed(signature, &format!("{plain}:{user}"), now)
                && plain
                    .rsplit_once(':')
                    .is_some_and(|(_, time)| Self::fresh(time, now))
        })
    }

    /// What a ticket says, if it is good.
    pub(crate) fn read_ticket(&self, ticket: &str, now: i64) -> Option<Ticket> {
        let (plain, signature) = ticket.split_once("::")?;
        let (user, time) = plain.strip_prefix("PVE:")?.rsplit_once(':')?;
        if user.starts_with("!tfa!") {
            return Some(Ticket::Half);
        }
        let good = self.signed(signature, plain, now) && Self::fresh(time, now) && self.active(user, now);
        good.then(|| Ticket::Of(user.to_owned()))
    }

    /// The user of a valid ticket.
    pub(crate) fn ticket_user(&self, ticket: &str, now: i64) -> Option<String> {
        match self.read_ticket(ticket, now)? {
            Ticket::Of(user) => Some(user),
            Ticket::Half => None,
        }
    }

    /// Takes a second factor (`totp:123456`); each password is good once. Users without a second factor give none.
    pub(crate) fn second_factor(&mut self, user: &str, given: &str, now: i64) -> bool {
        let factor = self.users.get_mut(user).and_then(|user| user.second.as_mut());
        let (Some(factor), Some(code)) = (factor, given.strip_prefix("totp:")) else {
            return false;
        };
        let step = crate::world::totp::step_of(&factor.secret, code, now, factor.used);
        if step.is_some() {
            factor.used = step;
        }
        step.is_some()
    }

    /// The CSRF token that belongs to a user's tickets.
    pub(crate) fn csrf(&self, user: &str, now: i64) -> String {
        let time = format!("{now:08X}");
        let signature = self.sign_by(self.period(now), &format!("csrf:{time}:{user}"));
        format!("{time}:{signature}")
    }

    /// Whether a CSRF token is valid for a user.
    pub(crate) fn csrf_valid(&self, token: &str, user: &str, now: i64) -> bool {
        token.split_once(':').is_some_and(|(time, signature)| {
            self.signed(signature, &format!("csrf:{time}:{user}"), now) && Self::fresh(time, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Token, User};
    use super::*;
    use crate::options::Major;

    fn access() -> Access {
        let mut access = Access::new(Major::V9, "k".into());
        for user in ["root@pam", "a@pve"] {
            access.users.insert(user.into(), User::new(None));
        }
        access
    }

    #[test]
    fn a_ticket_ends_after_two_hours_and_cannot_be_altered() {
        let access = access();
        let ticket = access.ticket("a@pve", 1_000_000);
        assert_eq!(
            access.ticket_user(&ticket, 1_000_000 + 7199).as_deref(),
            Some("a@pve")
        );
        assert_eq!(access.ticket_user(&ticket, 1_000_000 + 7200), None);
        assert_eq!(
            access.ticket_user(&ticket.replace("a@pve", "root@pam"), 1_000_001),
            None
        );
    }

    #[test]
    fn a_ticket_outlives_one_new_key_but_not_two() {
        let mut access = access();
        let ticket = access.ticket("a@pve", 1_000_000);
        let csrf = access.csrf("a@pve", 1_000_000);
        access.rotations += 1;
        assert!(access.ticket_user(&ticket, 1_000_001).is_some());
        assert!(access.csrf_valid(&csrf, "a@pve", 1_000_001));
        access.rotations += 1;
        assert!(access.ticket_user(&ticket, 1_000_001).is_none());
        assert!(!access.csrf_valid(&csrf, "a@pve", 1_000_001));
    }

    #[test]
    fn half_a_login_is_bound_to_its_user_and_is_no_login() {
        let access = access();
        let half = access.half_ticket("a@pve", 1_000_000);
        assert_eq!(access.ticket_user(&half, 1_000_001), None);
        assert!(access.half_ticket_valid(&half, "a@pve", 1_000_001));
        assert!(!access.half_ticket_valid(&half, "root@pam", 1_000_001));
        assert!(!access.half_ticket_valid(&access.ticket("a@pve", 1_000_000), "a@pve", 1_000_001));
    }

    #[test]
    fn tickets_and_tokens_end_with_their_user_and_tokens_by_themselves_too() {
        let mut access = access();
        let token = Token {
            secret: "s".into(),
            separate: false,
            expire: 2_000_000,
            comment: None,
            revoked: false,
        };
        access.tokens.insert("a@pve!t".into(), token);
        let ticket = access.ticket("a@pve", 1_999_999);
        let good = |access: &Access, now| {
            let by_token = access.token("a@pve!t=s", now).is_some();
            (access.ticket_user(&ticket, now).is_some(), by_token)
        };
        assert_eq!(good(&access, 2_000_000), (true, true));
        assert_eq!(good(&access, 2_000_001), (true, false), "the token has ended");
        access.users.get_mut("a@pve").unwrap().expire = 1_999_999;
        assert_eq!(good(&access, 2_000_000), (false, false), "the user has ended");
        access.users.insert(
            "a@pve".into(),
            User {
                enabled: false,
                ..User::new(None)
            },
        );
        assert_eq!(good(&access, 2_000_000), (false, false), "the user is disabled");
    }
}
