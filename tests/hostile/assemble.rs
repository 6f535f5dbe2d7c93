//! Puts the few words of WebAssembly around a page that make it a plugin.
//!
//! The answers of `describe`, `templates` and `handle` are laid out in memory as the canonical ABI wants them, so that a
//! probe which is only a template, or a few instructions, needs no compiler.

use std::fmt::Write as _;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::probe::Module;

/// Where constant data begins; below it the words of a probe may write, from 1,024 on.
const DATA: u32 = 0x1_0000;
const SAMPLE: &str = r#"{"bad": false}"#;

/// The plugin.
pub(crate) fn component(id: &str, module: &Module, page: &str) -> Vec<u8> {
    let mut bytes = core(id, module, page);
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).expect("wit/ parses");
    let world = resolve
        .select_world(&[package], Some("feature"))
        .expect("the world");
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .expect("it has a world")
        .encode().unwrap_or_else(|error| panic!("{id}: {error:#}"))
}

/// The core module of it.
pub(crate) fn core(id: &str, module: &Module, page: &str) -> Vec<u8> {
    let text = text(id, module, page);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{id}: {error}"))
}

fn text(id: &str, module: &Module, page: &str) -> String {
    let mut data = Data::default();
    let permission = [data.text("use"), data.text("Use it")].concat();
    let scopes: Vec<u32> = ["vm.read"]
        .iter()
        .filter(|_| module.imports.iter().any(|import| import.starts_with("vm ")))
        .flat_map(|scope| data.text(scope))
        .collect();
    let scopes_at = data.put(&scopes);
    let permissions = data.put(&[permission, vec![scopes_at, words(&scopes) / 2]].concat());
    let object = r#"{"type":"object"}"#;
    let mut description = Vec::new();
    for part in [id, "1.0.0", "Hostile", "A probe."] {
        description.extend(data.text(part));
    }
    // Neither a menu entry nor buttons.
    description.extend([0; 8]);
    description.extend([permissions, 1]);
    description.extend(data.text(object));
    description.extend(data.text(object));
    // No background work.
    description.extend([0; 2]);
    let description = data.put(&description);

    let sample = data.text(SAMPLE);
    let sample = data.put(&sample);
    let (name, source) = (data.text("page.html"), data.text(page));
    let template = data.put(&[name.clone(), source, vec![sample, 1]].concat());
    let templates = data.put(&[template, 1]);
    let view = data.text(module.data.as_deref().unwrap_or(r#"{"bad": true}"#));
    // A page with this view, without a title, status 200.
    let answer = data.put(&[vec![0, 0], name, view, vec![0, 0, 0, 200]].concat());

    let mut imports = String::new();
    for import in &module.imports {
        let mut words = import.split(' ');
        let (interface, name) = (
            words.next().expect("an interface"),
            words.next().expect("a function"),
        );
        let parameters = words.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            imports,
            r#"(import "portico:plugin/{interface}@0.1.0" "{name}" (func ${name} (param {parameters})))"#
        );
    }
    let Module {
        items,
        start,
        handle,
        realloc,
        ..
    } = module;
    let (bytes, end, guest) = (data.escaped(), data.end(), "portico:plugin/guest@0.1.0");
    let pages = module.pages.unwrap_or(4 + end / 65_536);
    format!(
        r#"(module
        {imports}
        (memory (export "memory") {pages})
        (global $armed (mut i32) (i32.const 0))
        (global $heap (mut i32) (i32.const {end}))
        (data (i32.const {DATA}) "{bytes}")
        {items}
        (func $begin {start})
        (start $begin)
        (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
            (local $at i32)
            {realloc}
            (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
            (global.set $heap (i32.add (local.get $at) (local.get $size)))
            (local.get $at))
        (func (export "{guest}#describe") (result i32) (i32.const {description}))
        (func (export "{guest}#templates") (result i32) (i32.const {templates}))
        (func (export "{guest}#handle") (param i32) (result i32) {handle} (i32.const {answer}))
        (func (export "{guest}#advance") (param i32) (result i32) unreachable)
    )"#
    )
}

fn words(list: &[u32]) -> u32 {
    u32::try_from(list.len()).expect("a short list")
}

/// Constant data of the module.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn end(&self) -> u32 {
        DATA + u32::try_from(self.0.len()).expect("less than 4 GiB")
    }

    /// Address and length of a text.
    fn text(&mut self, text: &str) -> Vec<u32> {
        let at = self.end();
        self.0.extend(text.as_bytes());
        vec![at, self.end() - at]
    }

    fn put(&mut self, words: &[u32]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = self.end();
        self.0.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    }

    fn escaped(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        })
    }
}
