//! Reading the folders of probes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A probe.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The folder's name, which is the plugin's id.
    pub(crate) id: String,
    pub(crate) folder: PathBuf,
    pub(crate) expected: Expected,
}

/// `expected.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expected {
    /// What the installation says. None: it installs.
    pub(crate) install: Option<Install>,
    /// The imports that are approved. None: all that it has.
    pub(crate) approve: Option<Vec<String>>,
    /// The permissions of the plugin that the product grants.
    pub(crate) grants: Option<Vec<String>>,
    /// A component that is made of nothing in the folder.
    pub(crate) component: Option<Component>,
    /// The words around `page.html`.
    pub(crate) module: Module,
    /// What is asked of it, in this order.
    pub(crate) step: Vec<Step>,
}

/// What the installation must answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Install {
    /// Part of the refusal.
    pub(crate) refused: String,
}

/// Bytes that stand in for a component.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Component {
    /// So many bytes without sense.
    Noise { bytes: usize },
    /// The first half of the overview plugin.
    Half,
    /// The core module around `page.html`, not wrapped.
    Core,
}

/// The module of a probe that has no `guest.rs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Module {
    /// Imported functions: `vm network i32`.
    pub(crate) imports: Vec<String>,
    /// Further items.
    pub(crate) items: String,
    /// Body of the start function.
    pub(crate) start: String,
    /// Body of `handle` before its answer.
    pub(crate) handle: String,
    /// Condition inside `cabi_realloc`.
    pub(crate) realloc: String,
    /// Pages of memory at the start.
    pub(crate) pages: Option<u32>,
    /// The data of the page, a JSON object. The sample it is installed with is `{"bad": false}`.
    pub(crate) data: Option<String>,
    /// How often `page.html` is repeated.
    pub(crate) repeat: Option<usize>,
}

/// A request, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    /// `anna`, or `ben`, who is another customer with a service of the same product.
    #[serde(default = "anna")]
    pub(crate) by: String,
    /// Whose service is named in the address.
    #[serde(default)]
    pub(crate) service_of: Option<String>,
    /// The path under the plugin, with its query. `{ben}` becomes the id of Ben's service.
    #[serde(default)]
    pub(crate) path: String,
    /// The fields of a form, which make it a POST.
    pub(crate) form: Option<BTreeMap<String, String>>,
    /// How many such requests at the same time.
    #[serde(default = "one")]
    pub(crate) times: usize,
    /// The status that the customer gets.
    pub(crate) status: u16,
    /// What the page has.
    #[serde(default)]
    pub(crate) shows: Vec<String>,
    /// What the page must not have.
    #[serde(default)]
    pub(crate) hides: Vec<String>,
    /// Whether the page is asked for again until it has what it should.
    #[serde(default)]
    pub(crate) until: bool,
    /// Milliseconds that an answer may take.
    #[serde(default = "patience")]
    pub(crate) within: u64,
    /// The outcome by which the provider's figures count the calls.
    pub(crate) outcome: Option<String>,
    /// The export they count, if not `handle`.
    #[serde(default = "handle")]
    pub(crate) export: String,
    /// Part of the provider's log.
    pub(crate) log: Option<String>,
    /// A path of Proxmox that does not answer meanwhile.
    pub(crate) silent: Option<String>,
}

fn anna() -> String {
    "anna".to_owned()
}

fn one() -> usize {
    1
}

fn patience() -> u64 {
    10_000
}

fn handle() -> String {
    "handle".to_owned()
}

/// All probes, by name.
pub(crate) fn all() -> Vec<Probe> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile");
    let mut probes: Vec<_> = std::fs::read_dir(&here)
        .expect("the folder of the probes")
        .map(|entry| entry.expect("an entry").path())
        .filter(|folder| folder.join("expected.toml").exists())
        .map(|folder| {
            let text = std::fs::read_to_string(folder.join("expected.toml")).expect("expected.toml");
            let expected = toml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}/expected.toml: {error}", folder.display()));
            let id = folder.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(
                folder.join("README.md").exists(),
                "`{id}` does not say what it proves: write its README.md"
            );
            Probe { id, folder, expected }
        })
        .collect();
    probes.sort_by(|a, b| a.id.cmp(&b.id));
    let only = std::env::var("PROBES").unwrap_or_default();
    if !only.is_empty() {
        probes.retain(|probe| only.split(',').any(|name| name == probe.id));
    }
    assert!(!probes.is_empty(), "there are no probes in `{}`", here.display());
    probes
}

impl Probe {
    /// The permissions for a product's list.
    pub(crate) fn grants(&self) -> Vec<String> {
        let all = vec!["*".to_owned()];
        let names = self.expected.grants.clone().unwrap_or(all);
        names.iter().map(|name| format!("{}:{name}", self.id)).collect()
    }

    fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file))
            .unwrap_or_else(|error| panic!("{}/{file}: {error}", self.id))
    }

    /// The bytes of its component.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        if self.has("guest.rs") {
            return built("guests", &self.id);
        }
        if self.has("component.wat") {
            return wat::parse_str(self.read("component.wat"))
                .unwrap_or_else(|error| panic!("{}: {error}", self.id));
        }
        match &self.expected.component {
            Some(Component::Noise { bytes }) => (0..*bytes)
                .map(|at| u8::try_from((at * 167 + at / 7) % 251).unwrap_or_default())
                .collect(),
            Some(Component::Half) => {
                let mut bytes = built("plugins", "overview");
                bytes.truncate(bytes.len() / 2);
                bytes
            }
            Some(Component::Core) => crate::assemble::core(&self.id, &self.expected.module, &self.page()),
            None => crate::assemble::component(&self.id, &self.expected.module, &self.page()),
        }
    }

    fn page(&self) -> String {
        if self.has("page.html") {
            self.read("page.html")
                .repeat(self.expected.module.repeat.unwrap_or(1))
        } else {
            "<p>page</p>".to_owned()
        }
    }
}

/// A component that xtask has built.
pub(crate) fn built(kind: &str, id: &str) -> Vec<u8> {
    let path = target().join(kind).join(format!("{id}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "`{}` cannot be read ({error}): build it by `cargo xtask build --no-web` and \
             `cargo xtask build --guest-dir tests/hostile/guests`",
            path.display()
        )
    })
}

/// The folder cargo builds into.
pub(crate) fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path))
}
