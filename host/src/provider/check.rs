//! What must hold between the entries: names that exist, and things that only one may have.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;

use super::file::{Entry, ProviderFile};
use super::plan::Target;
use super::problem::Problem;
use super::reader::{closest, quoted};
use super::settings;
use crate::domain::{ClusterId, Origin, Product, Service, ServiceId, permission};

/// Checks the file by itself: no name and no VM twice.
pub(super) fn within(file: &ProviderFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    let other_id = "every id of a kind is there once: rename or remove one";
    problems.extend(twice(&file.clusters, "id", other_id, |cluster| {
        Some(cluster.id.clone())
    }));
    problems.extend(twice(&file.plugins, "id", other_id, |plugin| {
        Some(plugin.id.clone())
    }));
    problems.extend(twice(&file.products, "id", other_id, |product| {
        Some(product.id.clone())
    }));
    problems.extend(twice(&file.customers, "id", other_id, |customer| {
        Some(customer.id.clone())
    }));
    problems.extend(twice(
        &file.customers,
        "email",
        "every customer signs in with an address of his own",
        |customer| Some(customer.email.folded()),
    ));
    problems.extend(twice(&file.services, "id", other_id, |service| service.id));
    problems.extend(twice(
        &file.services,
        "vmid",
        "a VM belongs to one service: remove one entry, or correct its VMID",
        |service| Some(format!("{}/{}", service.cluster, service.vmid)),
    ));
    problems
}

fn twice<T, K: Eq + Hash + Ord + Display>(
    entries: &[Entry<T>],
    key: &str,
    hint: &str,
    value: impl Fn(&T) -> Option<K>,
) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let Some(value) = value(&entry.value) else {
            continue;
        };
        if let Some(first) = seen.get(&value) {
            problems.push(entry.problem(
                key,
                format!("is used twice: `{value}` is on line {first} already"),
                hint,
            ));
        } else {
            let line = entry.problem(key, "", "").line.unwrap_or(0);
            seen.insert(value, line);
        }
    }
    problems
}

/// Checks what is to be as a whole: the file with what commands made. `matched` says which entry of the file is
/// which service.
pub(super) fn across(
    file: &ProviderFile,
    target: &Target,
    matched: &BTreeMap<ServiceId, usize>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in &file.products {
        problems.extend(product(file, entry, target));
    }
    for entry in &file.plugins {
        if let Some(approval) = target.plugins.get(&entry.value.id) {
            let found = settings::check(&approval.settings, approval.description.settings_schema.as_ref());
            problems.extend(found.into_iter().map(|problem| {
                entry.problem(&joined("settings", &problem.key), problem.message, problem.hint)
            }));
        }
    }
    let place = Place { file, matched };
    for service in target.services.values() {
        problems.extend(references(&place, service, target));
    }
    problems.extend(emails(file, target));
    problems.extend(machines(&place, target));
    problems.extend(addresses(&place, target));
    problems
}

fn joined(head: &str, tail: &str) -> String {
    if tail.is_empty() {
        head.to_owned()
    } else {
        format!("{head}.{tail}")
    }
}

fn product(file: &ProviderFile, entry: &Entry<Product>, target: &Target) -> Vec<Problem> {
    let mut problems = Vec::new();
    let known: Vec<&str> = target
        .plugins
        .keys()
        .map(crate::domain::PluginId::as_str)
        .collect();
    let unknown = |id: &crate::domain::PluginId| {
        let hint = match closest(id.as_str(), &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `[[plugin]]` with `id = \"{id}\"`"),
        };
        (format!("names plugin `{id}`, which there is not"), hint)
    };
    // A plugin of the file that could not be inspected has its own problem; its permissions are not known.
    let pending = |id: &crate::domain::PluginId| file.plugins.iter().any(|plugin| plugin.value.id == *id);

    let mut plugins: Vec<_> = entry
        .value
        .permissions
        .iter()
        .map(|permission| &permission.plugin)
        .collect();
    plugins.dedup();
    for id in plugins {
        match target.plugins.get(id) {
            Some(plugin) => {
                let facts = &plugin.description;
                for (_, message) in
                    permission::problems(&entry.value.permissions, id, &facts.permissions, &facts.scopes)
                {
                    let (message, hint) = message.rsplit_once(": ").unwrap_or((&message, ""));
                    problems.push(entry.problem(
                        "permissions",
                        format!("has an entry that grants nothing: {message}"),
                        hint,
                    ));
                }
            }
            None if pending(id) => {}
            None => {
                let (message, hint) = unknown(id);
                problems.push(entry.problem("permissions", message, hint));
            }
        }
    }
    for (id, values) in &entry.value.settings {
        let key = format!("settings.{id}");
        for path in values.secret_paths() {
            problems.push(entry.problem(
                &format!("{key}.{}", path.replace('/', ".")),
                "is a secret, which the settings of a product cannot have: it would be sent nowhere",
                format!("write it to `settings` of `[[plugin]]` `{id}`, and bind it to an origin in `http_origins`"),
            ));
        }
        match target.plugins.get(id) {
            Some(plugin) => {
                let found = settings::check(values, plugin.description.product_settings_schema.as_ref());
                problems.extend(found.into_iter().map(|problem| {
                    entry.problem(&joined(&key, &problem.key), problem.message, problem.hint)
                }));
            }
            None if pending(id) => {}
            None => {
                let (message, hint) = unknown(id);
                problems.push(entry.problem(&key, message, hint));
            }
        }
    }
    problems
}

