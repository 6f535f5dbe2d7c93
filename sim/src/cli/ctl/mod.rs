//! `pve-sim ctl`: commands for people, as calls of the control API.
//!
//! This file has the commands with their arguments. [`calls`] turns a command into the calls that it stands for,
//! [`print`] turns the last answer into text. A new command is a variant here, an arm in `calls`, and an arm in
//! `print` if its answer is not to be shown as JSON.

mod calls;
mod print;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::client;
use calls::Request;

/// Drives a running simulator.
///
/// The simulator must have been started with --control. Faults stay until they are used up or cleared; changes
/// from outside stay until they are taken back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pve-sim ctl latency 500 --path '/nodes/{node}/qemu/{vmid}/status/current'
  pve-sim ctl cut after --method POST --vmid 100
  pve-sim ctl fail-task qmsnapshot --at 80 --text 'no space left on device'
  pve-sim ctl lock 100 backup
  pve-sim ctl slow-storage local-lvm 10
  pve-sim ctl new-certificate
  pve-sim ctl clear
  pve-sim ctl requests")]
pub(crate) struct Ctl {
    /// Where the simulator's control API listens
    #[arg(
        // Not `control`: that is an option of the simulator's start, of another type.
        id = "server",
        long = "control",
        env = "PVE_SIM_CONTROL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8007",
        global = true
    )]
    server: String,
    #[command(subcommand)]
    command: Command,
}

/// Which requests a fault hits.
#[derive(Debug, Args)]
struct Which {
    /// Only this method
    #[arg(long)]
    method: Option<String>,
    /// Only this path, as a template such as '/nodes/{node}/qemu/{vmid}/config'
    #[arg(long)]
    path: Option<String>,
}

