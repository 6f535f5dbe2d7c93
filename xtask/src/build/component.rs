//! From a core module to a component.

use anyhow::{Context as _, bail};
use wasmparser::{ComponentImport, Parser, Payload};

/// Wraps a core module, as wit-bindgen prepared it, into a component.
///
/// The component imports only the interfaces that the module calls: what the SDK offers and the plugin leaves unused is
/// not there.
///
/// # Errors
/// When the module carries no component type, when it imports anything that its world does not name, or when the result
/// is not valid.
pub fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module has no usable component type (is `portico_sdk::export!` called?)")?
        .encode()
        .context("the module does not fit its world")?;
    if let Some(wasi) = imports(&component)?.iter().find(|name| name.starts_with("wasi:")) {
        bail!("the component imports `{wasi}`: guests here are built without WASI");
    }
    Ok(component)
}

/// The names of the interfaces that a component imports, in its order.
///
/// # Errors
/// When the bytes are not a component.
pub fn imports(component: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            // Nested modules and components have imports of their own; those are wired up inside.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let ComponentImport { name, .. } = import?;
                    names.push(name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}
