//! The changes that the control API makes, and why it does not.

use serde::Deserialize;

use crate::world::ha::Wanted;
use crate::world::qmp::QmpStatus;
use crate::world::vm::GuestAgent;

/// A change of the cluster's state from outside, as an administrator or fate would make it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Sets or clears a VM's persistent lock (`backup`, `snapshot`…), as a job or `qm unlock` would.
    SetLock {
        /// The VM.
        vmid: u32,
        /// The lock; none clears it.
        #[serde(default)]
        lock: Option<String>,
    },
    /// Holds or releases a VM's configuration file lock: writers get `can't lock file … got timeout`.
    HoldFlock {
        /// The VM.
        vmid: u32,
        /// Hold or release.
        held: bool,
    },
    /// Takes a node off the network, or brings it back. Its VMs run on; requests for it get 595.
    SetNodeOnline {
        /// The node.
        node: String,
        /// On or off.
        online: bool,
        /// Whether the resources list shows the VMs with their last figures for five minutes (scaled), as in PVE, or
        /// as `unknown` at once.
        #[serde(default)]
        stale: bool,
    },
    /// Takes the quorum away, so that the cluster's file system can only be read, or gives it back. Nodes that go
    /// offline do not change it.
    SetQuorum {
        /// Whether there is one.
        quorate: bool,
    },
    /// What QEMU says of itself (`qmpstatus`), until it ends or its processors are halted or resumed. Only shown: the
    /// guest goes on as before.
    SetQmpStatus {
        /// The VM, which must run.
        vmid: u32,
        /// The state; none for what the VM really does.
        #[serde(default)]
        status: Option<QmpStatus>,
    },
    /// Revokes an API token (`user@realm!name`), or restores it with its secret.
    SetTokenRevoked {
        /// The token's full id.
        token: String,
        /// Revoke or restore.
        revoked: bool,
    },
    /// Drops every connection at once, new ones too, until switched back.
    SetApiDown {
        /// Down or up.
        down: bool,
    },
    /// Whether a guest ignores the power button.
    SetIgnoresAcpi {
        /// The VM.
        vmid: u32,
        /// Ignore it.
        ignores: bool,
    },
    /// What the agent inside a guest does.
    SetGuestAgent {
        /// The VM.
        vmid: u32,
        /// Its new behaviour.
        agent: GuestAgent,
    },
    /// Stops or starts a VM from inside or by an administrator: at once and without a task.
    SetRunning {
        /// The VM.
        vmid: u32,
        /// Run or not.
        running: bool,
    },
    /// Destroys a VM with its configuration and disks.
    RemoveVm {
        /// The VM.
        vmid: u32,
    },
    /// Moves a VM's configuration to another node, as the end of a migration does.
    MoveVm {
        /// The VM.
        vmid: u32,
        /// Where to.
        node: String,
    },
    /// Migrates a VM as an administrator does: a task `qmigrate` with the lock `migrate`, then the configuration
    /// is on the other node.
    MigrateVm {
        /// The VM.
        vmid: u32,
        /// Where to.
        node: String,
    },
    /// Puts a VM under high availability, or takes it out.
    SetHa {
        /// The VM.
        vmid: u32,
        /// The state it shall be in; none takes it out.
        #[serde(default)]
        wanted: Option<Wanted>,
    },
    /// Serves a new self-signed certificate from now on; connections end, as when pveproxy restarts.
    RenewCertificate,
    /// Replaces the key that signs tickets, as PVE does every day: tickets live through one change, not two.
    RotateAuthKeys,
    /// Lets stuck tasks go on.
    ReleaseStuckTasks,
    /// Lets the cluster's clock be ahead of the true time.
    SetClockSkew {
        /// Seconds ahead; negative for behind.
        seconds: i64,
    },
}

/// Why an action was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such VM.
    #[error("there is no VM {0}")]
    NoVm(u32),
    /// The VM does not run.
    #[error("VM {0} does not run")]
    NotRunning(u32),
    /// There is no such node.
    #[error("there is no node `{0}`")]
    NoNode(String),
    /// There is no such token.
    #[error("there is no token `{0}`")]
    NoToken(String),
    /// The system refused a new certificate.
    #[error("there is no new certificate: {0}")]
    NoCertificate(String),
}
