//! How far a running backup or restore has come, and why one failed: read from the task's log.
//!
//! PVE tells neither in any other way. The log is meant for people and may change its words: what cannot be read
//! is no progress, never an error.

use crate::foreign;
use crate::id::VmId;
use crate::log::LogLine;
use crate::reason::Reason;

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TaskProgress {
    /// It waits for another backup job on the same node and has not begun.
    Waiting,
    /// It copies data: the part that is done, 0 to 1.
    Fraction(f64),
}

impl TaskProgress {
    /// The last progress that a log of `vzdump` or `qmrestore` tells; `None` if it tells none (yet).
    ///
    /// Pass all lines from the first one: a restore from a backup server reports each disk by itself, and only the
    /// beginning of the log tells how many there are.
    pub fn of_log(lines: &[LogLine]) -> Option<Self> {
        let mut progress = None;
        let (mut disks, mut images) = (0_u32, 0_u32);
        for line in lines {
            let text = line.t.trim();
            if text.contains("trying to get global lock - waiting") {
                progress = Some(Self::Waiting);
            } else if text.contains("got global lock") {
                progress = None;
            } else if let Some(volume) = text.strip_prefix("new volume ID is '") {
                disks += u32::from(!volume.contains("-cloudinit"));
            } else if text.starts_with("restore proxmox backup image:") {
                images += 1;
            } else if let Some(percent) = percent(text) {
                // Of several images one after the other, those before are done.
                let before = f64::from(images.saturating_sub(1));
                let all = f64::from(disks.max(images).max(1));
                let all = if images == 0 { 1.0 } else { all };
                let fraction = ((before + percent / 100.0) / all).clamp(0.0, 1.0);
                progress = Some(Self::Fraction(fraction));
            }
        }
        progress
    }
}

/// The number of `INFO:  12% (3.9 GiB of 32.0 GiB) in 9s, …` and of `progress 12% (read …`.
fn percent(text: &str) -> Option<f64> {
    let rest = text
        .strip_prefix("INFO:")
        .or_else(|| text.strip_prefix("progress "))?
        .trim_start();
    let (number, rest) = rest.split_once('%')?;
    let digits = !number.is_empty() && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit());
    let data = rest.trim_start().starts_with('(');
    number.parse::<f64>().ok().filter(|_| digits && data)
}

/// Why the backup of a VM failed. The task itself only says `job errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFailure {
    /// What the text means.
    pub reason: Reason,
    /// PVE's text, for the provider.
    pub text: String,
}

impl BackupFailure {
    /// Finds the reason in the log of a `vzdump` task; `None` if the backup of that VM did not fail.
    pub fn of_log(lines: &[LogLine], vmid: VmId) -> Option<Self> {
        let start = format!("ERROR: Backup of VM {vmid} failed - ");
        let found = lines
            .iter()
            .enumerate()
            .find_map(|(at, line)| Some((at, line.t.trim().strip_prefix(&start)?)));
        let (at, text) = found?;
        Some(Self {
            // A full disk kills the compressor, and QEMU only sees the broken pipe.
            reason: reason(text, lines.get(..at).unwrap_or_default()),
            text: kept(text),
        })
    }
}

/// Why a restore failed. The end of the task may only say which command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreFailure {
    /// What the text and the lines before it mean.
    pub reason: Reason,
    /// PVE's text, for the provider.
    pub text: String,
}

impl RestoreFailure {
    /// Finds the reason in the log of a `qmrestore` task; `None` if it has not failed (yet).
    ///
    /// Pass the last lines: the reason is among the twenty before the end.
    pub fn of_log(lines: &[LogLine]) -> Option<Self> {
        let (last, before) = lines.split_last()?;
        let text = last.t.trim().strip_prefix("TASK ERROR: ")?;
        Some(Self {
            reason: reason(text, before),
            text: kept(text),
        })
    }
}

/// What a text means, or where it only tells that a command failed, whether a storage was full just before.
fn reason(text: &str, before: &[LogLine]) -> Reason {
    let reason = Reason::classify(text);
    let full = |line: &LogLine| Reason::classify(&line.t) == Reason::StorageFull;
    if reason == Reason::Other && before.iter().rev().take(20).any(full) {
        return Reason::StorageFull;
    }
    reason
}

