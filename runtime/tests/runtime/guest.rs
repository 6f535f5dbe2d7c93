//! Builds small plugins for the tests, without a toolchain for guests: the answers of `describe` and `templates` are laid
//! out in memory by hand as the canonical ABI wants them, `handle` and `advance` are written in the text format.
//!
//! In the bodies, `$page` is a finished answer of `handle`, `$done` one of `advance`, and
//! `(call $answer (ret) (offset))` turns the result of a host call at `ret` into an answer: the page when it is a value,
//! the error itself when it is one. `offset` is where the payload of that result begins: 4, or 8 with 64-bit fields.

#![expect(
    clippy::cast_possible_truncation,
    reason = "the guests' memory is far smaller than 4 GiB"
)]

use std::fmt::Write as _;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Where constant data begins. Below it tests may write as they like, from 1024 on.
const DATA: u32 = 0x1_0000;

/// A function that the guest imports: interface, name, parameters in the text format, name in bodies.
pub(crate) type ImportSpec = (&'static str, &'static str, &'static str);

pub(crate) const VM_STATUS: ImportSpec = ("vm", "status", "i32");
pub(crate) const VM_NETWORK: ImportSpec = ("vm", "network", "i32");
pub(crate) const POWER_START: ImportSpec = ("power", "start", "i32");
pub(crate) const STORAGE_DELETE: ImportSpec = ("storage", "delete", "i32 i32 i32 i32");
pub(crate) const GET_STDOUT: ImportSpec = ("wasi:cli/stdout@0.2.6", "get-stdout", "");
pub(crate) const STDOUT_WRITE: ImportSpec = (
    "wasi:io/streams@0.2.6",
    "[method]output-stream.blocking-write-and-flush",
    "i32 i32 i32 i32",
);
pub(crate) const GET_ENVIRONMENT: ImportSpec = ("wasi:cli/environment@0.2.6", "get-environment", "i32");
pub(crate) const GET_DIRECTORIES: ImportSpec = ("wasi:filesystem/preopens@0.2.6", "get-directories", "i32");
pub(crate) const LOG_WRITE: ImportSpec = ("log", "write", "i32 i32 i32 i32 i32");

/// The contract and as much of WASI as the guests of these tests import.
const WORLD: &str = "
    package test:guests;
    world guest {
        include portico:plugin/feature@0.1.0;
        import wasi:cli/stdout@0.2.6;
        import wasi:cli/environment@0.2.6;
        import wasi:filesystem/preopens@0.2.6;
    }
    package wasi:io@0.2.6 {
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.6 {
        interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
        interface environment { get-environment: func() -> list<tuple<string, string>>; }
    }
    package wasi:filesystem@0.2.6 {
        interface types { resource descriptor; }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }
    }
";

/// A plugin in the making.
pub(crate) struct Guest {
    pub(crate) id: String,
    pub(crate) imports: Vec<ImportSpec>,
    pub(crate) permissions: Vec<(String, Vec<String>)>,
    pub(crate) template: (String, String, Vec<String>),
    pub(crate) page_data: String,
    pub(crate) provider_settings: String,
    /// Body of `describe` before its answer.
    pub(crate) describe: String,
    /// Body of `handle`, which has the parameter `$in` and leaves an address.
    pub(crate) handle: String,
    /// Body of `advance`, which has the parameter `$in` and leaves an address.
    pub(crate) advance: String,
    /// Body of the start function.
    pub(crate) start: String,
    /// Further items of the module.
    pub(crate) items: String,
    /// Pages of memory at start.
    pub(crate) pages: u32,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            id: "sample".into(),
            imports: Vec::new(),
            permissions: Vec::new(),
            template: (
                "page.html".into(),
                "<p>{{ text }}</p>".into(),
                vec![r#"{"text":"x"}"#.into()],
            ),
            page_data: r#"{"text":"hello"}"#.into(),
            provider_settings: r#"{"type":"object"}"#.into(),
            describe: String::new(),
            handle: "(global.get $page)".into(),
            advance: "(global.get $done)".into(),
            start: String::new(),
            items: String::new(),
            pages: 4,
        }
    }
}

impl Guest {
    /// A plugin whose `handle` has a body.
    pub(crate) fn handling(body: &str) -> Self {
        Self {
            handle: body.into(),
            ..Self::default()
        }
    }

