//! The switches and policies: of a VM, and of the datacenter above it.

use http::Method;
use serde::Deserialize;

use super::words::{FirewallLogLevel, FirewallPolicy, level, policy, switch};
use crate::client::{Client, Vm};
use crate::entries::Entries;
use crate::error::Error;
use crate::lenient;
use crate::route::{Params, Route};
use crate::transport::Class;

/// A VM's firewall options. What is unset has PVE's default; the methods tell what is in force.
///
/// A VM is only filtered when three switches are on: this one, the datacenter's ([`ClusterFirewall::enabled`]), and
/// `firewall=1` of the network card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct FirewallOptions {
    /// The VM's switch.
    #[serde(default, deserialize_with = "switch")]
    pub enable: Option<bool>,
    /// Whether DHCP passes.
    #[serde(default, deserialize_with = "switch")]
    pub dhcp: Option<bool>,
    /// Whether only addresses of the sets `ipfilter-netN` may be used.
    #[serde(default, deserialize_with = "switch")]
    pub ipfilter: Option<bool>,
    /// Whether only the card's own MAC address may be used.
    #[serde(default, deserialize_with = "switch")]
    pub macfilter: Option<bool>,
    /// Whether IPv6 neighbour discovery passes.
    #[serde(default, deserialize_with = "switch")]
    pub ndp: Option<bool>,
    /// Whether the VM may send IPv6 router advertisements.
    #[serde(default, deserialize_with = "switch")]
    pub radv: Option<bool>,
    /// For packets to the VM that no rule decides about.
    #[serde(default, deserialize_with = "policy")]
    pub policy_in: Option<FirewallPolicy>,
    /// For packets from the VM that no rule decides about.
    #[serde(default, deserialize_with = "policy")]
    pub policy_out: Option<FirewallPolicy>,
    /// What is logged of packets to the VM.
    #[serde(default, deserialize_with = "level")]
    pub log_level_in: Option<FirewallLogLevel>,
    /// What is logged of packets from the VM.
    #[serde(default, deserialize_with = "level")]
    pub log_level_out: Option<FirewallLogLevel>,
    /// What a change sends along to be refused when the options were changed meanwhile.
    #[serde(default, deserialize_with = "lenient::text")]
    pub digest: Option<String>,
}

impl FirewallOptions {
    /// Whether the VM's switch is on.
    pub fn enabled(&self) -> bool {
        self.enable.unwrap_or(false)
    }

    /// The policy in force for packets to the VM: DROP unless set.
    pub fn input(&self) -> FirewallPolicy {
        self.policy_in.unwrap_or(FirewallPolicy::Drop)
    }

    /// The policy in force for packets from the VM: ACCEPT unless set.
    pub fn output(&self) -> FirewallPolicy {
        self.policy_out.unwrap_or(FirewallPolicy::Accept)
    }
}

/// A change of a VM's firewall options; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirewallOptionsUpdate {
    /// The VM's switch.
    pub enable: Option<bool>,
    /// Whether only addresses of the sets `ipfilter-netN` may be used.
    pub ipfilter: Option<bool>,
    /// Whether only the card's own MAC address may be used.
    pub macfilter: Option<bool>,
    /// For packets to the VM that no rule decides about.
    pub policy_in: Option<FirewallPolicy>,
    /// For packets from the VM that no rule decides about.
    pub policy_out: Option<FirewallPolicy>,
}

/// The datacenter's firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ClusterFirewall {
    #[serde(default, deserialize_with = "lenient::u64")]
    enable: Option<u64>,
    /// For packets to nodes that no rule decides about; VMs have their own.
    #[serde(default, deserialize_with = "policy")]
    pub policy_in: Option<FirewallPolicy>,
    /// For packets from nodes that no rule decides about.
    #[serde(default, deserialize_with = "policy")]
    pub policy_out: Option<FirewallPolicy>,
    /// What a change sends along.
    #[serde(default, deserialize_with = "lenient::text")]
    pub digest: Option<String>,
}

impl ClusterFirewall {
    /// Whether the datacenter's switch is on. While it is off no VM is filtered, whatever its own says.
    pub fn enabled(&self) -> bool {
        self.enable.is_some_and(|number| number > 0)
    }
}

/// A named service that a rule can be about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FirewallMacro {
    /// Its name, such as `HTTPS`.
    #[serde(rename = "macro")]
    pub name: String,
    /// What it is for.
    #[serde(default, rename = "descr", deserialize_with = "lenient::text")]
    pub description: Option<String>,
}

impl Client {
    /// `GET /cluster/firewall/options`: the datacenter's switch. Needs `Sys.Audit` on `/`, which a token that is only
    /// for VMs lacks: take [`Error::PermissionDenied`] for "not known".
    pub async fn cluster_firewall(&self) -> Result<ClusterFirewall, Error> {
        let route = Route::get("/cluster/firewall/options");
        Ok(self.call(Class::Read, &route, &Params::new()).await?.data)
    }

    /// `GET /cluster/firewall/macros`, sorted by name without regard to case.
    pub async fn firewall_macros(&self) -> Result<Vec<FirewallMacro>, Error> {
        let route = Route::get("/cluster/firewall/macros");
        let entries: Entries<FirewallMacro> = self.call(Class::Read, &route, &Params::new()).await?.data;
        let mut macros = entries.kept("firewall macros");
        macros.sort_by_key(|entry| entry.name.to_ascii_lowercase());
        Ok(macros)
    }
}

impl Vm {
    /// `GET firewall/options`.
    pub async fn firewall_options(&self) -> Result<FirewallOptions, Error> {
        self.call(
            Class::Read,
            Method::GET,
            |vm| vm.word("/firewall/options"),
            Params::new(),
        )
        .await
    }

    /// `PUT firewall/options`: changes the options that are given.
    ///
    /// # Errors
    /// [`crate::Reason::DigestMismatch`] when they were changed since the digest was read.
    pub async fn set_firewall_options(
        &self,
        update: FirewallOptionsUpdate,
        digest: Option<&str>,
    ) -> Result<(), Error> {
        let params = Params::new()
            .opt("enable", update.enable.map(u8::from))
            .opt("ipfilter", update.ipfilter.map(u8::from))
            .opt("macfilter", update.macfilter.map(u8::from))
            .opt("policy_in", update.policy_in)
            .opt("policy_out", update.policy_out)
            .opt("digest", digest);
        self.change(Method::PUT, |vm| vm.word("/firewall/options"), params)
            .await
    }
}
