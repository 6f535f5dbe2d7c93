//! Files that come into a storage with the request.

use super::download::{ALGORITHM, CHECKSUM, CONTENT, FILENAME, configured, normal_name, well_named};
use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::work::{files, fork_about};

pub(super) const ROUTES: &[Endpoint] = &[Endpoint::anywhere(
    "POST",
    "/nodes/{node}/storage/{storage}/upload",
    Allow::On("/storage/{storage}", &["Datastore.AllocateTemplate"]),
    UPLOAD,
    upload,
)];

const UPLOAD: &[Property] = &[
    CONTENT,
    FILENAME,
    CHECKSUM,
    ALGORITHM,
    Property::text("tmpfilename").optional().pattern(is_temporary),
];

fn is_temporary(text: &str) -> bool {
    text.strip_prefix("/var/tmp/pveupload-")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Takes the file that came with the request. The node that was asked does it, by `scp` where another one is named.
fn upload(call: &mut Call<'_>) -> Answer {
    let temporary = call.params.text("tmpfilename").to_owned();
    let received = call.world.uploads.take(&temporary);
    let (id, node) = (call.params.text("storage").to_owned(), call.node());
    let content = call.params.text("content").to_owned();
    let storage = configured(call, &id, &node)?;
    let kind = storage.kind;
    if !kind.is_files() {
        return Err(Failure::died(format!(
            "can't upload to storage type '{}'",
            kind.name()
        )));
    }
    if temporary.is_empty() {
        return Err(Failure::died("missing temporary file name"));
    }
    let received = received.ok_or_else(|| format!("temporary file '{temporary}' does not exist"))?;
    let name = normal_name(call.params.text("filename"));
    well_named(&content, &name)?;
    if !storage.content.contains(&content) {
        return Err(Failure::died(format!(
            "storage '{id}' does not support '{content}' content"
        )));
    }
    reachable(call, &id, &node)?;
    call.world.usable_storage(&id, &node)?;
    let asked = call
        .world
        .nodes
        .get_index(call.host)
        .map(|(name, _)| name.clone());
    let worker_node = asked.unwrap_or_else(|| node.clone());
    let what = files::Upload {
        file: files::File {
            storage: id,
            node,
            content,
            name,
        },
        temporary,
        received,
        expected: call.params.get("checksum").map(str::to_owned),
    };
    let upid = fork_about(
        call.sim,
        call.world,
        &worker_node,
        "imgcopy",
        "",
        call.who,
        |worker| files::upload(worker, what),
    );
    Ok(upid.into())
}

/// Whether the node that was asked can reach the one that the file is for.
fn reachable(call: &Call<'_>, id: &str, node: &str) -> Result<(), String> {
    match call.world.nodes.get(node) {
        None => Err(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        )),
        Some(known) if !known.online => Err(format!(
            "can't activate storage '{id}' on node '{node}': command '/usr/bin/ssh {} -- /usr/sbin/pvesm status \
             --storage {id}' failed: exit code 255",
            known.address
        )),
        Some(_) => Ok(()),
    }
}
