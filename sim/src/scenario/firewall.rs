//! The firewall files of a scenario, in the words of PVE's own files.

use std::collections::BTreeMap;

use super::build::{Built, wrong};
use super::file;
use crate::world::World;
use crate::world::firewall::rule::Rule;
use crate::world::firewall::{
    Alias, CLUSTER_OPTIONS, Config, Entry, File, Group, OPTIONS, Place, Set, names, values,
};

/// Writes the datacenter's file.
pub(super) fn datacenter(spec: &file::Firewall, world: &mut World) -> Built<()> {
    let place = "firewall";
    let config = config(place, spec, CLUSTER_OPTIONS)?;
    let cluster = Place::File(File::Datacenter);
    let own = config.rules.clone();
    world.firewall.write(File::Datacenter, config);
    sound(place, &own, world, &cluster)?;
    for (name, lines) in &spec.groups {
        if !names::is_name(name) || name.len() > names::LONGEST_GROUP {
            return wrong(place, format!("`{name}` is not the name of a security group"));
        }
        let place = format!("{place}, group {name}");
        let group = Group {
            comment: None,
            rules: rules(&place, lines)?,
        };
        sound(&place, &group.rules, world, &Place::Group(name.clone()))?;
        world.firewall.datacenter.groups.insert(name.clone(), group);
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
    let own = config.rules.clone();
    world.firewall.write(File::Vm(vmid), config);
    sound(&place, &own, world, &Place::File(File::Vm(vmid)))
}

/// Refuses rules that PVE would refuse where they stand.
fn sound(place: &str, rules: &[Rule], world: &World, at: &Place) -> Built<()> {
    let scope = world.firewall.scope(at);
    for rule in rules {
        if let Some((field, reason)) = rule.clone().verify(scope).into_iter().next() {
            return wrong(
                format!("{place}, `{}`", rule.line()),
                format!("{field}: {reason}"),
            );
        }
    }
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
    config.rules = rules(place, &spec.rules)?;
    Ok(config)
}

fn rules(place: &str, lines: &[String]) -> Built<Vec<Rule>> {
    let mut out = Vec::new();
    for line in lines {
        let Some(rule) = Rule::from_line(line) else {
            return wrong(place, format!("`{line}` is not a rule"));
        };
        out.push(rule);
    }
    Ok(out)
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