/// Which tasks a fault hits.
#[derive(Debug, Args)]
struct Tasks {
    /// Their type, such as qmstart, qmsnapshot, vzdump
    task: String,
    /// Only those of this VM
    #[arg(long)]
    vmid: Option<u32>,
    /// How many are hit
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// At which percent of their work, instead of halfway; holds for this and later faults of the type
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    at: Option<u8>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Moment {
    /// Nothing happens in the cluster
    Before,
    /// It happened, but the client does not learn of it
    After,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Switch {
    fn on(self) -> bool {
        matches!(self, Self::On)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Agent {
    Running,
    Absent,
    Slow,
    Refusing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ha {
    Started,
    Stopped,
    Off,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fault: requests wait before they are looked at
    Latency {
        /// Milliseconds of real time
        milliseconds: u64,
        /// Only this path template
        #[arg(long)]
        path: Option<String>,
    },
    /// Fault: connections are cut without an answer
    Cut {
        /// Before or after the effect
        moment: Moment,
        #[command(flatten)]
        which: Which,
        /// Only requests for this VM
        #[arg(long)]
        vmid: Option<u32>,
        /// How many are hit
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
    /// Fault: requests are answered with a status such as 595, 596 or 599
    Status {
        /// The status
        status: u16,
        /// Before or after the effect
        #[arg(default_value = "before")]
        moment: Moment,
        #[command(flatten)]
        which: Which,
        /// Only requests for this node
        #[arg(long)]
        node: Option<String>,
        /// The reason phrase
        #[arg(long)]
        reason: Option<String>,
        /// How many are hit; all until cleared if left out
        #[arg(long)]
        times: Option<u32>,
    },
    /// Fault: tasks fail on the way, cleaning up as PVE does
    FailTask {
        #[command(flatten)]
        tasks: Tasks,
        /// Their exit status
        #[arg(long, default_value = "injected failure")]
        text: String,
    },
    /// Fault: tasks hang on the way until they are stopped or released
    StickTask {
        #[command(flatten)]
        tasks: Tasks,
    },
    /// Fault: tasks are killed on the way and leave their locks behind
    KillTask {
        #[command(flatten)]
        tasks: Tasks,
    },
    /// Fault: tasks hang on the way and must be killed to stop, which leaves their locks behind
    DeafTask {
        #[command(flatten)]
        tasks: Tasks,
    },
    /// Fault: tasks warn on the way and end with WARNINGS
    WarnTask {
        #[command(flatten)]
        tasks: Tasks,
        /// The warning
        #[arg(long, default_value = "injected warning")]
        text: String,
    },
    /// Fault: work on a storage takes many times as long
    SlowStorage {
        /// The storage
        storage: String,
        /// How many times as long
        factor: u32,
    },
    /// Fault: a storage has no free space
    FullStorage {
        /// The storage
        storage: String,
    },
    /// Fault: a storage cannot be reached
    OfflineStorage {
        /// The storage
        storage: String,
    },
    /// Fault: a cluster-wide lock is not to be had
    HoldCfsLock {
        /// The lock, such as firewall-vm-100 or storage-local
        lock: String,
        /// What its callers are told instead of PVE's `got lock request timeout`
        #[arg(long)]
        text: Option<String>,
        /// How many callers are hit; all until cleared if left out
        #[arg(long)]
        times: Option<u32>,
    },
    /// Shows the faults in force
    Faults,
    /// Removes all faults
    Clear,
    /// Lets stuck tasks go on
    Release,
    /// Sets a VM's lock, as a job would: backup, snapshot, migrate, …
    Lock {
        /// The VM
        vmid: u32,
        /// The lock
        lock: String,
    },
    /// Clears a VM's lock, as `qm unlock` does
    Unlock {
        /// The VM
        vmid: u32,
    },
    /// Holds a VM's configuration file, so that writers get `can't lock file … got timeout`
    HoldFlock {
        /// The VM
        vmid: u32,
        /// Hold or release
        #[arg(default_value = "on")]
        switch: Switch,
    },
    /// Takes a node off the network, or brings it back
    Node {
        /// The node
        node: String,
        /// On or off the network
        switch: Switch,
        /// Show its VMs with their last figures for five minutes, as PVE does, not as unknown at once
        #[arg(long)]
        stale: bool,
    },
    /// Gives the cluster its quorum, or takes it away: nothing can be written without
    Quorum {
        /// There or not
        switch: Switch,
    },
    /// What QEMU says of a VM that runs, such as io-error; what is true if left out
    QmpStatus {
        /// The VM
        vmid: u32,
        /// internal-error, io-error, suspended, shutdown, guest-panicked, …
        status: Option<String>,
    },
    /// Drops every connection to the API, or takes them again
    Api {
        /// Up or down
        switch: Switch,
    },
    /// Revokes an API token
    RevokeToken {
        /// Its id, such as portico@pve!panel
        token: String,
    },
    /// Restores a revoked token with its secret
    RestoreToken {
        /// Its id
        token: String,
    },
    /// Serves a new self-signed certificate
    NewCertificate,
    /// Shows the fingerprint and the certificate that is served
    Certificate,
    /// Replaces the key that signs tickets, as PVE does every day
    RotateKeys,
    /// Lets the cluster's clock be ahead of the true time, or behind it
    ClockSkew {
        /// Seconds ahead; negative for behind
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// Starts or stops a VM at once and without a task, as from inside
    Running {
        /// The VM
        vmid: u32,
        /// Runs or not
        switch: Switch,
    },
    /// Whether a guest ignores the power button
    IgnoreAcpi {
        /// The VM
        vmid: u32,
        /// Ignores it or not
        switch: Switch,
    },
    /// What the agent inside a guest does
    Agent {
        /// The VM
        vmid: u32,
        /// Its behaviour
        agent: Agent,
    },
    /// Destroys a VM
    RemoveVm {
        /// The VM
        vmid: u32,
    },
    /// Moves a VM's configuration to another node at once
    MoveVm {
        /// The VM
        vmid: u32,
        /// Where to
        node: String,
    },
    /// Migrates a VM in a task, as an administrator does
    MigrateVm {
        /// The VM
        vmid: u32,
        /// Where to
        node: String,
    },
    /// Puts a VM under high availability, or takes it out
    Ha {
        /// The VM
        vmid: u32,
        /// The state it shall be in, or off for none of it
        #[arg(value_enum)]
        wanted: Ha,
    },
    /// Fault: a running VM does not take a change of a device
    FailHotplug {
        /// The VM
        vmid: u32,
        /// The key, such as net0
        key: String,
        /// What QEMU says
        #[arg(long, default_value = "device busy")]
        text: String,
    },
    /// Counts requests by endpoint
    Requests,
    /// Shows the last requests
    Log {
        /// How many
        #[arg(long, default_value_t = 20)]
        last: usize,
    },
    /// Counts what really happened in the cluster
    Effects,
    /// Sets all counters to zero and empties the log
    Reset,
    /// Shows all VMs, or one, as they are inside
    Vms {
        /// Only this VM, with its configuration
        vmid: Option<u32>,
    },
    /// Shows the text on the screen of a VM that runs
    Console {
        /// The VM
        vmid: u32,
    },
    /// Shows all tasks
    Tasks,
    /// Makes any call of the control API and prints the JSON of the answer
    Raw {
        /// GET, POST or DELETE
        method: String,
        /// Such as /faults
        path: String,
        /// JSON to send
        #[arg(value_parser = json_text)]
        body: Option<Value>,
    },
}

fn json_text(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}

impl Ctl {
    /// Makes the call and gives what is to be printed.
    pub(crate) async fn run(self) -> anyhow::Result<String> {
        let mut answer = Value::Null;
        for request in self.command.requests() {
            let Request { method, path, body } = request;
            answer = client::call(&self.server, &method, &path, body.as_ref()).await?;
        }
        Ok(self.command.shown(&answer))
    }
}
