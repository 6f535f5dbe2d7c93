//! Backup jobs.

use serde_json::{Map, Value};

use super::prune::retention;
use super::{Allow, Answer, Call, Endpoint};
use crate::failure::Failure;
use crate::schema::{Property, format};
use crate::work::fork_about;
use crate::work::vzdump::{self, Compression, Job, Mode};
use crate::world::retention::Keep;

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node("POST", "/nodes/{node}/vzdump", Allow::User, CREATE, create),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/vzdump/defaults",
        Allow::User,
        &[Property::text("storage").optional().format(format::storage_id)],
        defaults,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/vzdump/extractconfig",
        Allow::User,
        &[Property::text("volume")],
        extract_config,
    ),
];

const CREATE: &[Property] = &[
    Property::boolean("all").optional(),
    Property::integer("bwlimit").optional().at_least(0),
    Property::text("compress")
        .optional()
        .one_of(&["0", "1", "gzip", "lzo", "zstd"]),
    Property::text("dumpdir").optional(),
    Property::text("exclude").optional().list_of(format::vmid),
    Property::text("exclude-path").optional(),
    Property::text("fleecing").optional(),
    Property::integer("ionice").optional().at_least(0).at_most(8),
    Property::text("job-id").optional().no_longer_than(50),
    Property::integer("lockwait").optional().at_least(0),
    Property::text("mailnotification")
        .optional()
        .one_of(&["always", "failure"]),
    Property::text("mailto").optional().list_of(format::mail_or_user),
    Property::integer("maxfiles").optional().at_least(1),
    Property::text("mode")
        .optional()
        .one_of(&["snapshot", "suspend", "stop"]),
    Property::text("notes-template")
        .optional()
        .no_longer_than(1024)
        .requires("storage"),
    Property::text("notification-mode").optional().one_of(&[
        "auto",
        "legacy-sendmail",
        "notification-system",
    ]),
    Property::text("pbs-change-detection-mode")
        .optional()
        .one_of(&["legacy", "data", "metadata"]),
    Property::text("performance").optional(),
    Property::integer("pigz").optional(),
    Property::text("pool").optional(),
    Property::boolean("protected").optional().requires("storage"),
    Property::text("prune-backups").optional().format(retention),
    Property::boolean("quiet").optional(),
    Property::boolean("remove").optional(),
    Property::text("script").optional(),
    Property::boolean("stdexcludes").optional(),
    Property::boolean("stdout").optional(),
    Property::boolean("stop").optional(),
    Property::integer("stopwait").optional().at_least(0),
    Property::text("storage").optional().format(format::storage_id),
    Property::text("tmpdir").optional(),
    Property::text("vmid").optional().list_of(format::vmid),
    Property::integer("zstd").optional(),
];

