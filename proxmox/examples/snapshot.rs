//! Finds a VM by its name, takes a snapshot of it and shows how that goes.
//!
//!     PVE_TOKEN='panel@pve!name=SECRET' \
//!         cargo run -p portico-proxmox --example snapshot -- https://pve1.example:8006 AB:CD:… web1
//!
//! The fingerprint is that of the node's certificate (`pvenode cert info`); the simulator prints its own.

use std::env;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use portico_proxmox::{
    ApiToken, Client, ClusterConfig, NewSnapshot, NoObserver, Reason, Secret, SnapshotName, TaskState,
    TaskWait, Trust, Upid,
};
use tokio::time::sleep;

/// How long the snapshot may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Between two looks at the log.
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |what: &str| arguments.next().ok_or(format!("{what} is missing"));
    let (endpoint, fingerprint) = (argument("the URL")?, argument("the fingerprint")?);
    let name = argument("the VM's name")?;
    let token = env::var("PVE_TOKEN").map_err(|_| "PVE_TOKEN is missing")?;
    let (id, secret) = token
        .rsplit_once('=')
        .ok_or("PVE_TOKEN is not USER@REALM!NAME=SECRET")?;

    // Exactly this certificate is trusted: no authority, no name, no other.
    let trust = Trust::Fingerprints(vec![fingerprint.parse()?]);
    let token = ApiToken::new(id, Secret::new(secret))?;
    let config = ClusterConfig::new("example", vec![endpoint.parse()?], token, trust);
    let client = Client::new(config, Arc::new(NoObserver))?;

    let vms = client.vm_resources().await?;
    let found = vms.iter().find(|vm| vm.name.as_deref() == Some(name.as_str()));
    let vm = client.vm(found.ok_or(format!("there is no VM `{name}`"))?.vmid);

    // The task's id only says that it began; it ends well or not, and that shows later.
    let task = vm
        .create_snapshot(&NewSnapshot {
            name: SnapshotName::new("before-update")?,
            description: Some("made by an example".to_owned()),
            with_memory: false,
        })
        .await?;
    match followed(&client, &task).await? {
        end if end.is_success() => writeln!(stdout(), "taken of VM {} on {}", vm.vmid(), task.node())?,
        TaskState::Failed { reason, text } => return Err(format!("{reason}: {text}").into()),
        end => return Err(format!("it did not end well: {end:?}").into()),
    }
    Ok(())
}

/// Waits for the end of a task and shows the lines of its log as they come.
async fn followed(client: &Client, task: &Upid) -> Result<TaskState, Box<dyn Error>> {
    let wait = TaskWait {
        limit: PATIENCE,
        ..TaskWait::default()
    };
    let mut end = pin!(client.task_end(task, &wait));
    let mut shown = 0;
    let end = loop {
        tokio::select! {
            end = &mut end => break end?,
            () = sleep(PAUSE) => show(client, task, &mut shown).await?,
        }
    };
    show(client, task, &mut shown).await?;
    if end == TaskState::Running {
        client.stop_task(task).await?;
        return Err(format!("`{task}` takes longer than {} s", PATIENCE.as_secs()).into());
    }
    Ok(end)
}

/// Shows all lines after those that were shown before.
async fn show(client: &Client, task: &Upid, shown: &mut u64) -> Result<(), Box<dyn Error>> {
    loop {
        let lines = match client.task_log(task, *shown, 500).await {
            // Right after its start a task may not be known yet.
            Err(error) if error.reason() == Some(&Reason::NoSuchTask) => return Ok(()),
            log => log?.lines,
        };
        if lines.is_empty() {
            return Ok(());
        }
        for line in &lines {
            writeln!(stdout(), "{:>4}  {}", line.n, line.t)?;
            *shown += 1;
        }
    }
}
