//! The data of a backup: how much there is, how long it takes, and what a full storage says.

use super::target::Target;
use super::{Compression, Job, progress};
use crate::units::{float, fraction, whole};
use crate::work::{Broken, Outcome, Worker};
use crate::world::backup::Archive;

/// How many of a VM's bytes are not zero, for which every run of the simulator gives the same answer.
pub(super) fn used_bytes(seed: u64, archive: &Archive) -> u64 {
    let key = archive.disks.iter().fold(archive.size(), |sum, disk| {
        sum.wrapping_add(disk.key.len() as u64)
    });
    whole(float(archive.size()) * (0.15 + 0.35 * fraction(seed, key)))
}

/// Bytes that a backup needs on its storage.
pub(super) fn needed(job: &Job, pbs: bool, used: u64) -> u64 {
    // A backup server stores each chunk of data once.
    let ratio = if pbs { 0.1 } else { job.compression.ratio() };
    whole(float(used) * ratio)
}

pub(super) async fn copy(worker: &Worker, job: &Job, to: &Target, archive: &Archive) -> Outcome {
    let total = archive.size();
    let (seconds, used, room) = {
        let world = worker.world();
        let storage = world.usable_storage(&job.storage, worker.node())?;
        let slowest = archive
            .disks
            .iter()
            .map(|disk| disk.storage.as_str())
            .chain([job.storage.as_str()])
            .map(|id| world.faults.slowness(id))
            .fold(1.0, f64::max);
        let gib = float(total) / f64::from(1 << 30);
        (
            (gib * world.durations.backup_per_gib * slowest).max(1.0),
            used_bytes(world.seed, archive),
            world.free_on(storage, worker.node()),
        )
    };
    if to.pbs {
        for disk in &archive.disks {
            worker.log(&format!("INFO: {}: dirty-bitmap status: created new", disk.key));
        }
    }
    let needs = needed(job, to.pbs, used);
    // The place where a storage that is too small becomes full.
    let reach = if needs > room {
        float(room) / float(needs.max(1))
    } else {
        1.0
    };
    let report = |share: f64, after: f64| {
        let step = seconds / (seconds / 3.0).ceil().clamp(2.0, 100.0);
        let read = whole(float(total) * step / seconds);
        let written = whole(float(used) * step / seconds);
        worker.log(&progress::line(
            share * reach,
            total,
            after,
            (step, read, written),
        ));
    };
    worker.toil_in_steps(seconds * reach.max(0.05), report).await?;
    worker.world().usable_storage(&job.storage, worker.node())?;
    if reach < 1.0 {
        return Err(full(worker, job.compression, to.pbs));
    }
    let zero = total - used;
    let percent = (zero * 100).checked_div(total).unwrap_or(0);
    worker.log(&format!(
        "INFO: backup is sparse: {} ({percent}%) total zero data",
        progress::bytes_exactly(zero)
    ));
    worker.log(&progress::transferred(total, seconds));
    Ok(())
}

pub(super) fn full(worker: &Worker, compression: Compression, pbs: bool) -> Broken {
    if pbs {
        return "backup write data failed: command error: write_data upload error: pipelined request failed: \
                ENOSPC: No space left on device"
            .into();
    }
    let pipe = "vma_queue_write: write error - Broken pipe";
    match compression {
        Compression::None => "vma_queue_write: write error - No space left on device".into(),
        Compression::Zstd => {
            worker.log("INFO: zstd: error 70 : Write error : cannot write block : No space left on device");
            pipe.into()
        }
        Compression::Gzip | Compression::Lzo => {
            worker.log("INFO: stdout: No space left on device");
            pipe.into()
        }
    }
}
