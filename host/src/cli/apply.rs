//! `portico apply`.

use std::collections::BTreeMap;

use super::access::Access;
use super::args::ApplyArgs;
use super::{CliError, Console, Exit};
use crate::admin::protocol::{ApplyRequest, Password};
use crate::admin::{AdminAnswer, AdminRequest};
use crate::domain::{ProcessSecrets, SecretSource};
use crate::provider::{Change, ProviderFile, parse};

pub(super) async fn run(
    args: &ApplyArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let name = args.file.display().to_string();
    let unreadable =
        |error: std::io::Error| CliError::refused(format!("`{name}` cannot be read: {error}"), "");
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    let path = args.file.canonicalize().map_err(unreadable)?;
    let folder = path.parent().unwrap_or(&path).to_owned();
    let file = parse(&text, &name, &folder).map_err(|error| CliError::refused(error.to_string(), ""))?;
    let passwords = first_passwords(&file);
    let request = |agreed: Option<String>| {
        AdminRequest::Apply(ApplyRequest {
            text: text.clone(),
            name: name.clone(),
            folder: folder.clone(),
            allow_remove_services: args.allow_remove_services,
            passwords: passwords.clone(),
            agreed,
        })
    };

    let answer = access.call(request(None)).await?;
    let AdminAnswer::Plan {
        changes,
        unchanged,
        fingerprint,
        ..
    } = &answer
    else {
        return Err(CliError::unexpected(&answer));
    };
    if args.json {
        console.print_json(&answer)?;
    } else {
        console.print(&plan_text(changes, *unchanged))?;
    }
    if changes.is_empty() {
        console.talk("Nothing to do.")?;
        return Ok(Exit::Done);
    }
    if args.dry_run {
        console.talk("Nothing was changed (`--dry-run`).")?;
        return Ok(Exit::Done);
    }
    let count = changes.len();
    let noun = if count == 1 { "change" } else { "changes" };
    if !args.yes {
        console.confirm(&format!("Apply {count} {noun}?"))?;
    }
    let answer = access.call(request(Some(fingerprint.clone()))).await?;
    let AdminAnswer::Plan {
        applied: true, notes, ..
    } = &answer
    else {
        return Err(CliError::unexpected(&answer));
    };
    console.talk(&format!("Applied {count} {noun}."))?;
    for note in notes {
        console.talk(&format!("note: {note}"))?;
    }
    Ok(Exit::Done)
}

fn plan_text(changes: &[Change], unchanged: usize) -> String {
    let mut text = String::new();
    for change in changes {
        text.push_str(&change.to_string());
        text.push('\n');
    }
    text + &format!("= {unchanged} unchanged\n")
}

/// The first passwords this command can read. Those it cannot, the panel tries itself when it needs them.
fn first_passwords(file: &ProviderFile) -> BTreeMap<String, Password> {
    let places = file
        .customers
        .iter()
        .filter_map(|entry| entry.value.password.as_ref());
    places
        .filter_map(|place| {
            let secret = ProcessSecrets.read(place).ok()?;
            Some((place.to_string(), Password::new(secret.expose())))
        })
        .collect()
}
