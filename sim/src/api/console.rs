//! Consoles: `vncproxy`, `termproxy` and `vncwebsocket`, which are not forwarded but act on the host that was called; and
//! `sendkey`.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Flock, Reply};
use crate::console::{self, Asked, Line};
use crate::failure::Failure;
use crate::schema::Property;

const CONSOLE: Allow = Allow::On("/vms/{vmid}", &["VM.Console"]);

pub(super) const ROUTES: &[Endpoint] = &[
    Endpoint::anywhere(
        "POST",
        "/nodes/{node}/qemu/{vmid}/vncproxy",
        CONSOLE,
        PROXY,
        proxy,
    ),
    Endpoint::anywhere(
        "POST",
        "/nodes/{node}/qemu/{vmid}/termproxy",
        CONSOLE,
        &[Property::text("serial").optional().one_of(SERIAL)],
        terminal,
    ),
    Endpoint {
        flock: Some(Flock::USUAL),
        ..Endpoint::on_node(
            "PUT",
            "/nodes/{node}/qemu/{vmid}/sendkey",
            CONSOLE,
            &[Property::text("key"), Property::boolean("skiplock").optional()],
            send_key,
        )
    },
    Endpoint::anywhere(
        "GET",
        "/nodes/{node}/qemu/{vmid}/vncwebsocket",
        CONSOLE,
        SOCKET,
        socket,
    ),
];

const PROXY: &[Property] = &[
    Property::boolean("websocket").optional(),
    Property::boolean("generate-password").optional(),
];
const SOCKET: &[Property] = &[
    Property::integer("port").at_least(5900).at_most(5999),
    Property::text("vncticket").no_longer_than(512),
];

const SERIAL: &[&str] = &["serial0", "serial1", "serial2", "serial3"];

/// What a VM has as its display.
fn display(call: &Call<'_>) -> Result<String, Failure> {
    let vm = call.world.vm(&call.node(), call.vmid())?;
    let vga = vm.get("vga").unwrap_or_default();
    let kind = vga.split(',').next().unwrap_or_default();
    Ok(kind.trim_start_matches("type=").to_owned())
}

fn no_port() -> Failure {
    Failure::died("unable to find free port (5900-5999)")
}

fn proxy(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let serial = display(call)?.starts_with("serial");
    let asked = Asked {
        who: call.who,
        host: call.host,
        vmid,
        websocket: call.params.flag("websocket"),
        password: call.params.flag("generate-password"),
        serial,
    };
    let opened = console::open(call.sim, call.world, &node, asked).ok_or_else(no_port)?;
    // Perl tells numbers and texts apart by how a value was used last, so PVE has sent both.
    let port = if call.world.consoles.old_tickets {
        Value::from(opened.port)
    } else {
        Value::from(opened.port.to_string())
    };
    let mut data = Map::new();
    data.insert("user".to_owned(), call.who.into());
    data.insert("ticket".to_owned(), opened.ticket.into());
    data.insert("port".to_owned(), port);
    data.insert("upid".to_owned(), opened.upid.into());
    data.insert("cert".to_owned(), call.sim.identity.borrow().pem.clone().into());
    if let Some(password) = opened.password {
        data.insert("password".to_owned(), password.into());
    }
    Ok(Value::Object(data).into())
}

/// As in PVE, what is wrong with the serial line is told in the terminal.
fn terminal(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let display = display(call)?;
    let shown = SERIAL.contains(&display.as_str()).then_some(display);
    let line = Line {
        who: call.who.to_owned(),
        host: call.host,
        vmid,
        interface: call.params.get("serial").map(str::to_owned).or(shown),
    };
    let opened = console::open_terminal(call.sim, call.world, &node, line).ok_or_else(no_port)?;
    Ok(json!({
        "user": call.who,
        "ticket": opened.ticket,
        "port": opened.port,
        "upid": opened.upid,
    })
    .into())
}

/// Keys go to QEMU by the names of its monitor.
fn send_key(call: &mut Call<'_>) -> Answer {
    call.root_only("skiplock")?;
    let (node, vmid) = (call.node(), call.vmid());
    if call.world.vm(&node, vmid)?.run.is_none() {
        return Err(Failure::died(format!("VM {vmid} not running")));
    }
    let keysyms = console::keys::chord(call.params.text("key"))?;
    console::press(call.world, vmid, &keysyms, &call.sim.clock);
    Ok(Value::Null.into())
}

fn socket(call: &mut Call<'_>) -> Answer {
    let port = call.params.integer("port").unwrap_or(0);
    let port = u16::try_from(port).unwrap_or(0);
    let now = call.sim.clock.seconds();
    let ticket = call.params.text("vncticket");
    if !console::admits(call.world, ticket, call.who, call.vmid(), port, now) {
        return Err(Failure::new(401, "permission denied - invalid PVEVNC ticket"));
    }
    Ok(Reply {
        data: json!({ "port": port.to_string() }),
        console: Some(port),
        ..Reply::default()
    })
}