fn privileged(call: &Call<'_>, storage: &str) -> Result<(), Failure> {
    if call.who == "root@pam" {
        return Ok(());
    }
    for option in ["tmpdir", "dumpdir", "script", "job-id"] {
        if call.params.get(option).is_some() {
            return Err(Failure::parameter(option, "Only root may set this option."));
        }
    }
    if ["bwlimit", "ionice", "performance"]
        .iter()
        .any(|option| call.params.get(option).is_some())
    {
        call.require("/", &["Sys.Modify"])?;
    }
    if call.params.get("prune-backups").is_some() {
        call.require(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
    }
    Ok(())
}

fn consistent(call: &Call<'_>) -> Result<(), Failure> {
    let params = &call.params;
    for option in ["all", "exclude", "pool"] {
        let given = params.get(option).is_some_and(|value| value != "0");
        if given && params.get("vmid").is_some() {
            return Err(Failure::parameter(option, "option conflicts with option 'vmid'"));
        }
    }
    if let Some(template) = params.get("notes-template") {
        format::notes_template("", template)
            .map_err(|reason| Failure::parameter("notes-template", reason))?;
    }
    if params.flag("stdout") {
        let text = "option is only allowed on the command line interface.";
        return Err(Failure::parameter("stdout", text));
    }
    let wide = params.flag("all")
        || params.flag("stop")
        || params.get("pool").is_some()
        || params.get("exclude").is_some();
    if params.get("vmid").is_none() && !wide {
        return Err(Failure::parameter("vmid", "property is missing"));
    }
    Ok(())
}

/// The VMs that were asked for: those for this node (VMs that do not exist among them), and those of others.
fn included(call: &Call<'_>) -> (Vec<u32>, Vec<u32>) {
    let numbers = |name: &str| {
        let text = call.params.get(name).unwrap_or_default();
        format::items(text)
            .filter_map(|id| id.parse::<u32>().ok())
            .collect::<Vec<_>>()
    };
    let wanted = if let Some(pool) = call.params.get("pool") {
        let members = call.world.access.pools.get(pool);
        members.into_iter().flat_map(|pool| &pool.vms).copied().collect()
    } else if call.params.get("vmid").is_some() {
        numbers("vmid")
    } else if call.params.flag("all") || call.params.get("exclude").is_some() {
        let left_out = numbers("exclude");
        let all = call.world.vms.keys().copied();
        all.filter(|vmid| !left_out.contains(vmid)).collect()
    } else {
        Vec::new()
    };
    let node = call.params.text("node");
    let elsewhere = |vmid: &u32| call.world.vms.get(vmid).is_some_and(|vm| vm.node != node);
    let mut wanted = wanted;
    wanted.sort_unstable();
    let (other, own) = wanted.into_iter().partition(elsewhere);
    (own, other)
}

fn create(call: &mut Call<'_>) -> Answer {
    let storage = call.params.get("storage").unwrap_or("local").to_owned();
    privileged(call, &storage)?;
    consistent(call)?;
    let node = call.node();
    let (vmids, elsewhere) = included(call);
    if call.params.flag("stop") {
        call.require(&format!("/nodes/{node}"), &["Sys.Modify"])?;
        let running = call
            .world
            .tasks
            .iter()
            .find(|task| task.end.is_none() && task.upid.kind == "vzdump" && task.upid.node == node);
        if let Some(task) = running {
            task.cancel.cancel();
        }
    }
    let all = call.params.flag("all")
        || (call.params.get("exclude").is_some() && call.params.get("pool").is_none());
    if vmids.is_empty() && !all {
        return Ok("OK".to_owned().into());
    }
    call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let params = &call.params;
    let number = |name: &str, default: u32| {
        params
            .integer(name)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let numbers = vmids.iter().map(u32::to_string);
    let options = params
        .iter()
        .filter(|(name, _)| !["vmid", "node"].contains(name))
        .map(|(name, value)| format!("--{name} {}", quoted(value)));
    let arguments = numbers.chain(options).collect::<Vec<_>>().join(" ");
    let keep = match (params.get("prune-backups"), params.integer("maxfiles")) {
        (Some(text), _) => Some(Keep::parse(text)?),
        (None, Some(count)) => Some(Keep::parse(&format!("keep-last={count}"))?),
        (None, None) => None,
    };
    let job = Job {
        all,
        storage,
        mode: Mode::from_name(params.text("mode")),
        compression: Compression::from_name(params.text("compress")),
        notes: params.get("notes-template").map(str::to_owned),
        protected: params.flag("protected"),
        remove: params.get("remove") != Some("0"),
        keep,
        lock_wait: number("lockwait", 180),
        stop_wait: number("stopwait", 10),
        command: format!("vzdump {arguments}"),
        elsewhere,
        vmids,
    };
    let about = match job.vmids.as_slice() {
        [one] => one.to_string(),
        _ => String::new(),
    };
    let upid = fork_about(
        call.sim,
        call.world,
        &node,
        "vzdump",
        &about,
        call.who,
        |worker| vzdump::run(worker, job),
    );
    Ok(upid.into())
}

/// An argument as a shell would take it.
fn quoted(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,".contains(&b));
    if plain && !text.is_empty() {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn defaults(call: &mut Call<'_>) -> Answer {
    let id = call.params.get("storage").unwrap_or("local");
    call.require(
        &format!("/storage/{id}"),
        &["Datastore.Audit", "Datastore.AllocateSpace"],
    )?;
    let storage = call
        .world
        .storages
        .get(id)
        .ok_or_else(|| format!("storage '{id}' does not exist"))?;
    if !storage.content.contains("backup") {
        return Err(Failure::died(format!(
            "can't use storage '{id}' for backups - wrong content type"
        )));
    }
    let keep = storage.prune.clone().unwrap_or_else(Keep::all);
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    for (key, value) in [
        ("storage", id),
        ("mode", "snapshot"),
        ("compress", "0"),
        ("mailnotification", "always"),
        ("notification-mode", "auto"),
    ] {
        put(key, Value::from(value));
    }
    put("prune-backups", Value::from(keep.print()));
    for (key, value) in [
        ("all", 0),
        ("bwlimit", 0),
        ("lockwait", 180),
        ("pigz", 0),
        ("quiet", 0),
        ("remove", 1),
        ("stdexcludes", 1),
        ("stop", 0),
        ("stopwait", 10),
        ("zstd", 1),
    ] {
        put(key, Value::from(value));
    }
    Ok(Value::Object(out).into())
}

fn extract_config(call: &mut Call<'_>) -> Answer {
    let volid = call.params.text("volume").to_owned();
    call.world.readable(call.who, None, &volid, Some("backup"))?;
    let (id, _, named) = call.world.named(&volid)?;
    if let Some(owner) = named.owner {
        call.require(&format!("/vms/{owner}"), &["VM.Backup"])?;
    }
    let node = call.node();
    call.world.usable_storage(id, &node)?;
    match call.world.archives.get(&node, &volid) {
        Some(archive) => Ok(archive.text().into()),
        None => Err(Failure::died(format!("can't find file '{volid}'"))),
    }
}
