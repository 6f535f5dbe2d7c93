//! Everything that can go wrong, with the identities a person needs to find the place.
//!
//! PVE's own words are kept for the provider ([`Error::provider_text`]); they name nodes and storages and
//! are not meant for a customer. Secrets that were sent are cut out of them.

mod target;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::target::Effect;
pub use self::target::Target;
use crate::id::VmId;
use crate::reason::Reason;

/// The cause of a transport fault. Its text has no URL and no secret in it.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// A call that did not give what was asked for.
///
/// Of a call with several attempts it is the one that says most: what PVE answered goes before a broken connection, and
/// that before none at all.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token is wrong, expired or disabled. Only this one says so; 403 does not.
    #[error("{target}: Proxmox does not accept the credentials: {text}")]
    Unauthorized {
        /// What was called.
        target: Box<Target>,
        /// PVE's text.
        text: String,
    },
    /// The token lacks a privilege.
    #[error("{target}: permission denied: {text}")]
    PermissionDenied {
        /// What was called.
        target: Box<Target>,
        /// The object the right is missing on, such as `/vms/100`; PVE does not always say.
        path: Option<String>,
        /// The privileges of which one was wanted, such as `VM.PowerMgmt`.
        privileges: Vec<String>,
        /// PVE's text.
        text: String,
    },
    /// A parameter is wrong. A VM may have taken other parameters of the same call, and this one may wait for its next
    /// start: [`Error::may_have_happened`] says so.
    #[error("{target}: parameters refused: {}", join(.errors))]
    Parameters {
        /// What was called.
        target: Box<Target>,
        /// Parameter name to PVE's text about it.
        errors: BTreeMap<String, String>,
        /// PVE's text for the whole.
        text: String,
    },
    /// PVE understood the call and refused it.
    #[error("{target}: {reason}: {text}")]
    Refused {
        /// What was called.
        target: Box<Target>,
        /// What the text means.
        reason: Reason,
        /// The HTTP status, mostly 500.
        status: u16,
        /// PVE's text.
        text: String,
    },
    /// PVE answered, and by its answer the client did not go on.
    #[error("{target}: {reason}: {why}")]
    Declined {
        /// What was called last, or would have been called.
        target: Box<Target>,
        /// What PVE's answer comes to.
        reason: Reason,
        /// Why the client stopped, for the provider.
        why: &'static str,
    },
    /// The VM is in no node's configuration, or the token may not see it: PVE leaves out of its list what it has no
    /// `VM.Audit` on, and rights on a single VM go with that VM. The list is two seconds old at most, for a removal
    /// and after a node said that it has no such VM it is a new one.
    #[error("{target}: the VM does not exist on this cluster, or the token may not see it")]
    VmUnknown {
        /// What was called.
        target: Box<Target>,
    },
    /// The endpoint is there but could not reach the node, or its own daemon.
    #[error("{target}: the node could not be reached (status {code}): {text}")]
    NodeUnreachable {
        /// What was called.
        target: Box<Target>,
        /// 595 connecting, 596 sending or waiting, 597 receiving, 599 other; 502 to 504 from a gateway.
        code: u16,
        /// The reason phrase, such as `No route to host`.
        text: String,
    },
    /// No connection to any endpoint that was tried: nothing was sent.
    #[error("{target}: no connection")]
    Connect {
        /// What was called.
        target: Box<Target>,
        /// Why the endpoint that was tried last could not be connected.
        #[source]
        source: Cause,
    },
    /// The endpoint is not who it should be, or speaks no acceptable TLS: nothing was sent.
    #[error("{target}: the endpoint's TLS certificate or handshake was not accepted")]
    Tls {
        /// What was called.
        target: Box<Target>,
        /// What rustls found.
        #[source]
        source: Cause,
    },
    /// The connection broke while sending, waiting or receiving.
    #[error("{target}: the connection broke")]
    Transport {
        /// What was called.
        target: Box<Target>,
        /// What broke it.
        #[source]
        source: Cause,
    },
    /// No answer in the time allowed for this class of calls.
    #[error("{target}: no answer within {} s", .after.as_secs_f64())]
    Timeout {
        /// What was called.
        target: Box<Target>,
        /// How long was waited for it: what waiting for a turn and other attempts had left of the time.
        after: Duration,
    },
    /// The call waited too long for its turn behind other calls to the same node or to all endpoints, or for the list
    /// that tells where VMs are: nothing was sent.
    #[error("{target}: too many calls wait for this")]
    Busy {
        /// What was called.
        target: Box<Target>,
        /// How long was waited.
        after: Duration,
    },
    /// PVE reported success with an answer that cannot be its own: too large, no JSON, wrong types.
    #[error("{target}: the answer makes no sense: {problem}")]
    Malformed {
        /// What was called.
        target: Box<Target>,
        /// What is wrong with it, without its content.
        problem: String,
    },
}

