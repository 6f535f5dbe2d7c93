//! A message that the next page shows once, carried by a cookie of a minute.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::site::{Site, cookie};
use crate::view::page::{Flash, Tone};

const NAME: &str = "portico_flash";
/// Bytes of a message that are carried.
const LONGEST: usize = 600;

#[derive(Serialize, Deserialize)]
struct Carried {
    tone: String,
    text: String,
}

/// The `Set-Cookie` value that carries a message.
pub(super) fn carry(site: &Site, tone: Tone, text: &str) -> String {
    let text = text
        .get(..text.floor_char_boundary(LONGEST))
        .unwrap_or_default()
        .to_owned();
    let tone = match tone {
        Tone::Success => "success",
        Tone::Warning => "warning",
        Tone::Danger => "danger",
        _ => "info",
    };
    let json = serde_json::to_vec(&Carried {
        tone: tone.to_owned(),
        text,
    })
    .unwrap_or_default();
    format!(
        "{}={}; Max-Age=60{}",
        site.cookie(NAME),
        URL_SAFE_NO_PAD.encode(json),
        site.cookie_attributes()
    )
}

/// The message that was carried here, if any.
pub(super) fn take(site: &Site, headers: &HeaderMap) -> Option<Flash> {
    let value = cookie(headers, &site.cookie(NAME))?;
    let carried: Carried = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
    let tone = match carried.tone.as_str() {
        "success" => Tone::Success,
        "warning" => Tone::Warning,
        "danger" => Tone::Danger,
        _ => Tone::Info,
    };
    (carried.text.len() <= LONGEST).then_some(Flash {
        tone,
        text: carried.text,
    })
}

/// The `Set-Cookie` value that takes the message away.
pub(super) fn clear(site: &Site) -> String {
    format!("{}=; Max-Age=0{}", site.cookie(NAME), site.cookie_attributes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_and_nonsense_does_not() {
        let site = Site::new(&"http://localhost:1".parse().unwrap(), Vec::new());
        let carried = carry(&site, Tone::Success, "Grün; \"yes\"");
        let mut headers = HeaderMap::new();
        headers.insert("cookie", carried.split(';').next().unwrap().parse().unwrap());
        let flash = take(&site, &headers).unwrap();
        assert_eq!(
            (flash.tone, flash.text.as_str()),
            (Tone::Success, "Grün; \"yes\"")
        );
        headers.insert("cookie", "portico_flash=e30".parse().unwrap());
        assert!(take(&site, &headers).is_none());
    }
}
