//! `status/current`: one VM, now.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::{PowerState, tags};
use crate::client::Vm;
use crate::error::Error;
use crate::lenient;
use crate::property::DriveSlot;
use crate::reason::Lock;
use crate::route::Params;
use crate::transport::Class;

/// The present state of a VM.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VmStatus {
    /// Whether there is a QEMU process: `running` or `stopped`.
    #[serde(rename = "status", default)]
    process: PowerState,
    /// What QEMU says; absent on lists, equal to `status` when QEMU is silent.
    #[serde(rename = "qmpstatus", default)]
    qmp: Option<PowerState>,
    /// The name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Number of CPUs the guest has.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub cpus: Option<f64>,
    /// Used fraction of all its CPUs, 0 to 1. The first sample after a start of PVE's daemon is 0.
    #[serde(default, deserialize_with = "lenient::measured")]
    pub cpu: Option<f64>,
    /// Used memory, bytes. Without a balloon driver in the guest, all that it ever touched; may exceed
    /// `maxmem`.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub mem: Option<u64>,
    /// Configured memory, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxmem: Option<u64>,
    /// Size of the boot disk, bytes.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub maxdisk: Option<u64>,
    /// Bytes read from all disks since the start; absent or 0 when stopped.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub diskread: Option<u64>,
    /// Bytes written to all disks since the start; absent or 0 when stopped.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub diskwrite: Option<u64>,
    /// What was read and written by drive since the start; empty when stopped. A rate beside the limit of one disk comes
    /// from two of these.
    #[serde(default, rename = "blockstat", deserialize_with = "drives")]
    pub drives: BTreeMap<DriveSlot, DriveCounters>,
    /// Bytes received by the guest since the start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub netin: Option<u64>,
    /// Bytes sent by the guest since the start.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub netout: Option<u64>,
    /// Seconds since the QEMU process began. A reboot from inside the guest does not reset it.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub uptime: Option<u64>,
    /// The QEMU process.
    #[serde(default, deserialize_with = "lenient::counted")]
    pub pid: Option<u64>,
    /// The operation that holds the VM.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// Whether the config enables the guest agent.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub agent: bool,
    /// Whether it is a template.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub template: bool,
    /// Tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
    /// What high availability does with it.
    #[serde(default)]
    pub ha: HaStatus,
}

/// Whether high availability manages the VM. Then start and stop tasks end before they take effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HaStatus {
    /// Whether it is managed.
    #[serde(default, deserialize_with = "lenient::bool")]
    pub managed: bool,
    /// The state that is aimed at, such as `started`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub state: Option<String>,
}

/// What a drive has done since QEMU began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct DriveCounters {
    /// Bytes read.
    #[serde(default, rename = "rd_bytes", deserialize_with = "lenient::counted")]
    pub read: Option<u64>,
    /// Bytes written.
    #[serde(default, rename = "wr_bytes", deserialize_with = "lenient::counted")]
    pub written: Option<u64>,
    /// Read operations.
    #[serde(default, rename = "rd_operations", deserialize_with = "lenient::counted")]
    pub reads: Option<u64>,
    /// Write operations.
    #[serde(default, rename = "wr_operations", deserialize_with = "lenient::counted")]
    pub writes: Option<u64>,
}

/// The drives that can be read; QEMU also counts what is no drive of the config, such as its firmware's flash.
fn drives<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<DriveSlot, DriveCounters>, D::Error> {
    let Value::Object(entries) = Value::deserialize(deserializer)? else {
        return Ok(BTreeMap::new());
    };
    let drives = entries
        .into_iter()
        .filter_map(|(name, counters)| Some((name.parse().ok()?, serde_json::from_value(counters).ok()?)));
    Ok(drives.collect())
}

impl VmStatus {
    /// The state, as exactly as PVE knows it.
    pub fn state(&self) -> &PowerState {
        match (&self.process, &self.qmp) {
            (PowerState::Running, Some(qmp)) if *qmp != PowerState::Unknown => qmp,
            (process, _) => process,
        }
    }

