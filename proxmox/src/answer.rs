//! What an HTTP answer means: data, or one of the error forms of PVE.
//!
//! The error text is looked for where the different versions put it: the `errors` map, then `message`
//! (since late 8.3), then the reason phrase of the status line (all versions).

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Target};
use crate::lenient;
use crate::reason::Reason;
use crate::secret::Secret;

/// The longest text of PVE that is kept, in characters.
const MAX_TEXT: usize = 4096;

/// The data of a successful call.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) data: T,
    /// How many entries there are in all, with the lists that are paged.
    #[serde(default, deserialize_with = "lenient::u64")]
    pub(crate) total: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Failure {
    #[serde(default)]
    message: Value,
    #[serde(default)]
    errors: Value,
}

/// Reads the data out of the body of an answer with a success status.
pub(crate) fn read<T: DeserializeOwned>(target: Box<Target>, body: &[u8]) -> Result<Answer<T>, Error> {
    serde_json::from_slice(body).map_err(|e| malformed(target, &e))
}

/// The error for an answer whose types or syntax are wrong. Quoted content is left out of the message.
pub(crate) fn malformed(target: Box<Target>, problem: &impl ToString) -> Error {
    Error::Malformed {
        target,
        problem: lenient::without_content(&problem.to_string()),
    }
}

