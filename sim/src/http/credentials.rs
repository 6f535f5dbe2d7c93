//! Who a request says it comes from: a ticket or an API token, in the headers where PVE looks for them.

/// What a request shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A ticket of a login.
    Ticket(String),
    /// An API token: `USER@REALM!NAME=SECRET`.
    Token(String),
}

impl Credentials {
    /// A ticket wins over a token, and a cookie over the header `Authorization`, where clients may put either.
    pub(super) fn of(cookie: Option<&str>, authorization: Option<&str>) -> Option<Self> {
        let ticket = [cookie, authorization]
            .into_iter()
            .flatten()
            .find_map(|header| value(header, "PVEAuthCookie"));
        let token = || authorization.and_then(|header| value(header, "PVEAPIToken"));
        ticket.map(Self::Ticket).or_else(|| token().map(Self::Token))
    }
}

/// What stands behind `KEY=` or `KEY `, up to a semicolon and decoded; nothing counts as none.
fn value(header: &str, key: &str) -> Option<String> {
    let found = header.match_indices(key).find_map(|(place, _)| {
        let (before, from) = header.split_at_checked(place)?;
        let starts = before.is_empty() || before.ends_with(char::is_whitespace);
        let rest = from.strip_prefix(key)?.strip_prefix(['=', ' '])?;
        starts.then_some(rest)
    })?;
    let text = found.split(';').next().unwrap_or_default();
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(text: &str) -> Credentials {
        Credentials::Ticket(text.to_owned())
    }

    #[test]
    fn a_ticket_is_found_in_both_headers_and_decoded() {
        let cookie = "lang=en; PVEAuthCookie=PVE%3Aa%40pve; x=1";
        assert_eq!(Credentials::of(Some(cookie), None), Some(ticket("PVE:a@pve")));
        for header in [
            "PVEAuthCookie=PVE:a@pve:1::x+/=",
            "PVEAuthCookie PVE:a@pve:1::x+/=",
        ] {
            assert_eq!(
                Credentials::of(None, Some(header)),
                Some(ticket("PVE:a@pve:1::x+/="))
            );
        }
    }

    #[test]
    fn a_ticket_wins_over_a_token_unless_it_is_empty() {
        let token = "PVEAPIToken=a@pve!b=c";
        assert_eq!(
            Credentials::of(Some("PVEAuthCookie=x"), Some(token)),
            Some(ticket("x"))
        );
        let by_token = Some(Credentials::Token("a@pve!b=c".to_owned()));
        assert_eq!(Credentials::of(Some("PVEAuthCookie="), Some(token)), by_token);
        assert_eq!(Credentials::of(None, Some("Basic YQ==")), None);
        assert_eq!(Credentials::of(Some("NotPVEAuthCookie=x"), None), None);
    }
}
