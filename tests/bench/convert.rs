//! From the host's types of the contract to the plugin's, which are generated from the same WIT.

use portico_runtime::bindings::{snapshots as host, vm as host_vm};
use portico_sdk::snapshots::{Ability, Phase, Snapshot};
use portico_sdk::vm;

pub(crate) fn status(status: host_vm::StatusView) -> vm::Status {
    vm::Status {
        state: match status.state {
            host_vm::State::Running => vm::State::Running,
            host_vm::State::Stopped => vm::State::Stopped,
            host_vm::State::Paused => vm::State::Paused,
            host_vm::State::Suspended => vm::State::Suspended,
            host_vm::State::Unknown => vm::State::Unknown,
        },
        uptime: status.uptime,
        cpu: status.cpu,
        cores: status.cores,
        memory_used: status.memory_used,
        memory_total: status.memory_total,
        rates: status.rates.map(|rates| vm::Rates {
            disk_read: rates.disk_read,
            disk_write: rates.disk_write,
            net_in: rates.net_in,
            net_out: rates.net_out,
        }),
        busy: status.busy,
        age: status.age,
    }
}

pub(crate) fn ability(ability: host::Ability) -> Ability {
    Ability {
        possible: ability.possible,
        reason: ability.reason,
        newest_only: ability.newest_only,
    }
}

pub(crate) fn snapshot(snapshot: host::Snapshot) -> Snapshot {
    Snapshot {
        name: snapshot.name,
        description: snapshot.description,
        time: snapshot.time,
        with_memory: snapshot.with_memory,
        parent: snapshot.parent,
        phase: match snapshot.phase {
            host::Phase::Ready => Phase::Ready,
            host::Phase::Creating => Phase::Creating,
            host::Phase::Removing => Phase::Removing,
        },
        current: snapshot.current,
    }
}
