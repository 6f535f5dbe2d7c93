//! `vncproxy` and `vncwebsocket`. Neither is forwarded: both act on the host that was called.

use serde_json::{Map, Value, json};

use super::{Allow, Answer, Call, Endpoint, Reply};
use crate::console::{self, Asked};
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

fn proxy(call: &mut Call<'_>) -> Answer {
    let (node, vmid) = (call.node(), call.vmid());
    let vga = call.world.vm(&node, vmid)?.get("vga").unwrap_or_default();
    let display = vga.split(',').next().unwrap_or_default();
    let serial = display.trim_start_matches("type=").starts_with("serial");
    let asked = Asked {
        who: call.who,
        host: call.host,
        vmid,
        websocket: call.params.flag("websocket"),
        password: call.params.flag("generate-password"),
        serial,
    };
    let opened = console::open(call.sim, call.world, &node, asked)
        .ok_or_else(|| Failure::died("unable to find free port (5900-5999)"))?;
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