/// The error that an answer with a status of 300 or above stands for.
pub(crate) fn refusal<'s>(
    target: Box<Target>,
    status: StatusCode,
    reason_phrase: &str,
    body: &[u8],
    secrets: impl Iterator<Item = &'s Secret> + Clone,
) -> Error {
    let failure: Failure = serde_json::from_slice(body).unwrap_or_default();
    let errors: BTreeMap<String, String> = match &failure.errors {
        Value::Object(map) => map
            .iter()
            .take(100)
            .map(|(name, text)| {
                let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
                (clean(name, secrets.clone()), clean(&text, secrets.clone()))
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    let text = match failure.message.as_str().map(|text| clean(text, secrets.clone())) {
        Some(text) if !text.is_empty() => text,
        _ => clean(reason_phrase, secrets),
    };
    let text = if text.is_empty() { status.to_string() } else { text };
    match status.as_u16() {
        401 => Error::Unauthorized { target, text },
        403 => {
            let (path, privileges) = permission(&text);
            Error::PermissionDenied {
                target,
                path,
                privileges,
                text,
            }
        }
        code @ (502..=504 | 595..=599) => Error::NodeUnreachable { target, code, text },
        // An unknown task is reported as a wrong parameter.
        400 if errors
            .get("upid")
            .is_some_and(|text| text.contains("no such task")) =>
        {
            Error::Refused {
                target,
                reason: Reason::NoSuchTask,
                status: 400,
                text,
            }
        }
        400 if !errors.is_empty() => Error::Parameters { target, errors, text },
        code => Error::Refused {
            reason: Reason::classify_about(target.vmid, &text),
            target,
            status: code,
            text,
        },
    }
}

/// Path and privileges out of `Permission check failed (/vms/100, VM.PowerMgmt|VM.Console)`.
fn permission(text: &str) -> (Option<String>, Vec<String>) {
    let inside = text
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| inside);
    match inside.and_then(|inside| inside.split_once(", ")) {
        Some((path, privileges)) if path.starts_with('/') => {
            let privileges = privileges
                .split(['|', ','])
                .map(|p| p.trim().to_owned())
                .collect();
            (Some(path.to_owned()), privileges)
        }
        _ => (None, Vec::new()),
    }
}

/// Text of the other side, fit to be kept: without secrets and control characters, not too long.
pub(crate) fn clean<'s>(text: &str, secrets: impl Iterator<Item = &'s Secret>) -> String {
    let mut text = text.to_owned();
    for secret in secrets.map(Secret::expose).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[secret]");
    }
    let kept: String = text
        .chars()
        .filter(|&c| c == '\n' || !c.is_control())
        .take(MAX_TEXT)
        .collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Lock;

    fn target() -> Box<Target> {
        Box::new(Target {
            cluster: "prod".to_owned(),
            call: "GET /version".to_owned(),
            node: None,
            vmid: None,
            upid: None,
            snapshot: None,
            storage: None,
            volume: None,
        })
    }

    fn error(status: u16, phrase: &str, body: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        refusal(target(), status, phrase, body.as_bytes(), std::iter::empty())
    }

    #[test]
    fn the_message_in_the_body_goes_before_the_reason_phrase() {
        let body = r#"{"data":null,"message":"first line\nsecond line\n"}"#;
        assert_eq!(
            error(500, "first line", body).provider_text(),
            Some("first line\nsecond line")
        );
    }

    #[test]
    fn without_a_message_the_reason_phrase_is_the_text() {
        for body in [r#"{"data":null}"#, "", "<html>", r#"{"message":7}"#] {
            let error = error(500, "VM is locked (backup)", body);
            assert_eq!(error.reason(), Some(&Reason::Locked(Lock::Backup)), "{body}");
            assert_eq!(error.provider_text(), Some("VM is locked (backup)"));
        }
    }

    #[test]
    fn parameter_errors_keep_their_names_and_lose_trailing_newlines() {
        let body = r#"{"data":null,"errors":{"snapname":"invalid format - invalid configuration ID 'a'\n"},
            "message":"Parameter verification failed.\n"}"#;
        let Error::Parameters { errors, text, .. } = error(400, "Parameter verification failed.", body)
        else {
            panic!("wrong kind");
        };
        assert_eq!(
            errors.get("snapname").unwrap(),
            "invalid format - invalid configuration ID 'a'"
        );
        assert_eq!(text, "Parameter verification failed.");
    }

    #[test]
    fn a_400_without_errors_is_still_an_error_with_its_text() {
        let error = error(400, "bad", "");
        assert!(matches!(&error, Error::Refused { status: 400, .. }), "{error}");
    }

    #[test]
    fn an_unknown_task_is_its_own_reason() {
        let body =
            r#"{"data":null,"errors":{"upid":"no such task"},"message":"Parameter verification failed.\n"}"#;
        assert_eq!(error(400, "", body).reason(), Some(&Reason::NoSuchTask));
    }

    #[test]
    fn authentication_failures_have_an_empty_body_and_are_told_from_missing_rights() {
        for phrase in ["No ticket", "Authentication failed!"] {
            let error = error(401, phrase, "");
            assert!(
                matches!(&error, Error::Unauthorized { text, .. } if text == phrase),
                "{error}"
            );
        }
    }

    #[test]
    fn a_denial_names_path_and_privileges_where_pve_does() {
        let denied = |text: &str| match error(403, text, "") {
            Error::PermissionDenied { path, privileges, .. } => (path, privileges),
            other => panic!("{other}"),
        };
        let (path, privileges) =
            denied("Permission check failed (/vms/100, VM.Snapshot|VM.Snapshot.Rollback)");
        assert_eq!(path.as_deref(), Some("/vms/100"));
        assert_eq!(privileges, ["VM.Snapshot", "VM.Snapshot.Rollback"]);
        assert_eq!(denied("Permission check failed").0, None);
        assert_eq!(denied("Permission check failed (user != root@pam)").0, None);
    }

    #[test]
    fn every_pseudo_status_of_the_proxy_is_an_unreachable_node() {
        for (code, phrase) in [
            (595, "No route to host"),
            (596, "Connection timed out"),
            (597, ""),
            (599, "x"),
        ] {
            assert!(matches!(error(code, phrase, ""), Error::NodeUnreachable { code: c, .. } if c == code));
        }
    }

    #[test]
    fn secrets_that_pve_quotes_are_cut_out() {
        let secret = Secret::new("hunter2");
        let body = r#"{"errors":{"cipassword":"got 'hunter2'"},"message":"hunter2 is too short"}"#;
        let secrets = [secret];
        let error = refusal(
            target(),
            StatusCode::BAD_REQUEST,
            "hunter2",
            body.as_bytes(),
            secrets.iter(),
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn hostile_texts_are_cut_and_lose_control_characters() {
        let long = format!("\u{1b}[31m{}", "x".repeat(100_000));
        let error = error(500, &long, "");
        let text = error.provider_text().unwrap();
        assert!(text.len() <= MAX_TEXT && !text.contains('\u{1b}'));
    }

    #[test]
    fn a_success_with_nonsense_is_malformed_and_does_not_quote_it() {
        for body in ["", "[]", "<html>", r#"{"data":"hunter2"}"#, r#"{"total":1}"#] {
            let error = read::<Vec<u8>>(target(), body.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{body}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