/// Finds the place of a service: its entry, or just its name when a command made it.
struct Place<'a> {
    file: &'a ProviderFile,
    matched: &'a BTreeMap<ServiceId, usize>,
}

impl Place<'_> {
    fn problem(&self, service: &Service, key: &str, message: String, hint: String) -> Problem {
        let entry = self
            .matched
            .get(&service.id)
            .and_then(|&index| self.file.services.get(index));
        match entry {
            Some(entry) => entry.problem(key, message, hint),
            None => Problem {
                line: None,
                key: format!("service[{}/{}].{key}", service.cluster, service.vmid),
                message: format!("(made by command) {message}"),
                hint,
            },
        }
    }
}

fn references(place: &Place<'_>, service: &Service, target: &Target) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut missing = |key: &str, id: &str, known: Vec<&str>| {
        let hint = match closest(id, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("add `[[{key}]]` with `id = \"{id}\"`"),
            None => format!(
                "there are {}; a {key} cannot go while a service is on it",
                quoted(&known)
            ),
        };
        problems.push(place.problem(
            service,
            key,
            format!("names {key} `{id}`, which there is not"),
            hint,
        ));
    };
    if !target.clusters.contains_key(&service.cluster) {
        missing(
            "cluster",
            service.cluster.as_str(),
            target.clusters.keys().map(ClusterId::as_str).collect(),
        );
    }
    if !target.products.contains_key(&service.product) {
        missing(
            "product",
            service.product.as_str(),
            target
                .products
                .keys()
                .map(crate::domain::ProductId::as_str)
                .collect(),
        );
    }
    if !target.customers.contains_key(&service.customer) {
        // The whole list of customers is no help.
        let near = target
            .customers
            .keys()
            .map(crate::domain::CustomerId::as_str)
            .collect::<Vec<_>>();
        let near = closest(service.customer.as_str(), &near).into_iter().collect();
        missing("customer", service.customer.as_str(), near);
    }
    problems
}

/// Addresses of customers in the file against those of customers made by command.
fn emails(file: &ProviderFile, target: &Target) -> Vec<Problem> {
    let by_command: BTreeMap<_, _> = target
        .customers
        .values()
        .filter(|customer| customer.origin == Origin::Panel)
        .map(|customer| (customer.email.folded(), &customer.id))
        .collect();
    let clashes = file.customers.iter().filter_map(|entry| {
        let owner = by_command.get(&entry.value.email.folded())?;
        let message = format!(
            "is used twice: `{}` belongs to customer `{owner}`, who was made by command",
            entry.value.email
        );
        Some(entry.problem(
            "email",
            message,
            format!("write `id = \"{owner}\"` to take that customer over"),
        ))
    });
    clashes.collect()
}

/// A service of the file on the VM of a service made by command. Two of the file are found by [`within`].
fn machines(place: &Place<'_>, target: &Target) -> Vec<Problem> {
    let mut seen: BTreeMap<(&ClusterId, crate::domain::Vmid), &Service> = BTreeMap::new();
    let mut problems = Vec::new();
    for service in target.services.values() {
        let Some(other) = seen.insert((&service.cluster, service.vmid), service) else {
            continue;
        };
        if place.matched.contains_key(&service.id) && place.matched.contains_key(&other.id) {
            continue;
        }
        let (entry, made) = if place.matched.contains_key(&service.id) {
            (service, other)
        } else {
            (other, service)
        };
        let message = format!(
            "is used twice: VM {} belongs to service `{}`, which was made by command",
            made.vmid, made.id
        );
        problems.push(place.problem(
            entry,
            "vmid",
            message,
            format!("write `id = \"{}\"` to take that service over", made.id),
        ));
    }
    problems
}

fn addresses(place: &Place<'_>, target: &Target) -> Vec<Problem> {
    // In the order of the file, so that the second one is told about the first.
    let mut services: Vec<_> = target.services.values().collect();
    services.sort_by_key(|service| place.matched.get(&service.id).copied());
    let mut seen: BTreeMap<(&ClusterId, IpAddr), &Service> = BTreeMap::new();
    let mut problems = Vec::new();
    for service in services {
        for address in service.addresses.hosts() {
            let key = if address.is_ipv4() { "ipv4" } else { "ipv6" };
            match seen.get(&(&service.cluster, address)) {
                Some(other) if other.id == service.id => problems.push(place.problem(
                    service,
                    key,
                    format!("has `{address}` twice"),
                    "remove one".to_owned(),
                )),
                Some(other) => problems.push(place.problem(
                    service,
                    key,
                    format!(
                        "has `{address}`, which service `{}/{}` has already",
                        other.cluster, other.vmid
                    ),
                    "an address belongs to one service of a cluster".to_owned(),
                )),
                None => {
                    seen.insert((&service.cluster, address), service);
                }
            }
        }
    }
    problems
}
