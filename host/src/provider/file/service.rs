//! `[[service]]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::super::reader::TableReader;
use crate::domain::{Addresses, ClusterId, CustomerId, MacAddress, ProductId, ServiceId, Vmid, is_dns_name};

/// A service as the file asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Its id; without one, cluster and VMID say which service is meant, and a new one gets a random id.
    pub id: Option<ServiceId>,
    /// Whose it is.
    pub customer: CustomerId,
    /// What he bought.
    pub product: ProductId,
    /// Where the VM is.
    pub cluster: ClusterId,
    /// Which VM it is.
    pub vmid: Vmid,
    /// Its host name.
    pub hostname: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its MAC address.
    pub mac: Option<MacAddress>,
    /// Whether it is suspended; none leaves it as it is.
    pub suspended: Option<bool>,
}

pub(super) fn read(table: &mut TableReader<'_, '_>) -> Option<ServiceEntry> {
    let id: Option<ServiceId> = table.opt_parsed("id");
    let cluster: Option<ClusterId> = table.parsed("cluster");
    let vmid = table
        .integer("vmid", 100..=999_999_999)
        .and_then(|number| Vmid::try_from(number).ok());
    if let (Some(cluster), Some(vmid)) = (&cluster, vmid) {
        table.rename(format!("service[{cluster}/{vmid}]"));
    }
    let customer = table.parsed("customer");
    let product = table.parsed("product");
    let hostname = table.text("hostname");
    if hostname.as_ref().is_some_and(|name| !is_dns_name(name)) {
        table.report(
            "hostname",
            "is not a host name",
            "use letters, digits and inner hyphens, with dots between, such as `web1.example.com`",
        );
    }
    let mac = table.opt_parsed("mac");
    let suspended = table.opt_flag("suspended");
    let addresses = addresses(table);
    Some(ServiceEntry {
        id,
        customer: customer?,
        product: product?,
        cluster: cluster?,
        vmid: vmid?,
        hostname: hostname?,
        addresses,
        mac,
        suspended,
    })
}

fn addresses(table: &mut TableReader<'_, '_>) -> Addresses {
    let ipv4: Vec<Ipv4Net> = table.list("ipv4");
    let gateway4: Option<Ipv4Addr> = table.opt_parsed("gateway4");
    let ipv6: Vec<Ipv6Net> = table.list("ipv6");
    let gateway6: Option<Ipv6Addr> = table.opt_parsed("gateway6");
    let dns: Vec<IpAddr> = table.list("dns");
    let domain = table.opt_text("domain");
    if domain.as_ref().is_some_and(|name| !is_dns_name(name)) {
        table.report(
            "domain",
            "is not a domain name",
            "write one such as `example.com`",
        );
    }
    if gateway4.is_some() && ipv4.is_empty() {
        table.report(
            "gateway4",
            "stands without an address",
            "add `ipv4`, or remove the gateway",
        );
    }
    if gateway6.is_some() && ipv6.is_empty() {
        table.report(
            "gateway6",
            "stands without an address",
            "add `ipv6`, or remove the gateway",
        );
    }
    // PVE's CIDR formats take prefixes of 8 to 32 and 8 to 128.
    if ipv4.iter().any(|net| net.prefix_len() < 8) || ipv6.iter().any(|net| net.prefix_len() < 8) {
        let key = if ipv4.iter().any(|net| net.prefix_len() < 8) {
            "ipv4"
        } else {
            "ipv6"
        };
        table.report(
            key,
            "has a prefix shorter than 8",
            "Proxmox VE takes /8 and longer",
        );
    }
    if let Some(gateway) = gateway4.filter(|gateway| ipv4.iter().any(|net| net.addr() == *gateway)) {
        table.report(
            "gateway4",
            format!("is an address of the service itself: `{gateway}`"),
            "",
        );
    }
    if let Some(gateway) = gateway6.filter(|gateway| ipv6.iter().any(|net| net.addr() == *gateway)) {
        table.report(
            "gateway6",
            format!("is an address of the service itself: `{gateway}`"),
            "",
        );
    }
    Addresses {
        ipv4,
        gateway4,
        ipv6,
        gateway6,
        dns,
        domain,
    }
}
