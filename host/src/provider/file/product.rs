//! `[[product]]`.

use std::collections::BTreeMap;

use super::super::reader::TableReader;
use crate::domain::{DiskPlan, NetworkPlan, Permission, Plan, Product, ProductId, Settings};

pub(super) fn read(table: &mut TableReader<'_, '_>) -> Option<Product> {
    let id: Option<ProductId> = table.parsed("id");
    if let Some(id) = &id {
        table.rename(format!("product[{id}]"));
    }
    let title = table.text("title");
    let department = table.opt_parsed("department");
    let mut permissions: Vec<Permission> = table.list("permissions");
    permissions.sort();
    permissions.dedup();
    let plan = table.table("plan").and_then(plan);
    let settings = table.opt_table("settings").map(settings).unwrap_or_default();
    Some(Product {
        id: id?,
        title: title?,
        plan: plan?,
        department,
        permissions,
        settings,
    })
}

fn plan(mut table: TableReader<'_, '_>) -> Option<Plan> {
    let cores = table.integer("cores", 1..=512);
    let memory_mib = table.integer("memory_mib", 16..=16_777_216);
    let system_disk = table.table("system_disk").and_then(disk);
    let additional_disk = table.opt_table("additional_disk").and_then(disk);
    let network = table.opt_table("network").map(network);
    // Without a word about it the adapter is filtered: a rule that does nothing is worse than one flag more.
    let network = network.unwrap_or(NetworkPlan {
        rate_mbps: None,
        bridge: None,
        vlan: None,
        firewall: true,
    });
    table.finish();
    Some(Plan {
        cores: cores?,
        memory_mib: memory_mib?,
        system_disk: system_disk?,
        additional_disk,
        network,
    })
}

fn disk(mut table: TableReader<'_, '_>) -> Option<DiskPlan> {
    let size_gib = table.integer("size_gib", 1..=131_072);
    let mbps_rd = table.opt_rate("mbps_rd");
    let mbps_wr = table.opt_rate("mbps_wr");
    let iops_rd = table.opt_integer("iops_rd", 1..=u32::MAX);
    let iops_wr = table.opt_integer("iops_wr", 1..=u32::MAX);
    table.finish();
    Some(DiskPlan {
        size_gib: size_gib?,
        mbps_rd,
        mbps_wr,
        iops_rd,
        iops_wr,
    })
}

fn network(mut table: TableReader<'_, '_>) -> NetworkPlan {
    let rate_mbps = table.opt_rate("rate_mbps");
    let bridge = table.opt_text("bridge");
    // PVE: `[-_.\w\d]+`; a comma or an equals sign would change other keys of the adapter.
    let good = bridge.as_ref().is_none_or(|name| {
        name.len() <= 32
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    });
    if !good {
        table.report(
            "bridge",
            "is not the name of a bridge",
            "write one such as `vmbr0`",
        );
    }
    let vlan = table
        .opt_integer("vlan", 1..=4094)
        .and_then(|tag| u16::try_from(tag).ok());
    let firewall = table.opt_flag("firewall").unwrap_or(true);
    table.finish();
    NetworkPlan {
        rate_mbps,
        bridge,
        vlan,
        firewall,
    }
}

fn settings(table: TableReader<'_, '_>) -> BTreeMap<crate::domain::PluginId, Settings> {
    let mut settings = BTreeMap::new();
    for (name, table) in table.entries() {
        match name.parse() {
            Ok(plugin) => {
                settings.insert(plugin, table.into_settings());
            }
            Err(_) => table.report(
                "",
                "is not named after a plugin",
                "name the table by the plugin's id",
            ),
        }
    }
    settings
}
