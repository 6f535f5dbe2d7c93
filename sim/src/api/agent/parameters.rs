//! Guest agent commands with parameters: passwords, and programs that are run.

use serde_json::{Value, json};

use super::{UNRESTRICTED, answering, refused};
use crate::api::{Answer, Call, Endpoint};
use crate::schema::Property;
use crate::world::counters::Effect;
use crate::world::guest::{Executed, is_windows};
use crate::world::vm::{GuestAgent, Vm};

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent/set-user-password",
        UNRESTRICTED,
        PASSWORD,
        set_user_password,
    ),
    Endpoint::on_node(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent/exec",
        UNRESTRICTED,
        EXEC,
        exec,
    ),
    Endpoint::on_node(
        "GET",
        "/nodes/{node}/qemu/{vmid}/agent/exec-status",
        UNRESTRICTED,
        EXEC_STATUS,
        exec_status,
    ),
];

const PASSWORD: &[Property] = &[
    Property::text("username"),
    Property::text("password").no_shorter_than(5).no_longer_than(1024),
    Property::boolean("crypted").optional(),
];
const EXEC: &[Property] = &[
    Property::text("command").array(),
    Property::text("input-data").optional().no_longer_than(65_536),
];
const EXEC_STATUS: &[Property] = &[Property::integer("pid")];

/// How long a command runs in the guest, in seconds.
const RUNS: f64 = 0.5;

/// Whether the guest has a user of that name: the administrator, and the one that cloud-init makes.
fn has_user(vm: &Vm, name: &str) -> bool {
    if is_windows(vm) {
        return name.eq_ignore_ascii_case("Administrator");
    }
    name == "root" || name == vm.get("ciuser").unwrap_or("debian")
}

fn set_user_password(call: &mut Call<'_>) -> Answer {
    let vm = answering(call, "set-user-password")?;
    let user = call.params.text("username").to_owned();
    if vm.agent == GuestAgent::Refusing {
        return Err(refused(
            "Command guest-set-user-password has been disabled: the command is not allowed",
        ));
    }
    if !has_user(vm, &user) {
        return Err(refused("child process has failed to set user password"));
    }
    let hash = call.params.text("password").starts_with('$');
    if call.params.flag("crypted") && (is_windows(vm) || !hash) {
        return Err(refused(if is_windows(vm) {
            "Invalid parameter 'crypted'"
        } else {
            "child process has failed to set user password"
        }));
    }
    let vmid = call.vmid();
    call.world.counters.effect(Effect::PasswordSet, vmid, Some(&user));
    Ok(json!({ "result": {} }).into())
}

fn exec(call: &mut Call<'_>) -> Answer {
    let vm = answering(call, "exec")?;
    if vm.agent == GuestAgent::Refusing {
        return Err(refused(
            "Command guest-exec has been disabled: the command is not allowed",
        ));
    }
    let words = call.params.text("command").split('\0').collect::<Vec<_>>();
    let input = call.params.get("input-data").unwrap_or_default();
    let (exit, output) = match words.as_slice() {
        ["echo" | "/bin/echo", rest @ ..] => (0, rest.join(" ") + "\n"),
        ["cat" | "/bin/cat"] => (0, input.to_owned()),
        ["hostname" | "/bin/hostname"] => (0, vm.name() + "\n"),
        ["true" | "/bin/true"] => (0, String::new()),
        ["false" | "/bin/false"] => (1, String::new()),
        [program, ..] => {
            return Err(refused(&format!(
                "Guest agent command failed, error was 'Failed to execute child process “{program}” (No such file or directory)'"
            )));
        }
        [] => return Err(refused("Invalid parameter 'path'")),
    };
    let ends = call.sim.clock.now() + call.sim.clock.real(RUNS).as_secs_f64();
    let (node, vmid) = (call.node(), call.vmid());
    let vm = call.world.vm_mut(&node, vmid)?;
    let pid = vm.guest.execute(Executed { exit, output, ends });
    Ok(json!({ "pid": pid }).into())
}

/// As in the agent, the end of a command is told once, then it is forgotten.
fn exec_status(call: &mut Call<'_>) -> Answer {
    answering(call, "exec-status")?;
    let now = call.sim.clock.now();
    let pid = call.params.integer("pid").unwrap_or(0);
    let (node, vmid) = (call.node(), call.vmid());
    let vm = call.world.vm_mut(&node, vmid)?;
    match vm.guest.executed.get(&pid) {
        None => Err(refused(&format!("PID {pid} does not exist"))),
        Some(executed) if now < executed.ends => Ok(json!({ "exited": 0 }).into()),
        Some(_) => {
            let Some(executed) = vm.guest.executed.remove(&pid) else {
                return Err(refused(&format!("PID {pid} does not exist")));
            };
            let mut out = json!({ "exited": 1, "exitcode": executed.exit });
            if !executed.output.is_empty()
                && let Some(map) = out.as_object_mut()
            {
                map.insert("out-data".to_owned(), Value::from(executed.output));
            }
            Ok(out.into())
        }
    }
}
