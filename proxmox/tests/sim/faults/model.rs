//! Which ends are right for a call, and for its task, while something is wrong.

use portico_proxmox::{Error, Lock, Reason, TaskState, Upid};

use super::call::Call;
use super::wrong::Wrong;

/// The kinds of ends a call can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    Unauthorized,
    Unreachable(u16),
    Connect,
    Transport,
    Timeout,
    LockTimeout,
    Locked,
    VmMissing,
    StorageUnavailable,
    StorageFull,
    Other,
}

impl End {
    pub(super) fn of(result: &Result<Option<Upid>, Error>) -> Self {
        let Err(error) = result else { return Self::Ok };
        match error {
            Error::Unauthorized { .. } => Self::Unauthorized,
            Error::NodeUnreachable { code, .. } => Self::Unreachable(*code),
            Error::Connect { .. } => Self::Connect,
            Error::Transport { .. } => Self::Transport,
            Error::Timeout { .. } => Self::Timeout,
            _ if error.is_vm_missing() => Self::VmMissing,
            _ => match error.reason() {
                Some(Reason::LockTimeout) => Self::LockTimeout,
                Some(Reason::Locked(Lock::Backup)) => Self::Locked,
                Some(Reason::StorageUnavailable) => Self::StorageUnavailable,
                Some(Reason::StorageFull) => Self::StorageFull,
                _ => Self::Other,
            },
        }
    }
}

/// The ends that are right for a call while something is wrong.
pub(super) fn model(wrong: Wrong, call: Call) -> Vec<End> {
    let (write, on_node) = (call.writes(), call.endpoint().1.contains("{node}"));
    let takes_flock = matches!(call, Call::Update | Call::NewDisk | Call::Describe);
    let looks_at_lock = matches!(call, Call::Clone | Call::Restore | Call::Import);
    let firewall = matches!(call, Call::FirewallOptions | Call::Rule);
    // What is not about a VM needs no list, unless it is the list.
    let needs_list =
        call == Call::Resources || call.endpoint().1.contains("{vmid}") || is_sent_to_a_node(call);
    match wrong {
        Wrong::ListCut if needs_list => vec![End::Transport],
        Wrong::ListStatus(code) if needs_list => vec![End::Unreachable(code)],
        Wrong::ListTooSlow if needs_list => vec![End::Timeout],
        Wrong::TooSlow => vec![End::Timeout],
        // A read is made twice, at the other endpoint the second time.
        Wrong::CutBefore(times) | Wrong::CutAfter(times) if write || times > 1 => vec![End::Transport],
        // The endpoint passed nothing on, so that the other one may be asked.
        Wrong::Status(595, 1) => vec![End::Ok],
        // The agent is not asked again after an answer.
        Wrong::Status(code, times) | Wrong::LateStatus(code, times)
            if write || times > 1 || call == Call::Ping =>
        {
            vec![End::Unreachable(code)]
        }
        Wrong::FlockHeld if takes_flock || call == Call::Restore => vec![End::LockTimeout],
        Wrong::Locked if takes_flock || looks_at_lock => vec![End::Locked],
        Wrong::CfsLockHeld if firewall => vec![End::LockTimeout],
        Wrong::StorageOffline if call == Call::Content => vec![End::StorageUnavailable],
        // Made while the caller waits: what makes disks elsewhere does so in its task.
        Wrong::StorageFull if call == Call::NewDisk => vec![End::StorageFull],
        Wrong::StorageLockHeld if call == Call::NewDisk => vec![End::LockTimeout],
        Wrong::TokenRevoked => vec![End::Unauthorized],
        // An open connection may be broken in the middle of a write; a new one does not come about.
        Wrong::FirstEndpointShut if write => vec![End::Ok, End::Transport],
        Wrong::BothEndpointsShut | Wrong::ApiDown => vec![End::Connect, End::Transport],
        Wrong::NodeOff if on_node && forwarded(call) => vec![End::Unreachable(595)],
        _ => vec![End::Ok],
    }
}

/// Whether it is about a VM although the path does not say so.
fn is_sent_to_a_node(call: Call) -> bool {
    matches!(call, Call::Backup | Call::Restore)
}

/// Whether the host that is asked passes the call on to the VM's node: it answers by itself what is in files of the
/// cluster, and opens screens before it looks for the node.
fn forwarded(call: Call) -> bool {
    !matches!(call, Call::Firewall | Call::Rule | Call::Console)
}

/// What the end of a task must be, while something is wrong.
pub(super) fn right_end(wrong: Wrong, call: Call, state: &TaskState) -> bool {
    let reason = match state {
        TaskState::Failed { reason, .. } => Some(reason),
        _ => None,
    };
    match (wrong, call) {
        // Why a backup or a restore failed is in the task's log alone.
        (Wrong::FlockHeld | Wrong::Locked | Wrong::TaskFails | Wrong::StorageFull, Call::Backup) => {
            return reason == Some(&Reason::JobErrors);
        }
        (Wrong::StorageFull, Call::Restore) => return reason == Some(&Reason::Other),
        (Wrong::StorageOffline, Call::Backup | Call::Restore | Call::Start) if reason.is_some() => {
            return reason == Some(&Reason::StorageUnavailable);
        }
        (Wrong::StorageOffline, Call::Backup | Call::Restore) => return false,
        // Thin volumes grow without room; what is not listed makes no volume.
        (Wrong::StorageFull, Call::Clone | Call::Snapshot | Call::MemorySnapshot | Call::Import) => {
            return reason == Some(&Reason::StorageFull);
        }
        // A snapshot without memory makes no volume of its own, and a backup server needs no lock.
        (
            Wrong::StorageLockHeld,
            Call::Clone | Call::MemorySnapshot | Call::Import | Call::Resize | Call::Restore,
        ) => return reason == Some(&Reason::LockTimeout),
        // The disk that is to be copied did not move.
        (Wrong::VmMoved, Call::Import) => return reason == Some(&Reason::VolumeNotFound),
        _ => {}
    }
    match (wrong, state) {
        (Wrong::TaskFails, TaskState::Failed { text, .. }) => text.contains("no space left"),
        (Wrong::TaskSticks, TaskState::Failed { reason, .. }) => *reason == Reason::Interrupted,
        (Wrong::TaskSticks, TaskState::Lost) => true,
        (Wrong::TaskWarns, state) => *state == TaskState::SucceededWithWarnings(1),
        (Wrong::FlockHeld, TaskState::Failed { reason, .. }) => *reason == Reason::LockTimeout,
        (Wrong::Locked, TaskState::Failed { reason, .. }) => *reason == Reason::Locked(Lock::Backup),
        (Wrong::VmMoved, TaskState::Failed { reason, .. }) => *reason == Reason::VmNotFound,
        // A start and a reset of a VM that runs on may have begun before it moved.
        (Wrong::TaskFails | Wrong::TaskSticks | Wrong::FlockHeld | Wrong::Locked, _) => false,
        (_, state) => state.is_success(),
    }
}
