//! Copying disks: how long it takes and what the log says meanwhile.

use super::{Outcome, Worker};
use crate::config::change::Change;
use crate::units::{float, mix, signed, whole};
use crate::world::World;

/// A disk that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Copying {
    /// Its size in bytes.
    size: u64,
    /// How long it takes, in seconds.
    seconds: f64,
    /// Whether the target has no space for it.
    full: bool,
    /// The drive of a running VM, whose QEMU copies it; `qemu-img` does where there is none.
    drive: Option<String>,
}

impl Copying {
    /// A copy at the speed of `copy_per_gib`.
    pub(crate) fn of(world: &World, size: u64) -> Self {
        let gib = float(size) / f64::from(1 << 30);
        Self {
            size,
            seconds: world.durations.copy_per_gib * gib,
            full: false,
            drive: None,
        }
    }

    /// Says between which storages; `node` is the one that sees the target.
    pub(crate) fn between(mut self, world: &World, from: &str, to: &str, node: &str) -> Self {
        self.seconds *= world.faults.slowness(from).max(world.faults.slowness(to));
        self.full = world.faults.storage_is_full(to)
            || world
                .storages
                .get(to)
                .is_some_and(|storage| storage.used_on(node) >= storage.total);
        self
    }

    /// Is no faster than so many KiB a second; 0 for no limit.
    pub(crate) fn limited(mut self, kib: Option<u64>) -> Self {
        if let Some(kib) = kib.filter(|kib| *kib > 0) {
            self.seconds = self.seconds.max(float(self.size) / 1024.0 / float(kib));
        }
        self
    }

    /// Is done by the QEMU of a running VM, for this drive.
    pub(crate) fn mirrored(mut self, drive: &str) -> Self {
        self.drive = Some(drive.to_owned());
        self
    }

    /// A line of progress, as `qemu-img` or QEMU's job has it.
    fn line(&self, tenth: u64) -> String {
        let done = if tenth == 10 {
            self.size
        } else {
            self.size / 10 * tenth
        };
        let text = format!(
            "transferred {} of {} ({:.2}%)",
            human(done),
            human(self.size),
            float(tenth) * 10.0
        );
        let Some(drive) = &self.drive else { return text };
        let seconds = whole(self.seconds / 10.0 * float(tenth));
        let ready = if tenth == 10 { ", ready" } else { "" };
        format!("drive-{drive}: {text} in {}{ready}", duration(seconds))
    }

    /// The refusal of a target without space.
    fn no_space(&self) -> String {
        match &self.drive {
            Some(drive) => format!("block job (mirror) error: drive-{drive}: 'mirror' has been cancelled"),
            None => "copy failed: command '/usr/bin/qemu-img convert' failed: exit code 1".to_owned(),
        }
    }
}

/// Copies a disk: progress lines as `qemu-img` and QEMU print them. Unless it was `met` before, the task's fault
/// strikes on the way.
pub(crate) async fn copy(worker: &Worker, what: &Copying, met: &mut bool) -> Outcome {
    for tenth in 0..=10_u64 {
        if what.full && tenth == 5 {
            if what.drive.is_none() {
                let at = what.size / 2;
                worker.log(&format!(
                    "qemu-img: error while writing at byte {at}: No space left on device"
                ));
            }
            return Err(what.no_space().into());
        }
        worker.log(&what.line(tenth));
        if !*met && float(tenth) >= worker.point * 10.0 {
            *met = true;
            worker.meet().await?;
        }
        if tenth < 10 {
            worker.pause(what.seconds / 10.0).await?;
        }
    }
    Ok(())
}

/// `1h 2m 3s`, as PVE prints durations in logs.
fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown = parts
        .iter()
        .filter(|(value, _)| *value > 0)
        .map(|(value, unit)| format!("{value}{unit}"))
        .collect::<Vec<_>>();
    if shown.is_empty() {
        "0s".to_owned()
    } else {
        shown.join(" ")
    }
}

/// Says which volumes a change copies, and takes the time for it.
pub(crate) async fn announce_imports(worker: &Worker, change: &Change) -> Outcome {
    for (key, source) in change.imports() {
        let copying = {
            let world = worker.world();
            let volume = world.volume(worker.node(), &source);
            volume.map(|volume| Copying::of(&world, volume.size))
        };
        // A source that is not there is told when the change is made.
        let Some(copying) = copying else { continue };
        worker.log(&format!(
            "{key}: importing disk '{source}' to VM {}...",
            worker.upid.id
        ));
        // What the change itself takes is where the fault strikes.
        copy(worker, &copying, &mut true).await?;
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
    fn durations_leave_out_what_is_nothing() {
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(62), "1m 2s");
        assert_eq!(duration(3600), "1h");
    }

    #[test]
    fn a_uuid_has_its_form() {
        let uuid = uuid(100, 1.7e9, 1);
        let lengths = uuid.split('-').map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
