//! The data of a restore: what `vma` and `pbs-restore` print while they copy, and how they fail.

use super::{Coming, Restore};
use crate::calendar::Moment;
use crate::units::{float, fraction, whole};
use crate::work::{Outcome, Worker};
use crate::world::World;
use crate::world::backup::{Archive, SavedDisk};

/// What `vma` prints about an archive before the data come.
pub(super) fn header(world: &World, what: &Restore, archive: &Archive) -> Vec<String> {
    let (id, name) = what.archive.split_once(':').unwrap_or(("", ""));
    let path = world
        .storages
        .get(id)
        .map(|s| s.path_of(name))
        .unwrap_or_default();
    let reader = match name.rsplit('.').next() {
        Some("zst") => format!("zstd -q -d -c {path} | "),
        Some("gz") => format!("zcat {path} | "),
        Some("lzo") => format!("lzop -d -c {path} | "),
        _ => String::new(),
    };
    let from = if reader.is_empty() { path.as_str() } else { "-" };
    let mut lines = vec![
        format!(
            "restore vma archive: {reader}vma extract -v -r /var/tmp/vzdumptmp1.fifo {from} /var/tmp/vzdumptmp1"
        ),
        format!("CFG: size: {} name: qemu-server.conf", archive.text().len()),
    ];
    for (number, disk) in archive.disks.iter().enumerate() {
        lines.push(format!(
            "DEV: dev_id={} size: {} devname: drive-{}",
            number + 1,
            disk.size,
            disk.key
        ));
    }
    let time = world
        .storages
        .get(id)
        .and_then(|storage| storage.volumes.iter().find(|v| v.volid == what.archive))
        .map_or(0, |volume| volume.ctime);
    lines.push(format!("CTIME: {}", Moment::of(time).in_words()));
    lines
}

/// Copies the data, with the lines of progress that `vma` or `pbs-restore` print.
pub(super) async fn bring_data(worker: &Worker, what: &Restore, coming: &[Coming], pbs: bool) -> Outcome {
    if coming.is_empty() {
        return worker.toil(1.0).await;
    }
    let plans = {
        let world = worker.world();
        let (source, _) = what.archive.split_once(':').unwrap_or(("", ""));
        let each = coming.iter().map(|Coming { disk, volid }| {
            let (target, _) = volid.split_once(':').unwrap_or(("", ""));
            let slow = world.faults.slowness(source).max(world.faults.slowness(target));
            let gib = float(disk.size) / f64::from(1 << 30);
            let full = world.faults.storage_is_full(target)
                || world
                    .storages
                    .get(target)
                    .is_none_or(|storage| storage.used_on(worker.node()) >= storage.total);
            (gib * world.durations.restore_per_gib * slow, full)
        });
        each.collect::<Vec<_>>()
    };
    let full = plans.iter().any(|(_, full)| *full);
    let total = coming.iter().map(|c| c.disk.size).sum::<u64>();
    if !pbs {
        let seconds = plans.iter().map(|(seconds, _)| seconds).sum::<f64>().max(1.0);
        let reach = if full { 0.5 } else { 1.0 };
        let report = |share: f64, after: f64| {
            let done = share * reach;
            worker.log(&format!(
                "progress {}% (read {} bytes, duration {} sec)",
                whole(done * 100.0),
                whole(done * float(total)),
                whole(after)
            ));
        };
        worker.toil_in_steps(seconds * reach, report).await?;
        if full {
            let first = coming.first().map(|c| c.disk.key.as_str()).unwrap_or_default();
            worker.log(&format!(
                "vma: restore failed - vma blk_flush drive-{first} failed"
            ));
            return Err(
                "command 'set -o pipefail && vma extract -v -r /var/tmp/vzdumptmp1.fifo - \
                        /var/tmp/vzdumptmp1' failed: exit code 133"
                    .into(),
            );
        }
        reachable(worker, coming)?;
        let sparse = whole(float(total) * (0.5 + 0.35 * fraction(total, 1)));
        let percent = float(sparse) * 100.0 / float(total.max(1));
        worker.log(&format!(
            "total bytes read {total}, sparse bytes {sparse} ({percent:.3}%)"
        ));
        worker.log("space reduction due to 4K zero blocks 1.43%");
        return Ok(());
    }
    for (Coming { disk, volid }, (seconds, full)) in coming.iter().zip(plans) {
        one_image(worker, what, disk, volid, seconds.max(1.0), full).await?;
        reachable(worker, coming)?;
    }
    Ok(())
}

/// One image from a backup server.
async fn one_image(
    worker: &Worker,
    what: &Restore,
    disk: &SavedDisk,
    volid: &str,
    seconds: f64,
    full: bool,
) -> Outcome {
    let (id, name) = volid.split_once(':').unwrap_or(("", ""));
    let path = worker
        .world()
        .storages
        .get(id)
        .map(|storage| storage.path_of(name))
        .unwrap_or_default();
    let (source, snapshot) = what.archive.split_once(":backup/").unwrap_or(("", ""));
    let repository = format!("portico@pbs@10.0.0.50:{source}");
    let (key, size) = (&disk.key, disk.size);
    let command = format!(
        "/usr/bin/pbs-restore --repository {repository} {snapshot} drive-{key}.img.fidx {path} --verbose --format raw \
         --skip-zero"
    );
    worker.log(&format!("restore proxmox backup image: {command}"));
    worker.log(&format!("connecting to repository '{repository}'"));
    worker.log(&format!("open block backend for target '{path}'"));
    worker.log(&format!("starting to restore snapshot '{snapshot}'"));
    worker.log("download and verify backup index");
    let reach = if full { 0.5 } else { 1.0 };
    let report = |share: f64, after: f64| {
        let read = whole(share * reach * float(size));
        let zeroes = read / 2;
        worker.log(&format!(
            "progress {}% (read {read} bytes, zeroes = 50% ({zeroes} bytes), duration {} sec)",
            whole(share * reach * 100.0),
            whole(after)
        ));
    };
    worker.toil_in_steps(seconds * reach, report).await?;
    if full {
        worker.log("restore failed: blk_pwrite failed at offset 0 - No space left on device");
        return Err(format!("command '{command}' failed: exit code 255").into());
    }
    let speed = float(size) / seconds / 1_000_000.0;
    worker.log(&format!(
        "restore image complete (bytes={size}, duration={seconds:.2}s, speed={speed:.2}MB/s)"
    ));
    Ok(())
}

/// Whether the storages are still there after the work.
fn reachable(worker: &Worker, coming: &[Coming]) -> Outcome {
    let world = worker.world();
    for Coming { volid, .. } in coming {
        let (id, _) = volid.split_once(':').unwrap_or(("", ""));
        world.usable_storage(id, worker.node())?;
    }
    Ok(())
}
