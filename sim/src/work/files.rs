//! Files that come into a storage.

use std::sync::Arc;

use super::{Broken, Outcome, Worker};
use crate::units::{float, mix};
use crate::world::World;
use crate::world::counters::Effect;
use crate::world::storage::Volume;
use crate::world::upload::Received;

const GIB: u64 = 1 << 30;

/// A file that shall be on a storage.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The storage.
    pub(crate) storage: String,
    /// The node that it is for.
    pub(crate) node: String,
    /// `iso`, `vztmpl` or `import`.
    pub(crate) content: String,
    /// Its name, without folders.
    pub(crate) name: String,
}

impl File {
    fn volid(&self) -> String {
        format!("{}:{}/{}", self.storage, self.content, self.name)
    }

    /// Where it lies.
    fn path(&self, world: &World) -> String {
        let storage = world.storages.get(&self.storage);
        storage.map_or_else(String::new, |storage| {
            storage.path_of(&format!("{}/{}", self.content, self.name))
        })
    }

    /// Puts it there in place of one of the same name, if there is room.
    fn put(&self, world: &mut World, size: u64, now: i64) -> Result<(), String> {
        let volid = self.volid();
        let storage = world.usable_storage(&self.storage, &self.node)?;
        if size > world.free_on(storage, &self.node) {
            return Err("No space left on device".to_owned());
        }
        let ending = self.name.rsplit('.').next().unwrap_or_default().to_lowercase();
        let format = match self.content.as_str() {
            "iso" => "iso".to_owned(),
            "vztmpl" => format!("t{}", ending.trim_start_matches("tar")),
            _ => ending,
        };
        let shared = storage.shared;
        world.remove_volume_on(&self.node, &volid);
        let volume = Volume {
            volid: volid.clone(),
            content: self.content.clone(),
            format,
            size,
            ctime: now,
            vmid: None,
            notes: None,
            protected: false,
            encrypted: None,
            verification: None,
            node: (!shared).then(|| self.node.clone()),
        };
        if let Some(storage) = world.storages.get_mut(&self.storage) {
            storage.volumes.push(volume);
        }
        world.counters.effect(Effect::VolumeAdded, 0, Some(&volid));
        Ok(())
    }
}

/// A download.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    /// What it shall become.
    pub(crate) file: File,
    /// From where.
    pub(crate) url: String,
    /// The algorithm and the digest that is expected.
    pub(crate) checksum: Option<(String, String)>,
    /// Whether it has to be unpacked.
    pub(crate) compressed: bool,
}

/// The length of a digest in hexadecimal.
fn digest_length(algorithm: &str) -> usize {
    match algorithm {
        "md5" => 32,
        "sha1" => 40,
        "sha224" => 56,
        "sha256" => 64,
        "sha384" => 96,
        _ => 128,
    }
}

/// A digest, of the right length, of what a URL stands for.
fn digest_of(algorithm: &str, url: &str) -> String {
    let seed = seed_of(url);
    let blocks = (0..8).map(|block| format!("{:016x}", mix(seed, block)));
    let mut text = blocks.collect::<String>();
    text.truncate(digest_length(algorithm));
    text
}

fn seed_of(url: &str) -> u64 {
    url.bytes().fold(7, |seed, byte| mix(seed, u64::from(byte)))
}

/// 300 to 1,300 MiB, always the same for a URL.
fn size_of(url: &str) -> u64 {
    (300 + seed_of(url) % 1_000) << 20
}

