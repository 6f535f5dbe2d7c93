//! The firewall files of a scenario, in the words of PVE's own files.

use std::collections::BTreeMap;

use super::build::{Built, wrong};
use super::file;
use crate::world::World;
use crate::world::firewall::rule::{Rule, Scope};
use crate::world::firewall::{Alias, CLUSTER_OPTIONS, Config, Entry, OPTIONS, Set, names, values};

/// Writes the datacenter's file.
pub(super) fn datacenter(spec: &file::Firewall, world: &mut World) -> Built<()> {
    let place = "firewall";
    if !spec.rules.is_empty() {
        return wrong(place, "rules of the datacenter are not simulated");
    }
    world.firewall.datacenter.config = config(place, spec, CLUSTER_OPTIONS)?;
    for name in &spec.groups {
        if !names::is_name(name) {
            return wrong(place, format!("`{name}` is not the name of a security group"));
        }
        world.firewall.datacenter.groups.insert(name.clone(), None);
    }
    Ok(())
}

/// Writes a VM's file.
pub(super) fn of_vm(vmid: u32, spec: &file::Firewall, world: &mut World) -> Built<()> {
    let place = format!("vm {vmid}, firewall");
    if !spec.groups.is_empty() {
        return wrong(place, "security groups belong to the datacenter");
    }
    let config = config(&place, spec, OPTIONS)?;
    let scope = Scope {
        own: &config,
        datacenter: &world.firewall.datacenter,
    };
    for rule in &config.rules {
        if let Some((field, reason)) = rule.clone().verify(scope).into_iter().next() {
            return wrong(
                format!("{place}, `{}`", rule.line()),
                format!("{field}: {reason}"),
            );
        }
    }
    world.firewall.put(vmid, config);
    Ok(())
}

fn config(place: &str, spec: &file::Firewall, known: &[&str]) -> Built<Config> {
    let mut config = Config::default();
    for (name, value) in &spec.options {
        if !known.contains(&name.as_str()) {
            return wrong(place, format!("`{name}` is not an option"));
        }
        config.options.insert(name.clone(), value.text());
    }
    for (name, cidr) in &spec.aliases {
        if !names::is_name(name) || values::ip_or_cidr(cidr).is_err() {
            return wrong(place, format!("`{name} = {cidr}` is not an alias"));
        }
        let alias = Alias {
            name: name.clone(),
            cidr: cidr.clone(),
            comment: None,
        };
        config.aliases.insert(name.to_ascii_lowercase(), alias);
    }
    config.sets = sets(place, &spec.ipset)?;
    for line in &spec.rules {
        let Some(rule) = Rule::from_line(line) else {
            return wrong(place, format!("`{line}` is not a rule"));
        };
        config.rules.push(rule);
    }
    Ok(config)
}

fn sets(place: &str, specs: &BTreeMap<String, Vec<String>>) -> Built<BTreeMap<String, Set>> {
    let mut out = BTreeMap::new();
    for (name, cidrs) in specs {
        if !names::is_name(name) {
            return wrong(place, format!("`{name}` is not the name of a set"));
        }
        let mut set = Set::default();
        for cidr in cidrs {
            if values::ip_or_cidr_or_alias(cidr).is_err() {
                return wrong(place, format!("`{cidr}` is not an address or network"));
            }
            set.entries.push(Entry {
                cidr: values::cleaned(cidr),
                nomatch: false,
                comment: None,
            });
        }
        out.insert(name.to_ascii_lowercase(), set);
    }
    Ok(out)
}