    /// Whether there is a QEMU process, whatever the guest in it does.
    pub fn is_running(&self) -> bool {
        self.process == PowerState::Running
    }
}

impl Vm {
    /// `GET status/current`.
    pub async fn status(&self) -> Result<VmStatus, Error> {
        self.call(
            Class::Read,
            Method::GET,
            |vm| vm.word("/status/current"),
            Params::new(),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: &str) -> VmStatus {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_state_of_qemu_refines_running_and_never_contradicts_stopped() {
        assert_eq!(
            status(r#"{"status":"running","qmpstatus":"paused"}"#).state(),
            &PowerState::Paused
        );
        assert_eq!(status(r#"{"status":"running"}"#).state(), &PowerState::Running);
        assert_eq!(
            status(r#"{"status":"stopped","qmpstatus":"running"}"#).state(),
            &PowerState::Stopped
        );
        let strange = status(r#"{"status":"running","qmpstatus":"colo"}"#);
        assert_eq!(strange.state(), &PowerState::Other("colo".to_owned()));
        assert!(strange.is_running());
    }

    #[test]
    fn the_shapes_of_both_majors_are_read() {
        let old = status(
            r#"{"status":"stopped","qmpstatus":"stopped","vmid":"100","name":"web","cpus":2,"cpu":0,"mem":0,
                "maxmem":2147483648,"disk":0,"maxdisk":"34359738368","diskread":0,"diskwrite":0,"netin":0,
                "netout":0,"uptime":0,"ha":{"managed":0}}"#,
        );
        assert_eq!(
            (old.diskread, old.maxdisk, old.ha.managed),
            (Some(0), Some(34_359_738_368), false)
        );
        let new = status(
            r#"{"status":"running","qmpstatus":"running","vmid":100,"cpus":2,"cpu":0.0312,"mem":1073741824,
                "memhost":1200000000,"maxmem":2147483648,"uptime":77,"pid":"4711","agent":1,"lock":"snapshot",
                "ha":{"managed":1,"state":"started"},"pressurecpusome":0,"nics":{"tap100i0":{"netin":1,"netout":2}}}"#,
        );
        assert_eq!(
            (new.pid, new.agent, &new.lock),
            (Some(4711), true, &Some(Lock::Snapshot))
        );
        assert_eq!((new.diskread, new.ha.state.as_deref()), (None, Some("started")));
    }

    #[test]
    fn every_drive_has_its_own_counters_and_what_is_no_drive_is_left_out() {
        let status = status(
            r#"{"status":"running","blockstat":{
                "scsi0":{"rd_bytes":1048576,"wr_bytes":"2.0e+6","rd_operations":10,"wr_operations":20,"flush_operations":1},
                "scsi1":{"rd_bytes":-1},"pflash0":{"rd_bytes":5},"ide2":7}}"#,
        );
        let slots: Vec<String> = status.drives.keys().map(ToString::to_string).collect();
        assert_eq!(slots, ["scsi0", "scsi1"]);
        let [system, data] = ["scsi0", "scsi1"].map(|slot| status.drives[&slot.parse().unwrap()]);
        assert_eq!((system.read, system.written), (Some(1_048_576), Some(2_000_000)));
        assert_eq!((system.reads, system.writes), (Some(10), Some(20)));
        assert_eq!(data, DriveCounters::default());
    }

    #[test]
    fn an_odd_figure_takes_nothing_else_along() {
        let status = status(
            r#"{"status":"running","cpus":"hunter2","mem":-1,"uptime":{"s":1},"maxmem":2048,"blockstat":[]}"#,
        );
        assert!(status.is_running());
        assert_eq!((status.cpus, status.mem, status.uptime), (None, None, None));
        assert_eq!((status.maxmem, status.drives.len()), (Some(2048), 0));
    }
}
