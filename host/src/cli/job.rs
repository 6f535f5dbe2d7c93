//! `portico job`.

use super::access::Access;
use super::args::{JobArgs, ListArgs};
use super::table;
use super::{CliError, Console, Exit};
use crate::admin::{AdminAnswer, AdminRequest};

pub(super) async fn list(
    args: &ListArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::ListFailedJobs).await?;
    let AdminAnswer::FailedJobs(jobs) = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    let headings = ["ENDED", "VM", "CUSTOMER", "PLUGIN", "JOB", "REASON", "ID"];
    table::list(console, args.json, jobs, headings, |job| {
        [
            job.ended
                .map(|ended| ended.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
                .unwrap_or_default(),
            job.machine.clone().unwrap_or_else(|| "removed".to_owned()),
            job.customer.clone(),
            job.plugin.to_string(),
            job.title.clone(),
            job.detail.clone().unwrap_or_else(|| job.reason.clone()),
            job.id.to_string(),
        ]
    })
}

pub(super) async fn retry(
    args: &JobArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::RetryJob(args.job.clone())).await?;
    let AdminAnswer::Started(job) = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    let when = match access {
        Access::Live(_) => "now",
        Access::Direct(_) => "when the panel runs",
    };
    console.talk(&format!("It runs again {when}, as job {job}."))?;
    Ok(Exit::Done)
}

pub(super) async fn dismiss(
    args: &JobArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let answer = access.call(AdminRequest::DismissJob(args.job.clone())).await?;
    let AdminAnswer::Done { .. } = &answer else {
        return Err(CliError::unexpected(&answer));
    };
    console.talk("Dismissed.")?;
    Ok(Exit::Done)
}
