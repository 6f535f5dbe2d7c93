//! Paths and parameters of a call, built so that nothing unchecked gets into a URL.

use std::fmt::{self, Display};

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::Target;
use crate::id::{FirewallName, NodeName, SetMember, SnapshotName, StorageId, VmId, VolumeId};
use crate::secret::Secret;
use crate::upid::Upid;

/// What stays as it is in a path segment: the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Method and path of a call, put together from fixed words and checked identifiers.
///
/// The template for metrics and messages grows along with the path, so the two cannot differ.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) template: String,
    pub(crate) node: Option<NodeName>,
    pub(crate) vmid: Option<VmId>,
    upid: Option<Upid>,
    snapshot: Option<SnapshotName>,
    storage: Option<StorageId>,
    volume: Option<VolumeId>,
}

impl Route {
    pub(crate) fn new(method: Method) -> Self {
        Self {
            method,
            path: String::new(),
            template: String::new(),
            node: None,
            vmid: None,
            upid: None,
            snapshot: None,
            storage: None,
            volume: None,
        }
    }

    pub(crate) fn get(path: &'static str) -> Self {
        Self::new(Method::GET).word(path)
    }

    /// `/nodes/{node}/qemu/{vmid}`, which most calls about a VM begin with.
    pub(crate) fn vm(method: Method, node: &NodeName, vmid: VmId) -> Self {
        Self::vm_on(method, Some(node), vmid)
    }

    /// As [`Self::vm`]; without a node fit for an error's target, not to be called.
    pub(crate) fn vm_on(method: Method, node: Option<&NodeName>, vmid: VmId) -> Self {
        let nodes = Self::new(method).word("/nodes");
        let node = match node {
            Some(node) => nodes.node(node),
            None => nodes.word("/{node}"),
        };
        node.word("/qemu").vmid(vmid)
    }

    /// Fixed words, each with its slash in front.
    pub(crate) fn word(mut self, words: &'static str) -> Self {
        self.path.push_str(words);
        self.template.push_str(words);
        self
    }

    pub(crate) fn node(mut self, node: &NodeName) -> Self {
        self.node = Some(node.clone());
        self.segment("/{node}", node.as_str())
    }

    pub(crate) fn vmid(mut self, vmid: VmId) -> Self {
        self.vmid = Some(vmid);
        self.segment("/{vmid}", &vmid.to_string())
    }

    pub(crate) fn upid(mut self, upid: &Upid) -> Self {
        self.upid = Some(upid.clone());
        self.segment("/{upid}", upid.as_str())
    }

    pub(crate) fn snapshot(mut self, snapshot: &SnapshotName) -> Self {
        self.snapshot = Some(snapshot.clone());
        self.segment("/{snapname}", snapshot.as_str())
    }

    pub(crate) fn storage(mut self, storage: &StorageId) -> Self {
        self.storage = Some(storage.clone());
        self.segment("/{storage}", storage.as_str())
    }

    /// The storage of a volume.
    pub(crate) fn storage_of(mut self, volume: &VolumeId) -> Self {
        self.storage = volume.storage();
        let (storage, _) = volume.as_str().split_once(':').unwrap_or_default();
        self.segment("/{storage}", storage)
    }

    /// A volume as one segment: PVE takes its slashes encoded too.
    pub(crate) fn volume(mut self, volume: &VolumeId) -> Self {
        self.volume = Some(volume.clone());
        self.segment("/{volume}", volume.as_str())
    }

    /// The place of a firewall rule.
    pub(crate) fn position(self, position: usize) -> Self {
        self.segment("/{pos}", &position.to_string())
    }

    pub(crate) fn set(self, name: &FirewallName) -> Self {
        self.segment("/{name}", name.as_str())
    }

    pub(crate) fn member(self, member: &SetMember) -> Self {
        self.segment("/{cidr}", member.as_str())
    }

    /// The VM that the call is about without having it in its path.
    pub(crate) fn about(mut self, vmid: VmId) -> Self {
        self.vmid = Some(vmid);
        self
    }