    /// A plugin that calls one host function in `handle` and answers with what comes of it.
    pub(crate) fn calling(import: ImportSpec, arguments: &str, offset: u32) -> Self {
        let name = import.1;
        Self {
            imports: vec![import],
            handle: format!(
                "(call ${name} {arguments} (i32.const 4096)) (call $answer (i32.const 4096) (i32.const {offset}))"
            ),
            ..Self::default()
        }
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).expect("the module is well-formed");
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        resolve.push_dir(&wit).expect("wit/ parses");
        let package = resolve
            .push_str("guests.wit", WORLD)
            .expect("the world of the tests parses");
        let world = resolve
            .select_world(&[package], Some("guest"))
            .expect("world `guest`");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("metadata");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .expect("the module fits the world")
            .encode()
            .expect("the component is well-formed")
    }

    fn module(&self) -> String {
        let mut data = Data::default();
        let description = self.lay_out_description(&mut data);
        let templates = self.lay_out_templates(&mut data);
        let page = self.lay_out_page(&mut data);
        let done = {
            let (text, length) = data.text("done");
            data.put(&[3, 0, text, length])
        };
        let failed = data.put(&[0; 16]);
        let mut imports = String::new();
        for (interface, name, parameters) in &self.imports {
            let module = if interface.contains(':') {
                (*interface).to_owned()
            } else {
                format!("portico:plugin/{interface}@0.1.0")
            };
            let ident = name.rsplit('.').next().unwrap_or(name);
            let result = if *name == "get-stdout" { "(result i32)" } else { "" };
            writeln!(
                imports,
                r#"(import "{module}" "{name}" (func ${ident} (param {parameters}) {result}))"#
            )
            .expect("writing to a string");
        }
        let (bytes, end) = (data.escaped(), data.end());
        let Self {
            describe,
            handle,
            advance,
            start,
            items,
            pages,
            ..
        } = self;
        let prefix = "portico:plugin/guest@0.1.0";
        format!(
            r#"(module
            {imports}
            (memory (export "memory") {pages})
            (global $page i32 (i32.const {page}))
            (global $done i32 (i32.const {done}))
            (global $heap (mut i32) (i32.const {end}))
            (data (i32.const {DATA}) "{bytes}")
            {items}
            (func $begin {start})
            (start $begin)
            (func (export "cabi_realloc") (param $old i32) (param i32 i32) (param $new i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                (global.set $heap (i32.add (local.get $at) (local.get $new)))
                (local.get $at))
            (func $answer (param $ret i32) (param $offset i32) (result i32)
                (if (i32.eqz (i32.load8_u (local.get $ret))) (then (return (global.get $page))))
                (i32.store8 (i32.const {failed}) (i32.const 1))
                (memory.copy (i32.const {failed_payload})
                    (i32.add (local.get $ret) (local.get $offset)) (i32.const 20))
                (i32.const {failed}))
            (func (export "{prefix}#describe") (result i32) {describe} (i32.const {description}))
            (func (export "{prefix}#templates") (result i32) (i32.const {templates}))
            (func (export "{prefix}#handle") (param $in i32) (result i32) (local $i i32) {handle})
            (func (export "{prefix}#advance") (param $in i32) (result i32) (local $i i32) {advance})
        )"#,
            failed_payload = failed + 4,
        )
    }

    fn lay_out_description(&self, data: &mut Data) -> u32 {
        let permissions: Vec<u32> = self
            .permissions
            .iter()
            .flat_map(|(name, scopes)| {
                let name = data.text(name);
                let title = data.text("Title");
                let scopes: Vec<u32> = scopes
                    .iter()
                    .flat_map(|scope| <[u32; 2]>::from(data.text(scope)))
                    .collect();
                let list = data.put(&scopes);
                [name.0, name.1, title.0, title.1, list, scopes.len() as u32 / 2]
            })
            .collect();
        let permissions_at = data.put(&permissions);
        let (id, version) = (data.text(&self.id), data.text("1.0.0"));
        let (title, summary) = (data.text("Sample"), data.text("A sample."));
        let (provider, product) = (
            data.text(&self.provider_settings),
            data.text(r#"{"type":"object"}"#),
        );
        data.put(&[
            id.0,
            id.1,
            version.0,
            version.1,
            title.0,
            title.1,
            summary.0,
            summary.1,
            // No menu entry, no buttons.
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            permissions_at,
            self.permissions.len() as u32,
            provider.0,
            provider.1,
            product.0,
            product.1,
            // No background work.
            0,
            0,
        ])
    }

    fn lay_out_templates(&self, data: &mut Data) -> u32 {
        let (name, source, samples) = &self.template;
        let (name, source) = (data.text(name), data.text(source));
        let list: Vec<u32> = samples
            .iter()
            .flat_map(|sample| <[u32; 2]>::from(data.text(sample)))
            .collect();
        let samples_at = data.put(&list);
        let template = data.put(&[
            name.0,
            name.1,
            source.0,
            source.1,
            samples_at,
            samples.len() as u32,
        ]);
        data.put(&[template, 1])
    }

    fn lay_out_page(&self, data: &mut Data) -> u32 {
        let template = data.text(&self.template.0);
        let view = data.text(&self.page_data);
        // ok, page, view, no title, status 200.
        data.put(&[0, 0, template.0, template.1, view.0, view.1, 0, 0, 0, 200])
    }
}

/// Constant data of the module.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    fn end(&self) -> u32 {
        DATA + self.0.len() as u32
    }

    fn text(&mut self, text: &str) -> (u32, u32) {
        let at = self.end();
        self.0.extend(text.as_bytes());
        (at, text.len() as u32)
    }

    fn put(&mut self, words: &[u32]) -> u32 {
        self.align();
        let at = self.end();
        self.0.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    }

    fn escaped(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").expect("writing to a string");
            text
        })
    }
}
