//! What can be said of a component before it is installed, and the checks that need no call of the guest.

use std::collections::BTreeSet;

use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bindings::guest::Description;
use crate::capability::FUNCTIONS;
use crate::digest::Digest;
use crate::install::InstallError;
use crate::limits::Limits;
use crate::linking::{self, Import};
use crate::scope::{Scope, ScopeSet};

/// Bytes of a page of linear memory.
const WASM_PAGE: u64 = 64 << 10;

/// A capability interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedInterface {
    /// The interface: `snapshots`.
    pub interface: String,
    /// The functions it uses: `list`, `create`.
    pub functions: Vec<String>,
    /// The scopes that these functions need, of which the product grants some.
    pub scopes: Vec<Scope>,
}

/// What a component needs of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Linear memories.
    pub memories: u32,
    /// Bytes of the largest one at start.
    pub initial_memory_bytes: u64,
    /// Tables.
    pub tables: u32,
    /// Elements of the largest one at start.
    pub initial_table_elements: u64,
}

/// Everything about a component that a provider wants to know before the decision.
#[derive(Debug)]
pub struct Inspection {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: usize,
    /// Capability interfaces, which need the provider's approval.
    pub imports: Vec<ImportedInterface>,
    /// Interfaces of WASI, by full name; all of them empty.
    pub wasi: Vec<String>,
    /// Imports that this panel does not have.
    pub unknown: Vec<String>,
    /// What it needs of the pool, if that could be told.
    pub resources: Option<Resources>,
    /// What it says of itself, if it answered.
    pub description: Option<Description>,
    /// The names of its templates, if it answered.
    pub templates: Vec<String>,
    /// Why it cannot be installed; none if it can, given approval of its imports.
    pub problem: Option<InstallError>,
}

/// The imports of a component, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    pub(crate) capabilities: Vec<ImportedInterface>,
    pub(crate) interfaces: BTreeSet<&'static str>,
    pub(crate) wasi: Vec<String>,
    pub(crate) unknown: Vec<String>,
    pub(crate) scopes: ScopeSet,
}

impl Imports {
    pub(crate) fn of(engine: &Engine, component: &Component) -> Self {
        let mut imports = Self::default();
        for (name, functions) in linking::imports(engine, component) {
            match linking::classify(&name) {
                Import::Types => {}
                Import::Wasi => imports.wasi.push(name),
                Import::Unknown => imports.unknown.push(name),
                Import::Capability(interface) => {
                    let scopes = scopes_of(interface, &functions);
                    for scope in &scopes {
                        imports.scopes.insert(*scope);
                    }
                    imports.interfaces.insert(interface);
                    let interface = interface.to_owned();
                    imports.capabilities.push(ImportedInterface {
                        interface,
                        functions,
                        scopes,
                    });
                }
            }
        }
        imports
    }
}

fn scopes_of(interface: &str, functions: &[String]) -> Vec<Scope> {
    let known = FUNCTIONS
        .iter()
        .filter(|(name, _)| *name == interface)
        .flat_map(|(_, functions)| *functions);
    let used = known.filter(|function| {
        let name = function
            .path
            .split_once('.')
            .map_or(function.path, |(_, name)| name);
        functions.iter().any(|used| used == name)
    });
    used.flat_map(|function| function.scopes)
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Looks at the bytes before anything is compiled: a component of allowed size whose memories and tables can fit.
///
/// The validity of the rest is wasmtime's to judge; this reads sizes only, and stops at what it cannot read.
pub(crate) fn check_bytes(bytes: &[u8], limits: &Limits) -> Result<(), InstallError> {
    if bytes.len() > limits.component_bytes {
        return Err(InstallError::TooLarge {
            size: bytes.len(),
            most: limits.component_bytes,
        });
    }
    if Parser::is_core_wasm(bytes) {
        return Err(InstallError::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(InstallError::NotWasm);
    }
    for payload in Parser::new(0).parse_all(bytes) {
        let invalid = |error: &dyn std::fmt::Display| InstallError::Malformed(error.to_string());
        match payload.map_err(|error| invalid(&error))? {
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory.map_err(|error| invalid(&error))?;
                    let page = memory
                        .page_size_log2
                        .map_or(WASM_PAGE, |log2| 1_u64.checked_shl(log2).unwrap_or(0));
                    fits(
                        "bytes of memory at start",
                        memory.initial.saturating_mul(page),
                        limits.memory_bytes,
                    )?;
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table.map_err(|error| invalid(&error))?;
                    fits("table elements at start", table.ty.initial, limits.table_elements)?;
                }
            }
            Payload::Version {
                encoding: Encoding::Component | Encoding::Module,
                ..
            }
            | _ => {}
        }
    }
    Ok(())
}

/// Checks that every instance of a component finds room in a slot of the pool.
pub(crate) fn check_resources(component: &Component, limits: &Limits) -> Result<Resources, InstallError> {
    let Some(needs) = component.resources_required() else {
        return Err(InstallError::Malformed("it imports a core module".to_owned()));
    };
    let resources = Resources {
        memories: needs.num_memories,
        initial_memory_bytes: needs
            .max_initial_memory_size
            .unwrap_or(0)
            .saturating_mul(WASM_PAGE),
        tables: needs.num_tables,
        initial_table_elements: needs.max_initial_table_size.unwrap_or(0),
    };
    fits(
        "memories",
        u64::from(resources.memories),
        limits.memories as usize,
    )?;
    fits("tables", u64::from(resources.tables), limits.tables as usize)?;
    fits(
        "bytes of memory at start",
        resources.initial_memory_bytes,
        limits.memory_bytes,
    )?;
    fits(
        "table elements at start",
        resources.initial_table_elements,
        limits.table_elements,
    )?;
    Ok(resources)
}

fn fits(what: &'static str, needs: u64, allowed: usize) -> Result<(), InstallError> {
    if needs <= allowed as u64 {
        Ok(())
    } else {
        Err(InstallError::TooDemanding {
            what,
            needs,
            allowed: allowed as u64,
        })
    }
}
