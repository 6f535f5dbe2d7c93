//! From a core module to a component.

use anyhow::{Context as _, bail};
use wasmparser::{Parser, Payload};

/// Wraps a core module, as wit-bindgen prepared it, into a component.
///
/// The component imports only the interfaces that the module calls: what the SDK offers and the plugin leaves unused is
/// not there.
///
/// # Errors
/// When the module carries no component type, when it imports anything that its world does not name, or when the result
/// is not valid.
pub fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module cannot be read")?
        .encode()
        .context("the module does not fit its world")
}

/// Refuses a component that imports WASI, which plugins here are built without.
///
/// # Errors
/// When it does, or when the bytes are not a component.
pub fn without_wasi(component: &[u8]) -> anyhow::Result<()> {
    if let Some(wasi) = imports(component)?.iter().find(|name| name.starts_with("wasi:")) {
        bail!("the component imports `{wasi}`: guests here are built without WASI");
    }
    Ok(())
}

/// The names of the interfaces that a component imports, in its order.
///
/// # Errors
/// When the bytes are not a component.
pub fn imports(component: &[u8]) -> anyhow::Result<Vec<String>> {
    Ok(names(component)?.imports)
}

/// Whether a component exports the interface that every plugin exports.
///
/// # Errors
/// When the bytes are not a component.
pub fn is_plugin(component: &[u8]) -> anyhow::Result<bool> {
    Ok(names(component)?
        .exports
        .iter()
        .any(|name| name.starts_with("portico:plugin/guest@")))
}

#[derive(Debug, Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn names(component: &[u8]) -> anyhow::Result<Names> {
    let mut found = Names::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            // Nested modules and components have imports of their own; those are wired up inside.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_imports_and_exports_count() {
        let component = wat::parse_str(
            r#"(component
                (import "portico:plugin/vm@0.1.0" (instance $vm))
                (component (import "wasi:cli/exit@0.2.6" (instance)))
                (core module (import "env" "memory" (memory 1)))
                (export "portico:plugin/guest@0.1.0" (instance $vm)))"#,
        )
        .unwrap();
        assert_eq!(imports(&component).unwrap(), ["portico:plugin/vm@0.1.0"]);
        assert!(is_plugin(&component).unwrap());
    }

    #[test]
    fn a_module_that_exports_no_plugin_is_not_one() {
        let module = wat::parse_str("(module)").unwrap();
        let component = encode(&module).unwrap();
        assert!(!is_plugin(&component).unwrap());
    }

    #[test]
    fn bytes_that_are_no_module_are_an_error() {
        assert!(encode(b"not a module").is_err());
        assert!(imports(b"not a component").is_err());
    }
}
