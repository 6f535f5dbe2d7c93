//! Which interfaces there are, and which of them a plugin's linker gets: a grant is a link.

use std::collections::BTreeSet;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, component::Component, component::types::ComponentItem};

use crate::bindings;
use crate::capability::FUNCTIONS;
use crate::state::CallState;
use crate::wasi;

/// Package of the contract, as it stands in import names.
const PACKAGE: &str = "portico:plugin/";
/// Interfaces that hold types only. They grant nothing and need no approval.
const TYPES: [&str; 2] = ["types", "context-types"];

/// An import of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Import {
    /// Types of the contract.
    Types,
    /// An interface of the contract that exists, with its name (`snapshots`).
    Capability(&'static str),
    /// An interface of WASI that is offered.
    Wasi,
    /// Anything else.
    Unknown,
}

pub(crate) fn classify(name: &str) -> Import {
    if wasi::is_wasi(name) {
        return if wasi::is_offered(name) {
            Import::Wasi
        } else {
            Import::Unknown
        };
    }
    let Some(interface) = name.strip_prefix(PACKAGE) else {
        return Import::Unknown;
    };
    let interface = interface
        .split_once('@')
        .map_or(interface, |(interface, _)| interface);
    if TYPES.contains(&interface) {
        return Import::Types;
    }
    FUNCTIONS
        .iter()
        .find(|(known, _)| *known == interface)
        .map_or(Import::Unknown, |(known, _)| Import::Capability(known))
}

/// The imports of a component: full name and, for an instance, its functions.
pub(crate) fn imports(engine: &Engine, component: &Component) -> Vec<(String, Vec<String>)> {
    let ty = component.component_type();
    let of = |item: &ComponentItem| match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => Vec::new(),
    };
    ty.imports(engine)
        .map(|(name, import)| (name.to_owned(), of(&import.ty)))
        .collect()
}

/// A linker with exactly the named interfaces, and WASI if asked for.
pub(crate) fn linker(
    engine: &Engine,
    interfaces: &BTreeSet<&'static str>,
    with_wasi: bool,
) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    for interface in interfaces {
        link(&mut linker, interface)?;
    }
    if with_wasi {
        wasi::link(&mut linker)?;
    }
    Ok(linker)
}

fn link(linker: &mut Linker<CallState>, interface: &str) -> wasmtime::Result<()> {
    use bindings::{http, jobs, log, mail, power, provision, snapshots, storage, vm};
    match interface {
        "http" => http::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "jobs" => jobs::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "log" => log::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "mail" => mail::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "power" => power::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "provision" => provision::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "snapshots" => snapshots::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "storage" => storage::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        "vm" => vm::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        other => wasmtime::bail!("interface `{other}` is listed but not linked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_interface_can_be_linked() {
        let engine = Engine::default();
        for (interface, _) in FUNCTIONS {
            assert!(
                linker(&engine, &BTreeSet::from([*interface]), false).is_ok(),
                "{interface}"
            );
        }
    }

    #[test]
    fn imports_are_told_apart_by_their_whole_name() {
        assert_eq!(classify("portico:plugin/vm@0.1.0"), Import::Capability("vm"));
        assert_eq!(classify("portico:plugin/types@0.1.7"), Import::Types);
        assert_eq!(classify("portico:plugin/console@0.1.0"), Import::Unknown);
        assert_eq!(classify("portico:plugin-x/vm@0.1.0"), Import::Unknown);
        assert_eq!(classify("vm"), Import::Unknown);
        assert_eq!(classify("wasi:sockets/tcp@0.2.0"), Import::Unknown);
        assert_eq!(classify("wasi:io/poll@0.2.6"), Import::Wasi);
    }
}