/// `download`: what wget would fetch.
pub(crate) async fn download(worker: Arc<Worker>, what: Download) -> Outcome {
    if what.compressed && what.file.content != "iso" {
        return Err(Broken(format!(
            "decompression not supported for {}",
            what.file.content
        )));
    }
    let (path, present, per_gib) = {
        let world = worker.world();
        let present = world.volume(worker.node(), &what.file.volid()).is_some();
        let slowness = world.faults.slowness(&what.file.storage);
        (
            what.file.path(&world),
            present,
            world.durations.download_per_gib * slowness,
        )
    };
    worker.log(&format!("downloading {} to {path}", what.url));
    if present {
        return existing(&worker, &what, &path);
    }
    let size = size_of(&what.url);
    worker.log(&format!(
        "Length: {size} ({}M) [application/octet-stream]",
        size >> 20
    ));
    worker
        .toil_in_steps(per_gib * float(size) / float(GIB), |done, _| {
            let percent = (done * 100.0).floor();
            worker.log(&format!(" {percent:>3}% of {}M", size >> 20));
        })
        .await?;
    if let Some((algorithm, expected)) = &what.checksum {
        verify(&worker, algorithm, expected, &what.url)?;
    }
    let now = worker.sim.clock.seconds();
    let put = what.file.put(&mut worker.world(), size, now);
    put.map_err(|text| {
        worker.log(&format!("{path}: {text}"));
        "download failed: exit code 3".to_owned()
    })?;
    worker.log(&format!("download of '{}' to '{path}' finished", what.url));
    Ok(())
}

/// A file of that name is not written over; one with the right digest is as good as a new one.
fn existing(worker: &Worker, what: &Download, path: &str) -> Outcome {
    let Some((algorithm, expected)) = &what.checksum else {
        return Err(Broken(format!("refusing to override existing file '{path}'")));
    };
    if expected.len() == digest_length(algorithm) {
        worker
            .log("calculating checksum of existing file...OK, got correct file already, no need to download");
        return Ok(());
    }
    let got = digest_of(algorithm, &what.url);
    Err(Broken(format!(
        "checksum mismatch: got '{got}' != expect '{expected}', aborting"
    )))
}

fn verify(worker: &Worker, algorithm: &str, expected: &str, url: &str) -> Outcome {
    if expected.len() == digest_length(algorithm) {
        worker.log("calculating checksum...OK, checksum verified");
        return Ok(());
    }
    let got = digest_of(algorithm, url);
    Err(Broken(format!(
        "checksum mismatch: got '{got}' != expect '{expected}'"
    )))
}

/// An upload that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// What it shall become.
    pub(crate) file: File,
    /// Its temporary name.
    pub(crate) temporary: String,
    /// What has arrived.
    pub(crate) received: Received,
    /// The digest that is expected.
    pub(crate) expected: Option<String>,
}

/// `imgcopy`: puts an uploaded file where it belongs, in place of one that is there.
pub(crate) async fn upload(worker: Arc<Worker>, what: Upload) -> Outcome {
    worker.log(&format!("starting file import from: {}", what.temporary));
    if let (Some(expected), Some(got)) = (&what.expected, &what.received.digest) {
        if !got.eq_ignore_ascii_case(expected) {
            worker.log("calculating checksum...");
            return Err(Broken(format!(
                "checksum mismatch: got '{got}' != expect '{expected}'"
            )));
        }
        worker.log("calculating checksum...OK, checksum verified");
    }
    let size = what.received.size;
    let (path, seconds) = {
        let world = worker.world();
        let slowness = world.faults.slowness(&what.file.storage);
        let seconds = world.durations.copy_per_gib * slowness * float(size) / float(GIB);
        (what.file.path(&world), seconds)
    };
    worker.log(&format!("target node: {}", what.file.node));
    worker.log(&format!("target file: {path}"));
    worker.log(&format!("file size is: {size}"));
    worker.log(&format!("command: cp -- {} {path}", what.temporary));
    worker.toil(seconds).await?;
    let now = worker.sim.clock.seconds();
    let put = what.file.put(&mut worker.world(), size, now);
    put.map_err(|text| format!("import failed: cp: error writing '{path}': {text}"))?;
    worker.log("finished file import successfully");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_size_and_digests_of_the_right_length() {
        let url = "https://example.org/a.iso";
        assert_eq!(size_of(url), size_of(url));
        assert_ne!(size_of(url), size_of("https://example.org/b.iso"));
        for (algorithm, length) in [("md5", 32), ("sha1", 40), ("sha512", 128)] {
            assert_eq!(digest_of(algorithm, url).len(), length);
        }
    }
}
