//! Copying disks: how long it takes and what the log says meanwhile.

use super::{Outcome, Worker};
use crate::config::update::Change;
use crate::units::{float, mix, signed, whole};

/// Copies a disk of some size: progress lines as `qemu-img` and PVE print them, at the speed of `copy_per_gib`.
/// Unless it was `met` before, the task's fault strikes on the way.
pub(crate) async fn copy(worker: &Worker, size: u64, met: &mut bool) -> Outcome {
    let gib = float(size) / f64::from(1 << 30);
    let step = worker.world().durations.copy_per_gib * gib / 10.0;
    for tenth in 0..=10_u64 {
        let done = size / 10 * tenth;
        let done = if tenth == 10 { size } else { done };
        worker.log(&format!(
            "transferred {} of {} ({:.2}%)",
            human(done),
            human(size),
            float(tenth) * 10.0
        ));
        if !*met && float(tenth) >= worker.point * 10.0 {
            *met = true;
            worker.meet().await?;
        }
        if tenth < 10 {
            worker.pause(step).await?;
        }
    }
    Ok(())
}

/// Says which volumes a change copies, and takes the time for it.
pub(crate) async fn announce_imports(worker: &Worker, change: &Change) -> Outcome {
    for (key, source) in change.imports() {
        let size = worker
            .world()
            .volume(worker.node(), &source)
            .map(|volume| volume.size);
        // A source that is not there is told when the change is made.
        let Some(size) = size else { continue };
        worker.log(&format!(
            "{key}: importing disk '{source}' to VM {}...",
            worker.upid.id
        ));
        // What the change itself takes is where the fault strikes.
        copy(worker, size, &mut true).await?;
    }
    Ok(())
}

/// `4.0 GiB`, as PVE prints sizes in logs.
pub(crate) fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = float(bytes);
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units.get(unit).copied().unwrap_or_default())
}

/// A UUID for something of a VM that is made now.
pub(crate) fn uuid(vmid: u32, now: f64, purpose: u64) -> String {
    crate::units::uuid(mix(whole(now * 1000.0), u64::from(vmid) * 16 + purpose))
}

/// A MAC address with PVE's prefix that no other call gives.
pub(crate) fn fresh_mac(vmid: u32, key: &str, now: f64) -> String {
    let seed = u64::from(vmid).wrapping_add(u64::try_from(signed(now * 1000.0)).unwrap_or(0));
    crate::scenario::generated_mac(seed, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_read_them() {
        assert_eq!(human(0), "0.0 B");
        assert_eq!(human(4 << 30), "4.0 GiB");
        assert_eq!(human(1536 << 20), "1.5 GiB");
    }

    #[test]
    fn a_uuid_has_its_form() {
        let uuid = uuid(100, 1.7e9, 1);
        let lengths = uuid.split('-').map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
