//! Choice of a content coding by `Accept-Encoding` (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, header};

/// The codings that assets are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// As it is.
    Identity,
}

/// The smallest coding that is there and accepted. A weight only says whether a coding is refused (`q=0`): all of ours
/// cost the client about the same, so the order the client prefers is not worth a larger answer.
pub(super) fn best(request: &HeaderMap, brotli: bool, gzip: bool) -> Encoding {
    if brotli && accepts(request, "br") {
        Encoding::Brotli
    } else if gzip && accepts(request, "gzip") {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

fn accepts(request: &HeaderMap, coding: &str) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
            let refused = parts
                .filter_map(|parameter| parameter.strip_prefix("q="))
                .any(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
            named && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn chosen(accept: &'static str) -> Encoding {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
        best(&headers, true, true)
    }

    #[test]
    fn the_smallest_accepted_coding_is_chosen() {
        assert_eq!(chosen("gzip, deflate, br, zstd"), Encoding::Brotli);
        assert_eq!(chosen("gzip;q=1.0, br;q=0"), Encoding::Gzip);
        assert_eq!(chosen("GZIP"), Encoding::Gzip);
        assert_eq!(chosen("gzip;q=0.000"), Encoding::Identity);
        assert_eq!(chosen("brotli, *;q=0"), Encoding::Identity);
        assert_eq!(chosen(""), Encoding::Identity);
    }
}
