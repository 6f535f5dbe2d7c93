//! `portico check`.

use std::fmt::Write as _;

use super::access::Access;
use super::args::CheckArgs;
use super::table::Table;
use super::{CliError, Console, Exit};
use crate::admin::protocol::{CheckReport, FeatureReport, MissingPrivilege};
use crate::admin::{AdminAnswer, AdminRequest};

pub(super) async fn run(
    args: &CheckArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::Check(args.cluster.clone())).await?;
    let AdminAnswer::Checks(reports) = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    if args.json {
        console.print_json(reports)?;
    } else {
        let text: Vec<_> = reports.iter().map(text).collect();
        console.print(&text.join("\n"))?;
    }
    if reports.iter().all(CheckReport::is_good) {
        Ok(Exit::Done)
    } else {
        Ok(Exit::Lacking)
    }
}

fn text(report: &CheckReport) -> String {
    let mut text = match &report.version {
        Some(version) => format!(
            "cluster `{}`: Proxmox VE {version}, privileges checked for {} services\n",
            report.cluster, report.services
        ),
        None => format!("cluster `{}`: not reached\n", report.cluster),
    };
    for problem in &report.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    if report.features.is_empty() {
        return text;
    }
    let mut table = Table::new(&["FEATURE", "PLUGIN", "STATUS"]);
    for feature in &report.features {
        let in_use = if feature.in_use { "approved" } else { "no" };
        let mut lines = status(feature).into_iter();
        table.row([
            feature.feature.clone(),
            in_use.to_owned(),
            lines.next().unwrap_or_default(),
        ]);
        for line in lines {
            table.row([" ".to_owned(), " ".to_owned(), line]);
        }
    }
    text.push_str(&table.render());
    text
}

fn status(feature: &FeatureReport) -> Vec<String> {
    if feature.missing.is_empty() {
        return vec!["ok".to_owned()];
    }
    feature.missing.iter().map(lacks).collect()
}

fn lacks(missing: &MissingPrivilege) -> String {
    let MissingPrivilege {
        privilege,
        places,
        count,
        purpose,
    } = missing;
    let more = count.saturating_sub(places.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("lacks {privilege} on {}{more}, to {purpose}", places.join(", "))
}