    /// The storage that the call is about without having it in its path.
    pub(crate) fn about_storage(mut self, storage: &StorageId) -> Self {
        self.storage = Some(storage.clone());
        self
    }

    /// The volume that the call is about without having it in its path.
    pub(crate) fn about_volume(mut self, volume: &VolumeId) -> Self {
        self.volume = Some(volume.clone());
        self
    }

    fn segment(mut self, template: &'static str, value: &str) -> Self {
        self.path.push('/');
        self.path.extend(utf8_percent_encode(value, SEGMENT));
        self.template.push_str(template);
        self
    }

    /// What errors about this call are about.
    pub(crate) fn target(&self, cluster: &str) -> Box<Target> {
        Box::new(Target {
            cluster: cluster.to_owned(),
            call: format!("{} {}", self.method, self.template),
            node: self.node.clone(),
            vmid: self.vmid,
            upid: self.upid.clone(),
            snapshot: self.snapshot.clone(),
            storage: self.storage.clone(),
            volume: self.volume.clone(),
        })
    }
}

/// The parameters of a call, sent as a form or, with GET and DELETE, in the query.
#[derive(Clone, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, Zeroizing<String>)>,
    secrets: Vec<Secret>,
}

impl Params {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(mut self, name: &str, value: impl Display) -> Self {
        self.pairs
            .push((name.to_owned(), Zeroizing::new(value.to_string())));
        self
    }

    pub(crate) fn opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sends `1` when true and nothing when false, which is the default of every such parameter.
    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        if value { self.set(name, 1) } else { self }
    }

    /// A value that is cut out of whatever PVE answers, should it quote it.
    pub(crate) fn secret(mut self, name: &str, value: &Secret) -> Self {
        self.secrets.push(value.clone());
        self.set(name, value.expose())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(crate) fn encode(&self) -> Zeroizing<String> {
        let pairs = self.pairs.iter().map(|(name, value)| (name, value.as_str()));
        Zeroizing::new(
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish(),
        )
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a value may be a password or a customer's text.
        f.debug_list()
            .entries(self.pairs.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_are_percent_encoded_and_the_template_has_none_of_them() {
        let upid: Upid = "UPID:pve1:00000001:00000002:68A5B0C1:qmstart:100:p@pve!t:"
            .parse()
            .unwrap();
        let route = Route::get("/nodes")
            .node(upid.node())
            .word("/tasks")
            .upid(&upid)
            .word("/status");
        assert_eq!(
            route.path,
            "/nodes/pve1/tasks/UPID%3Apve1%3A00000001%3A00000002%3A68A5B0C1%3Aqmstart%3A100%3Ap%40pve%21t%3A/status"
        );
        assert_eq!(route.template, "/nodes/{node}/tasks/{upid}/status");
    }

    proptest! {
        #[test]
        fn whatever_a_volume_is_called_it_stays_one_segment(name in "[^,\\p{Cc}]{1,60}") {
            let Ok(volume) = VolumeId::new(format!("local:{name}")) else { return Ok(()) };
            let route = Route::get("/content").volume(&volume);
            let mut url = url::Url::parse("https://pve1:8006").unwrap();
            url.set_path(&route.path);
            let segments = url.path_segments().unwrap().collect::<Vec<_>>();
            prop_assert_eq!(segments.len(), 2, "{}", url);
            let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            prop_assert_eq!(decoded, volume.as_str());
        }
    }

    #[test]
    fn values_cannot_break_out_of_their_parameter() {
        let form = Params::new()
            .set("description", "a&b=c;d +ü\n")
            .flag("vmstate", true)
            .flag("force", false);
        assert_eq!(
            form.encode().as_str(),
            "description=a%26b%3Dc%3Bd+%2B%C3%BC%0A&vmstate=1"
        );
    }

    #[test]
    fn debug_output_shows_names_and_no_values() {
        let params = Params::new()
            .secret("cipassword", &Secret::new("hunter2"))
            .set("name", "web");
        let shown = format!("{params:?}");
        assert!(
            shown.contains("cipassword") && !shown.contains("hunter2") && !shown.contains("web"),
            "{shown}"
        );
    }
}
