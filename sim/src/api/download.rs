//! Files that come into a storage: downloads from a URL.
//!
//! Nothing is downloaded: a file of a plausible size, always the same for a URL, appears after a while. A checksum is
//! taken as right when it has the length that its algorithm gives.

use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::{files, fork_about};
use crate::world::storage::Storage;

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::on_node(
    "POST",
    "/nodes/{node}/storage/{storage}/download-url",
    MAY_DOWNLOAD,
    DOWNLOAD,
    download,
)];

/// Templates may be put on the storage, and the node's network reached: a URL can be one that only the node reaches.
const MAY_DOWNLOAD: Allow = Allow::Judged(|world, given, who| {
    let text = |name: &str| super::access::judges::text(given, name);
    world.require(
        who,
        &format!("/storage/{}", text("storage")),
        &["Datastore.AllocateTemplate"],
    )?;
    let all = ["Sys.Audit", "Sys.Modify"]
        .iter()
        .all(|privilege| world.access.may(who, "/", privilege));
    if all
        || world
            .access
            .may(who, &format!("/nodes/{}", text("node")), "Sys.AccessNetwork")
    {
        Ok(())
    } else {
        Err(Failure::forbidden(""))
    }
});

/// What downloads and uploads have in common.
pub(super) const CONTENT: Property = Property::text("content")
    .format(format::storage_content)
    .one_of(&["iso", "vztmpl", "import"]);
pub(super) const FILENAME: Property = Property::text("filename").no_longer_than(255);
pub(super) const CHECKSUM: Property = Property::text("checksum")
    .optional()
    .requires("checksum-algorithm");
pub(super) const ALGORITHM: Property = Property::text("checksum-algorithm")
    .optional()
    .one_of(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
    .requires("checksum");

const DOWNLOAD: &[Property] = &[
    CONTENT,
    FILENAME,
    CHECKSUM,
    ALGORITHM,
    Property::text("url").pattern(|text| text.starts_with("http://") || text.starts_with("https://")),
    Property::text("compression")
        .optional()
        .one_of(&["gz", "lzo", "zst", "bz2"]),
    Property::boolean("verify-certificates").optional(),
];

/// The last part of a path, with `_` for what PVE does not like in file names.
pub(super) fn normal_name(given: &str) -> String {
    let last = given.trim_end_matches('\n').rsplit(['/', '\\']).next();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let safe = last.unwrap_or_default().chars();
    safe.map(|c| if good(c) { c } else { '_' }).collect()
}

/// Refuses a (normal) name whose ending does not go with the content.
pub(super) fn well_named(content: &str, name: &str) -> Result<(), Failure> {
    let lower = name.to_ascii_lowercase();
    let ends = |text: &str, endings: &[&str]| {
        endings
            .iter()
            .any(|ending| text.len() > ending.len() && text.ends_with(ending))
    };
    let (good, text) = match content {
        "iso" => (ends(&lower, &[".iso", ".img"]), "wrong file extension"),
        "vztmpl" => (
            ends(&lower, &[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"]),
            "wrong file extension",
        ),
        _ => (
            ends(name, &[".ova", ".qcow2", ".raw", ".vmdk"]),
            "invalid filename or wrong extension",
        ),
    };
    if good {
        Ok(())
    } else {
        Err(Failure::parameter("filename", text))
    }
}

/// A storage of files on a node that can be used there, but for whether it can be reached; or PVE's text.
pub(super) fn configured<'s>(call: &'s Call<'_>, id: &str, node: &str) -> Result<&'s Storage, String> {
    let known = call.world.storages.get(id);
    let storage = known.ok_or_else(|| format!("storage '{id}' does not exist"))?;
    if !storage.enabled {
        return Err(format!("storage '{id}' is disabled"));
    }
    if !storage.on(node) {
        return Err(format!("storage '{id}' is not available on node '{node}'"));
    }
    Ok(storage)
}

fn download(call: &mut Call<'_>) -> Answer {
    let (id, node) = (call.params.text("storage").to_owned(), call.node());
    let content = call.params.text("content").to_owned();
    let storage = configured(call, &id, &node)?;
    if !storage.kind.is_files() {
        return Err(Failure::died(format!(
            "can't upload to storage type '{}', not a file based storage!",
            storage.kind.name()
        )));
    }
    if !storage.content.contains(&content) {
        return Err(Failure::died(format!(
            "storage '{id}' is not configured for content-type '{content}'"
        )));
    }
    let name = normal_name(call.params.text("filename"));
    well_named(&content, &name)?;
    call.world.usable_storage(&id, &node)?;
    let checksum = call.params.get("checksum-algorithm").map(str::to_owned);
    let what = files::Download {
        file: files::File {
            storage: id,
            node: node.clone(),
            content,
            name: name.clone(),
        },
        url: call.params.text("url").to_owned(),
        checksum: checksum.zip(call.params.get("checksum").map(str::to_owned)),
        compressed: call.params.get("compression").is_some(),
    };
    let upid = fork_about(
        call.sim,
        call.world,
        &node,
        "download",
        &name,
        call.who,
        |worker| files::download(worker, what),
    );
    Ok(upid.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_folders_and_odd_characters() {
        assert_eq!(normal_name("a/b\\my file (1).iso"), "my_file__1_.iso");
        assert_eq!(normal_name("../../etc/x.iso"), "x.iso");
    }

    #[test]
    fn each_content_has_its_endings() {
        for (content, name, good) in [
            ("iso", "a.ISO", true),
            ("iso", ".iso", false),
            ("iso", "a.qcow2", false),
            ("vztmpl", "a.tar.zst", true),
            ("vztmpl", "a.tar.zst.x", false),
            ("import", "a.qcow2", true),
            ("import", "a.QCOW2", false),
        ] {
            assert_eq!(well_named(content, name).is_ok(), good, "{content} {name}");
        }
    }
}