fn kept(text: &str) -> String {
    foreign::kept(text, 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Vec<LogLine> {
        let lines = text.lines().zip(1..);
        lines.map(|(t, n)| LogLine { n, t: t.to_owned() }).collect()
    }

    fn fraction(text: &str) -> f64 {
        match TaskProgress::of_log(&log(text)) {
            Some(TaskProgress::Fraction(fraction)) => (fraction * 1000.0).round() / 1000.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_backup_tells_how_much_it_has_read() {
        let text = "INFO: starting new backup job: vzdump 100 --storage pbs\n\
                    INFO: include disk 'scsi0' 'local-lvm:vm-100-disk-0' 32G\n\
                    INFO:   3% (1.1 GiB of 32.0 GiB) in 3s, read: 375.5 MiB/s, write: 310.1 MiB/s\n\
                    INFO:  12% (3.9 GiB of 32.0 GiB) in 9s, read: 440.0 MiB/s, write: 0 B/s";
        assert!((fraction(text) - 0.12).abs() < 1e-9);
    }

    #[test]
    fn a_job_that_waits_for_another_has_not_begun() {
        let waiting = "INFO: trying to get global lock - waiting...";
        assert_eq!(TaskProgress::of_log(&log(waiting)), Some(TaskProgress::Waiting));
        let begun = format!("{waiting}\nINFO: got global lock\nINFO: starting new backup job: vzdump 100");
        assert_eq!(TaskProgress::of_log(&log(&begun)), None);
    }

    #[test]
    fn a_restore_of_a_file_tells_one_number_for_all_disks() {
        let text = "DEV: dev_id=1 size: 34359738368 devname: drive-scsi0\n\
                    new volume ID is 'local-lvm:vm-100-disk-0'\n\
                    new volume ID is 'local-lvm:vm-100-disk-1'\n\
                    progress 7% (read 2405203968 bytes, duration 3 sec)";
        assert!((fraction(text) - 0.07).abs() < 1e-9);
    }

    #[test]
    fn a_restore_from_a_server_tells_one_number_for_each_disk() {
        let text = "new volume ID is 'local-lvm:vm-100-cloudinit'\n\
                    new volume ID is 'local-lvm:vm-100-disk-0'\n\
                    new volume ID is 'local-lvm:vm-100-disk-1'\n\
                    restore proxmox backup image: /usr/bin/pbs-restore --repository x drive-scsi0.img.fidx\n\
                    progress 100% (read 34359738368 bytes, zeroes = 50% (17179869184 bytes), duration 30 sec)\n\
                    restore image complete (bytes=34359738368, duration=30.21s, speed=1084.54MB/s)\n\
                    restore proxmox backup image: /usr/bin/pbs-restore --repository x drive-scsi1.img.fidx";
        assert!((fraction(text) - 0.5).abs() < 1e-9);
        let later = format!("{text}\nprogress 50% (read 5 bytes, zeroes = 0% (0 bytes), duration 1 sec)");
        assert!((fraction(&later) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn lines_that_only_look_like_progress_are_none() {
        for text in [
            "",
            "INFO: backup is sparse: 12.00 GiB (37%) total zero data",
            "INFO: 1000% (x)",
            "INFO: -5% (x)",
            "progress many% (read)",
            "INFO: disk is 90% full",
            "drive-scsi0: transferred 1.0 GiB of 32.0 GiB (3.12%)",
        ] {
            assert_eq!(TaskProgress::of_log(&log(text)), None, "{text}");
        }
        assert!((fraction("progress 250% (read 1 bytes, duration 1 sec)") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_log_tells_why_a_backup_failed() {
        let vmid = VmId::new(100).unwrap();
        let text = "INFO: Starting Backup of VM 100 (qemu)\n\
                    ERROR: Backup of VM 1001 failed - unable to find VM '1001'\n\
                    ERROR: Backup of VM 100 failed - VM is locked (snapshot)\n\
                    INFO: Failed at 2026-08-20 03:00:01";
        let failure = BackupFailure::of_log(&log(text), vmid).unwrap();
        assert_eq!(failure.reason, Reason::classify("VM is locked (snapshot)"));
        assert_eq!(failure.text, "VM is locked (snapshot)");
        assert_eq!(
            BackupFailure::of_log(&log("INFO: Finished Backup of VM 100"), vmid),
            None
        );
    }

    #[test]
    fn a_broken_pipe_after_a_full_disk_means_the_full_disk() {
        let text = "INFO:  50% (x\n\
                    INFO: zstd: error 70 : Write error : cannot write block : No space left on device\n\
                    ERROR: vma_queue_write: write error - Broken pipe\n\
                    INFO: aborting backup job\n\
                    ERROR: Backup of VM 100 failed - vma_queue_write: write error - Broken pipe";
        let vmid = VmId::new(100).unwrap();
        let failure = BackupFailure::of_log(&log(text), vmid).unwrap();
        assert_eq!(failure.reason, Reason::StorageFull);
        let text = "ERROR: Backup of VM 100 failed - vma_queue_write: write error - Broken pipe";
        assert_eq!(
            BackupFailure::of_log(&log(text), vmid).unwrap().reason,
            Reason::Other
        );
    }

    #[test]
    fn a_restore_that_found_no_room_tells_so_in_the_line_before() {
        let text = "progress 50% (read 5 bytes, zeroes = 0% (0 bytes), duration 1 sec)\n\
                    restore failed: blk_pwrite failed at offset 0 - No space left on device\n\
                    temporary volume 'local-lvm:vm-100-disk-0' successfully removed\n\
                    TASK ERROR: command '/usr/bin/pbs-restore --repository x' failed: exit code 255";
        let failure = RestoreFailure::of_log(&log(text)).unwrap();
        assert_eq!(failure.reason, Reason::StorageFull);
        assert!(
            failure.text.starts_with("command '/usr/bin/pbs-restore"),
            "{failure:?}"
        );
        let locked = "TASK ERROR: unable to restore VM 100 - VM is locked (backup)";
        let failure = RestoreFailure::of_log(&log(locked)).unwrap();
        assert_eq!(failure.reason, Reason::classify("VM is locked (backup)"));
        for unfinished in ["", "progress 50% (read 5 bytes, duration 1 sec)", "TASK OK"] {
            assert_eq!(RestoreFailure::of_log(&log(unfinished)), None, "{unfinished}");
        }
    }
}
