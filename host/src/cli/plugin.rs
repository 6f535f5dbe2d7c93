//! `portico plugin`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use portico_runtime::Inspection;

use super::access::Access;
use super::args::{InspectArgs, InstallArgs, ListArgs, RemoveArgs};
use super::table::{self, Table};
use super::user::origin;
use super::{CliError, Console, Exit, Ports};
use crate::admin::protocol::InstallPlugin;
use crate::admin::{AdminAnswer, AdminRequest, PluginHealth};
use crate::config::Config;
use crate::domain::http_origin;

pub(super) async fn inspect(
    args: &InspectArgs,
    config: &Config,
    ports: &Arc<dyn Ports>,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let found = look(&args.file, config, ports).await?;
    console.print(&text(&found))?;
    match &found.problem {
        None => Ok(Exit::Done),
        Some(problem) => Err(CliError {
            exit: Exit::Refused,
            ..CliError::failed(problem, "it cannot be installed as it is")
        }),
    }
}

async fn look(
    file: &std::path::Path,
    config: &Config,
    ports: &Arc<dyn Ports>,
) -> Result<Inspection, CliError> {
    let components = ports.components(config)?;
    let unreadable = |error: std::io::Error| {
        CliError::refused(format!("`{}` cannot be read: {error}", file.display()), "")
    };
    components.look(file).await.map_err(unreadable)
}

fn text(found: &Inspection) -> String {
    let mut text = String::new();
    if let Some(description) = &found.description {
        let _ = writeln!(text, "plugin:      {} {}", description.id, description.version);
        let _ = writeln!(text, "title:       {}", description.title);
    }
    let _ = writeln!(text, "digest:      {}", found.digest);
    let _ = writeln!(text, "size:        {} bytes", found.size);
    if let Some(resources) = &found.resources {
        let _ = writeln!(
            text,
            "needs:       {} memories with {} bytes, {} tables with {} elements",
            resources.memories,
            resources.initial_memory_bytes,
            resources.tables,
            resources.initial_table_elements
        );
    }
    let wasi = if found.wasi.is_empty() {
        "none".to_owned()
    } else {
        found.wasi.join(", ")
    };
    let _ = writeln!(text, "wasi:        {wasi}");
    if !found.unknown.is_empty() {
        let _ = writeln!(text, "unknown:     {}", found.unknown.join(", "));
    }
    if !found.templates.is_empty() {
        let _ = writeln!(text, "templates:   {}", found.templates.join(", "));
    }
    let mut table = Table::new(&["IMPORT", "SCOPES"]);
    for import in &found.imports {
        let scopes: Vec<_> = import
            .scopes
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        table.row([import.interface.clone(), scopes.join(", ")]);
    }
    let _ = write!(text, "\n{}", table.render());
    if let Some(description) = found
        .description
        .as_ref()
        .filter(|description| !description.permissions.is_empty())
    {
        let mut table = Table::new(&["PERMISSION", "TITLE", "SCOPES"]);
        for permission in &description.permissions {
            table.row([
                format!("{}:{}", description.id, permission.name),
                permission.title.clone(),
                permission.scopes.join(", "),
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    text
}

pub(super) async fn install(
    args: &InstallArgs,
    config: &Config,
    ports: &Arc<dyn Ports>,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let origins = args.http_origin.iter().map(|text| {
        http_origin(text).ok_or_else(|| {
            CliError::refused(
                format!("`{text}` is not an origin"),
                "write `https://HOST` or `https://HOST:PORT`",
            )
        })
    });
    let http_origins = origins.collect::<Result<Vec<_>, _>>()?;
    let found = look(&args.file, config, ports).await?;
    if let Some(problem) = &found.problem {
        let message = format!("`{}` cannot be installed", args.file.display());
        let cause = CliError::failed(problem, "");
        return Err(CliError::refused(
            format!("{message}: {}", cause.message),
            "run `portico plugin inspect` on it",
        ));
    }
    console.talk(text(&found).trim_end())?;
    let imported: BTreeSet<String> = found
        .imports
        .iter()
        .map(|import| import.interface.clone())
        .collect();
    let imports = if args.approve.is_empty() {
        imported
    } else {
        args.approve.iter().cloned().collect()
    };
    if !args.yes {
        console.confirm("Approve this component and its imports?")?;
    }
    let file = args.file.canonicalize()?;
    let digest = found.digest.to_string();
    let request = AdminRequest::InstallPlugin(InstallPlugin {
        file,
        digest,
        imports,
        http_origins,
    });
    done(&access.call(request).await?, "Installed.", console)
}

pub(super) async fn remove(
    args: &RemoveArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access
        .call(AdminRequest::RemovePlugin(args.plugin.clone()))
        .await?;
    done(&answer, "Removed. Its data is kept.", console)
}

fn done(answer: &AdminAnswer, text: &str, console: &mut Console<'_>) -> Result<Exit, CliError> {
    let AdminAnswer::Done { notes } = answer else {
        return Err(CliError::unexpected(answer));
    };
    console.talk(text)?;
    for note in notes {
        console.talk(&format!("note: {note}"))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn list(
    args: &ListArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::ListPlugins).await?;
    let AdminAnswer::Plugins(plugins) = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    let headings = ["ID", "VERSION", "STATE", "TITLE", "PRODUCTS", "FROM", "DIGEST"];
    table::list(console, args.json, plugins, headings, |plugin| {
        [
            plugin.id.to_string(),
            plugin.version.clone(),
            health(plugin.health.as_ref()),
            plugin.title.clone(),
            plugin.products.join(", "),
            origin(plugin.origin).to_owned(),
            plugin.digest.clone(),
        ]
    })
}

/// How a plugin is, in a word or with the reason.
fn health(health: Option<&PluginHealth>) -> String {
    match health {
        None => "-".to_owned(),
        Some(PluginHealth::Ready) => "ready".to_owned(),
        Some(PluginHealth::Paused) => "paused after failures".to_owned(),
        Some(PluginHealth::Trying) => "trying again".to_owned(),
        Some(PluginHealth::NotLoaded(reason)) => format!("not loaded: {reason}"),
    }
}