fn join(errors: &BTreeMap<String, String>) -> String {
    errors
        .iter()
        .map(|(name, text)| format!("`{name}`: {text}"))
        .collect::<Vec<_>>()
        .join("; ")
}

impl Error {
    /// What was called.
    pub fn target(&self) -> &Target {
        match self {
            Self::Unauthorized { target, .. }
            | Self::PermissionDenied { target, .. }
            | Self::Parameters { target, .. }
            | Self::Refused { target, .. }
            | Self::Declined { target, .. }
            | Self::VmUnknown { target }
            | Self::NodeUnreachable { target, .. }
            | Self::Connect { target, .. }
            | Self::Tls { target, .. }
            | Self::Transport { target, .. }
            | Self::Timeout { target, .. }
            | Self::Busy { target, .. }
            | Self::Malformed { target, .. } => target,
        }
    }

    fn target_mut(&mut self) -> &mut Target {
        match self {
            Self::Unauthorized { target, .. }
            | Self::PermissionDenied { target, .. }
            | Self::Parameters { target, .. }
            | Self::Refused { target, .. }
            | Self::Declined { target, .. }
            | Self::VmUnknown { target }
            | Self::NodeUnreachable { target, .. }
            | Self::Connect { target, .. }
            | Self::Tls { target, .. }
            | Self::Transport { target, .. }
            | Self::Timeout { target, .. }
            | Self::Busy { target, .. }
            | Self::Malformed { target, .. } => target,
        }
    }

    /// The same, of a call that can have had this effect.
    pub(crate) fn with_effect(mut self, effect: Effect) -> Self {
        self.target_mut().effect = effect;
        self
    }

    /// The same, of a write whose parts PVE makes one after the other; a failed look-up before it stays one.
    pub(crate) fn in_parts(self) -> Self {
        if self.target().effect == Effect::Whole {
            self.with_effect(Effect::Parts)
        } else {
            self
        }
    }

    /// The same, met on behalf of this VM.
    pub(crate) fn about(mut self, vmid: VmId) -> Self {
        self.target_mut().vmid = Some(vmid);
        self
    }

