//! Products: what customers buy, with its sizes, its permission list and its plugin settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{PluginId, ProductId};
use super::permission::Permission;
use super::settings::Settings;
use crate::mail::EmailAddress;

/// A product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Its id in the provider's file.
    pub id: ProductId,
    /// The name customers read.
    pub title: String,
    /// Sizes and limits of its VMs.
    pub plan: Plan,
    /// The address of the ticket department that plugins may write to, by [`crate::capability`]'s mail. None: the
    /// product has none, and a plugin that writes to it is told so.
    #[serde(default)]
    pub department: Option<EmailAddress>,
    /// What its customers may use.
    pub permissions: Vec<Permission>,
    /// Each plugin's settings for this product: quotas, lifetimes and so on.
    pub settings: BTreeMap<PluginId, Settings>,
}

/// Sizes and limits of a product's VMs: what a reinstall builds, and what restore and rollback put back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// CPU cores, 1 to 512.
    pub cores: u32,
    /// Memory in MiB, 16 to 16,777,216.
    pub memory_mib: u32,
    /// The disk the VM boots from.
    pub system_disk: DiskPlan,
    /// A second disk, where the product has one.
    pub additional_disk: Option<DiskPlan>,
    /// The network adapter.
    pub network: NetworkPlan,
}

/// Size and limits of a disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskPlan {
    /// Size in GiB, 1 to 131,072.
    pub size_gib: u32,
    /// Reads, in MB/s, of 2²⁰ bytes as Proxmox counts; none is unlimited.
    pub mbps_rd: Option<f64>,
    /// Writes, in MB/s, of 2²⁰ bytes as Proxmox counts; none is unlimited.
    pub mbps_wr: Option<f64>,
    /// Read operations a second; none is unlimited.
    pub iops_rd: Option<u32>,
    /// Write operations a second; none is unlimited.
    pub iops_wr: Option<u32>,
}

/// The network adapter of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// Rate in MB/s, of 2²⁰ bytes as Proxmox counts (12 is about 100 Mbit/s); none is unlimited.
    pub rate_mbps: Option<f64>,
    /// The bridge, such as `vmbr0`; none leaves the VM's own.
    pub bridge: Option<String>,
    /// The VLAN tag, 1 to 4094; none is untagged.
    pub vlan: Option<u16>,
    /// Whether the adapter has its firewall flag, without which no firewall rule takes effect.
    pub firewall: bool,
}
