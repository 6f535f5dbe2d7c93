//! Files by the guest agent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{answering, refused, whoever};
use crate::api::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::Property;
use crate::world::guest::files::{self, Trouble};
use crate::world::guest::is_windows;
use crate::world::vm::{GuestAgent, Vm};

/// How much is read at most, in bytes.
const MOST: u64 = 16 << 20;
/// How much PVE asks the agent for at a time, in bytes.
const CHUNK: usize = 1 << 20;

const READ: Allow = whoever(&["VM.GuestAgent.FileRead", "VM.GuestAgent.Unrestricted"]);
const WRITE: Allow = whoever(&["VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/agent/file-read",
        READ,
        READ_PARAMETERS,
        read,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent/file-write",
        WRITE,
        WRITE_PARAMETERS,
        write,
    ),
];

const READ_PARAMETERS: &[Property] = &[
    Property::text("file"),
    Property::integer("count")
        .optional()
        .at_least(1)
        .at_most(16 << 20)
        .new_in_9(),
    Property::boolean("decode").optional().new_in_9(),
    Property::integer("offset").optional().at_least(0).new_in_9(),
];
const WRITE_PARAMETERS: &[Property] = &[
    Property::text("file"),
    Property::text("content").no_longer_than(60 * 1024),
    Property::boolean("encode").optional(),
];

/// The VM, if its agent opens files.
fn opening<'a>(call: &'a Call<'_>) -> Result<&'a Vm, Failure> {
    let vm = answering(call, "file-open")?;
    let disabled = match vm.agent {
        GuestAgent::Refusing => "the command is not allowed",
        _ if vm.guest.frozen => "the agent is in frozen state",
        _ => return Ok(vm),
    };
    Err(refused(&format!(
        "Command guest-file-open has been disabled: {disabled}"
    )))
}

/// What the agent says of a file that cannot be opened.
fn unopened(vm: &Vm, path: &str, mode: &str, trouble: Trouble) -> Failure {
    let windows = is_windows(vm);
    let reason = trouble.text(windows);
    if windows {
        return refused(&format!("failed to open file '{path}': {reason}"));
    }
    refused(&format!(
        "failed to open file '{path}' (mode: '{mode}'): {reason}"
    ))
}

fn read(call: &mut Call<'_>) -> Answer {
    let vm = opening(call)?;
    let path = call.params.text("file");
    let content = files::read(vm, path).map_err(|trouble| match trouble {
        // A directory can be opened, which shows when it is read.
        Trouble::Directory if !is_windows(vm) => refused("failed to read file: Is a directory"),
        _ => unopened(vm, path, "r", trouble),
    })?;
    let number = |name: &str| call.params.integer(name).and_then(|n| u64::try_from(n).ok());
    let count = usize::try_from(number("count").unwrap_or(MOST)).unwrap_or(usize::MAX);
    let offset = usize::try_from(number("offset").unwrap_or(0)).unwrap_or(usize::MAX);
    let left = content.get(offset..).unwrap_or_default();
    let got = left.get(..count).unwrap_or(left);
    let text = if call.params.get("decode") == Some("0") {
        // Each piece that PVE asked for is encoded on its own.
        got.chunks(CHUNK).map(|chunk| STANDARD.encode(chunk)).collect()
    } else {
        // PVE takes bytes for characters: what is not ASCII comes out as Latin-1.
        got.iter().copied().map(char::from).collect::<String>()
    };
    let mut out = json!({ "content": text, "bytes-read": got.len() });
    // The end is known only to who has read beyond it.
    if left.len() >= count
        && let Some(out) = out.as_object_mut()
    {
        out.insert("truncated".to_owned(), Value::from(1));
    }
    Ok(out.into())
}

fn write(call: &mut Call<'_>) -> Answer {
    opening(call)?;
    let path = call.params.text("file").to_owned();
    let given = call.params.text("content");
    let content = if call.params.get("encode") == Some("0") {
        STANDARD
            .decode(given.replace(['\n', '\r'], ""))
            .map_err(|_| refused(&format!("Base64 data '{given}' is not valid")))?
    } else {
        // PVE encodes characters as bytes, which only those of Latin-1 are.
        let bytes = given.chars().map(u8::try_from).collect::<Result<Vec<_>, _>>();
        bytes.map_err(|_| Failure::died("Wide character in subroutine entry"))?
    };
    let (node, vmid) = (call.node(), call.vmid());
    let vm = call.world.vm_mut(&node, vmid)?;
    if let Err(trouble) = files::write(vm, &path, content) {
        return Err(unopened(vm, &path, "wb", trouble));
    }
    Ok(Value::Null.into())
}