    /// Why PVE refused, where it did and said so in a known way, or why the client did not go on.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Refused { reason, .. } | Self::Declined { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// PVE's own words, for the provider and the log; `None` where PVE said nothing.
    pub fn provider_text(&self) -> Option<&str> {
        match self {
            Self::Unauthorized { text, .. }
            | Self::PermissionDenied { text, .. }
            | Self::Parameters { text, .. }
            | Self::Refused { text, .. }
            | Self::NodeUnreachable { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The message with all causes behind it, for logs and for the person who sets the cluster up.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(current) = cause {
            text.push_str(": ");
            text.push_str(&current.to_string());
            cause = current.source();
        }
        text
    }

    /// Whether the VM is not where it was looked for, or nowhere.
    pub fn is_vm_missing(&self) -> bool {
        matches!(self, Self::VmUnknown { .. }) || self.reason() == Some(&Reason::VmNotFound)
    }

    /// Whether a *read* that failed so can be repeated later with hope, without anybody doing anything.
    ///
    /// For a write look at [`Error::may_have_happened`] first.
    pub fn is_transient_read(&self) -> bool {
        match self {
            Self::NodeUnreachable { .. }
            | Self::Connect { .. }
            | Self::Transport { .. }
            | Self::Timeout { .. }
            | Self::Busy { .. } => true,
            Self::Refused { reason, .. } | Self::Declined { reason, .. } => reason.is_transient(),
            Self::Unauthorized { .. }
            | Self::PermissionDenied { .. }
            | Self::Parameters { .. }
            | Self::VmUnknown { .. }
            | Self::Tls { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether a *write* that failed so may nevertheless have been done, or still be under way.
    ///
    /// Then it must not be repeated before the VM's state or the node's task list was looked at. `false`
    /// means that PVE never got the call, or answered that it will not do it. Of a change that PVE makes in parts
    /// (several keys of a config, devices of a running VM, the steps of a firewall rule) it is `true` when some of it
    /// may be done and not the rest. A read, the look-up of a VM's node before a write among them, did nothing.
    pub fn may_have_happened(&self) -> bool {
        match self.target().effect {
            Effect::None => false,
            Effect::Whole => self.leaves_open(),
            Effect::Parts => self.leaves_open() || self.comes_midway(),
            Effect::Begun => true,
        }
    }

    /// Whether it leaves open if PVE did what was asked.
    fn leaves_open(&self) -> bool {
        match self {
            // 595: the endpoint could not connect to the node, so nothing was passed on.
            Self::NodeUnreachable { code, .. } => *code != 595,
            Self::Transport { .. } | Self::Timeout { .. } | Self::Malformed { .. } => true,
            // What a running VM does not take, or what cannot be had for a stopped one, waits, and the other keys of the
            // same call are changed already.
            Self::Parameters { errors, .. } => errors.values().any(|text| {
                text.starts_with("hotplug problem") || text.starts_with("unable to apply pending change")
            }),
            // `got timeout` is what waiting for QEMU or the agent ends with: the command was given.
            Self::Refused { reason, .. } => matches!(reason, Reason::Timeout | Reason::WorkerLost),
            Self::Unauthorized { .. }
            | Self::PermissionDenied { .. }
            | Self::Declined { .. }
            | Self::VmUnknown { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Busy { .. } => false,
        }
    }

    /// Whether PVE can have refused so after it made a part of the change. Rights, parameters, digest and locks of a
    /// config come before all parts.
    fn comes_midway(&self) -> bool {
        match self {
            Self::Refused { reason, text, .. } => match reason {
                Reason::Locked(_) | Reason::DigestMismatch | Reason::VmNotFound => false,
                // That of the config is had first; that of a storage when a disk's turn comes.
                Reason::LockTimeout => !text.contains("/var/lock/qemu-server/"),
                _ => true,
            },
            _ => false,
        }
    }
}

/// A cluster description that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No endpoint was given.
    #[error("at least one endpoint is needed")]
    NoEndpoint,
    /// An endpoint's URL has parts it must not have, or the wrong scheme.
    #[error("endpoint `{endpoint}`: {problem}")]
    Endpoint {
        /// Scheme, host and port of the endpoint.
        endpoint: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The token is not of the form `USER@REALM!TOKENID`, or its secret has characters PVE never uses.
    #[error("API token: {0}")]
    Token(&'static str),
    /// A number is out of its range.
    #[error("`{key}`: {problem}")]
    Value {
        /// The name of the field.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The trust anchors cannot be read.
    #[error("TLS trust: {0}")]
    Trust(String),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be set up")]
    Http(#[source] Cause),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeName;

    fn target() -> Box<Target> {
        Box::new(Target {
            cluster: "prod".to_owned(),
            call: "POST /nodes/{node}/qemu/{vmid}/snapshot".to_owned(),
            node: NodeName::new("pve1").ok(),
            vmid: VmId::new(100).ok(),
            upid: None,
            snapshot: None,
            storage: None,
            volume: None,
            effect: Effect::Whole,
        })
    }

    fn unreachable(code: u16) -> Error {
        Error::NodeUnreachable {
            target: target(),
            code,
            text: String::new(),
        }
    }

    fn refused(reason: Reason) -> Error {
        Error::Refused {
            target: target(),
            reason,
            status: 500,
            text: String::new(),
        }
    }

    #[test]
    fn only_a_failed_connect_of_the_endpoint_to_the_node_excludes_that_a_write_happened() {
        assert!(!unreachable(595).may_have_happened());
        for code in [596, 597, 599, 502, 503, 504] {
            assert!(unreachable(code).may_have_happened(), "{code}");
        }
    }

    #[test]
    fn a_refusal_did_not_happen_but_a_wait_in_vain_may_have() {
        assert!(!refused(Reason::LockTimeout).may_have_happened());
        assert!(!refused(Reason::Other).may_have_happened());
        assert!(refused(Reason::Timeout).may_have_happened());
        assert!(refused(Reason::WorkerLost).may_have_happened());
    }

    #[test]
    fn a_change_in_parts_is_excluded_only_by_what_pve_looks_at_before_the_first_part() {
        let partly = |reason: Reason, words: &str| {
            Error::Refused {
                target: target(),
                reason,
                status: 500,
                text: words.to_owned(),
            }
            .in_parts()
            .may_have_happened()
        };
        let flock = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
        assert!(!partly(Reason::LockTimeout, flock));
        assert!(!partly(
            Reason::Locked(crate::Lock::Backup),
            "VM is locked (backup)"
        ));
        assert!(!partly(Reason::DigestMismatch, ""));
        assert!(!partly(Reason::VmNotFound, ""));
        let storage = "cfs-lock 'storage-nfs' error: got lock request timeout";
        assert!(partly(Reason::LockTimeout, storage));
        assert!(partly(Reason::StorageFull, "") && partly(Reason::Other, ""));
        assert!(!unreachable(595).in_parts().may_have_happened());
    }

    #[test]
    fn a_read_did_nothing_and_a_change_that_was_begun_did_something() {
        for error in [unreachable(596), refused(Reason::Timeout)] {
            let read = error.clone().with_effect(Effect::None);
            assert!(!read.may_have_happened() && !read.in_parts().may_have_happened());
            assert!(error.may_have_happened());
        }
        let refused = refused(Reason::DigestMismatch);
        assert!(!refused.may_have_happened());
        assert!(refused.with_effect(Effect::Begun).may_have_happened());
    }

    #[test]
    fn wrong_parameters_did_nothing_but_a_device_that_is_not_taken_leaves_the_others_changed() {
        let parameters = |text: &str| Error::Parameters {
            target: target(),
            errors: BTreeMap::from([("net0".to_owned(), text.to_owned())]),
            text: "Parameter verification failed.".to_owned(),
        };
        assert!(!parameters("invalid format").may_have_happened());
        assert!(parameters("hotplug problem - device busy").may_have_happened());
        assert!(parameters("unable to apply pending change net0 : no such bridge").may_have_happened());
    }

    #[test]
    fn transient_reads_are_told_from_lasting_refusals() {
        assert!(unreachable(596).is_transient_read());
        assert!(refused(Reason::LockTimeout).is_transient_read());
        assert!(!refused(Reason::VmNotFound).is_transient_read());
        assert!(
            !Error::Unauthorized {
                target: target(),
                text: String::new()
            }
            .is_transient_read()
        );
    }

    #[test]
    fn a_message_names_call_cluster_node_and_vm() {
        let shown = unreachable(595).to_string();
        for part in ["prod", "pve1", "100", "/snapshot", "595"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}
