//! The plan: what applying the file would change, refused as a whole when any part of it must not happen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::approval;
use super::check;
use super::diff::{Change, Diff};
use super::file::{CustomerEntry, ProviderFile, ServiceEntry};
use super::inspect::Inspection;
use super::problem::{Problem, Problems};
use super::state::State;
use crate::domain::{
    Cluster, ClusterId, Customer, CustomerId, Origin, PluginApproval, PluginId, Product, ProductId,
    SecretRef, Service, ServiceId,
};

/// What the one who applies has decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Services that are no longer in the file may go. Their VMs are left alone.
    pub allow_remove_services: bool,
}

/// What is to be after the file is applied.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The clusters.
    pub clusters: BTreeMap<ClusterId, Cluster>,
    /// The plugin approvals, those made by command included.
    pub plugins: BTreeMap<PluginId, PluginApproval>,
    /// The products.
    pub products: BTreeMap<ProductId, Product>,
    /// The customers, those made by command included.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// The services, those made by command included.
    pub services: BTreeMap<ServiceId, Service>,
    /// Where new customers' first passwords are.
    pub passwords: BTreeMap<CustomerId, SecretRef>,
    /// The components of approved plugins, by file and digest.
    pub components: Vec<(PathBuf, String)>,
}

/// A plan that may be applied.
#[derive(Debug)]
pub struct Plan {
    /// What would be done, in the order of the file's sections.
    pub changes: Vec<Change>,
    /// How many records stay as they are.
    pub unchanged: usize,
    pub(super) state: State,
    pub(super) target: Target,
}

/// Makes the plan for `file` over `state`.
///
/// `components` are the inspected components of the file's plugins; `new_id` draws the id of a new service.
///
/// # Errors
/// Everything that stands against it.
pub(super) fn plan(
    file: &ProviderFile,
    components: &BTreeMap<PluginId, Inspection>,
    state: State,
    options: PlanOptions,
    new_id: &mut (dyn FnMut() -> ServiceId + Send),
) -> Result<Plan, Problems> {
    let mut problems = check::within(file);
    let mut target = Target {
        clusters: file
            .clusters
            .iter()
            .map(|entry| (entry.value.id.clone(), entry.value.clone()))
            .collect(),
        products: file
            .products
            .iter()
            .map(|entry| (entry.value.id.clone(), entry.value.clone()))
            .collect(),
        ..Target::default()
    };
    plugins(file, components, &state, &mut target, &mut problems);
    customers(file, &state, &mut target);
    let matched = services(file, &state, &mut target, new_id, &mut problems);
    problems.extend(check::across(file, &target, &matched));
    if !options.allow_remove_services {
        problems.extend(removed_services(&state, &target));
    }
    if let Some(problems) = Problems::of(&file.name, problems) {
        return Err(problems);
    }

    let mut diff = Diff::default();
    diff.section("cluster", &state.clusters, &target.clusters, |_| String::new());
    diff.section("plugin", &state.plugins, &target.plugins, |plugin| {
        let imports: Vec<_> = plugin.imports.iter().map(String::as_str).collect();
        format!(
            "{} {}, digest {}, approved: {}",
            plugin.description.title,
            plugin.description.version,
            plugin.digest,
            imports.join(", ")
        )
    });
    diff.section("product", &state.products, &target.products, |product| {
        product.title.clone()
    });
    let customers = state
        .customers
        .iter()
        .map(|(id, record)| (id.clone(), record.value.clone()))
        .collect();
    diff.section("customer", &customers, &target.customers, |customer| {
        let password = match (&customer.password_hash, target.passwords.get(&customer.id)) {
            (None, Some(place)) => format!("first password from {place}"),
            (None, None) => "no password yet".to_owned(),
            (Some(_), _) => String::new(),
        };
        [customer.email.to_string(), password]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ")
    });
    diff.named_section(
        "service",
        &state.services,
        &target.services,
        |service| format!("{}/{}", service.cluster, service.vmid),
        |service| {
            format!(
                "{} of {}, {}",
                service.hostname, service.customer, service.product
            )
        },
    );
    let (changes, unchanged) = diff.into_parts();
    Ok(Plan {
        changes,
        unchanged,
        state,
        target,
    })
}

fn plugins(
    file: &ProviderFile,
    components: &BTreeMap<PluginId, Inspection>,
    state: &State,
    target: &mut Target,
    problems: &mut Vec<Problem>,
) {
    let by_command = state
        .plugins
        .values()
        .filter(|plugin| plugin.origin == Origin::Panel);
    target.plugins = by_command
        .map(|plugin| (plugin.id.clone(), plugin.clone()))
        .collect();
    for entry in &file.plugins {
        // One that could not be inspected has its problem already.
        let Some(component) = components.get(&entry.value.id) else {
            continue;
        };
        match approval::of_entry(entry, component) {
            Ok(approval) => {
                target
                    .components
                    .push((approval.source.clone(), approval.digest.clone()));
                target.plugins.insert(approval.id.clone(), approval);
            }
            Err(mut found) => problems.append(&mut found),
        }
    }
}

fn customers(file: &ProviderFile, state: &State, target: &mut Target) {
    let by_command = state
        .customers
        .values()
        .map(|record| &record.value)
        .filter(|customer| customer.origin == Origin::Panel);
    target.customers = by_command
        .map(|customer| (customer.id.clone(), customer.clone()))
        .collect();
    for entry in &file.customers {
        let CustomerEntry {
            id,
            email,
            name,
            locale,
            time_zone,
            password,
            disabled,
        } = entry.value.clone();
        let customer = match state.customers.get(&id) {
            Some(existing) => Customer {
                email,
                name,
                disabled: disabled.unwrap_or(existing.value.disabled),
                origin: Origin::File,
                ..existing.value.clone()
            },
            None => Customer {
                id: id.clone(),
                email,
                name,
                locale,
                time_zone,
                password_hash: None,
                disabled: disabled.unwrap_or(false),
                origin: Origin::File,
            },
        };
        if let Some(password) = password.filter(|_| !state.customers.contains_key(&id)) {
            target.passwords.insert(id.clone(), password);
        }
        target.customers.insert(id, customer);
    }
}

/// Finds or makes the service of each entry; returns which entry is which service.
fn services(
    file: &ProviderFile,
    state: &State,
    target: &mut Target,
    new_id: &mut (dyn FnMut() -> ServiceId + Send),
    problems: &mut Vec<Problem>,
) -> BTreeMap<ServiceId, usize> {
    let by_command = state
        .services
        .values()
        .filter(|service| service.origin == Origin::Panel);
    target.services = by_command.map(|service| (service.id, service.clone())).collect();
    let mut matched = BTreeMap::new();
    for (index, entry) in file.services.iter().enumerate() {
        let wanted = &entry.value;
        let by_machine = state
            .machines
            .get(&(wanted.cluster.clone(), wanted.vmid))
            .copied();
        let id = wanted.id.or(by_machine).unwrap_or_else(&mut *new_id);
        let existing = state.services.get(&id);
        if let Some(existing) = existing.filter(|existing| existing.customer != wanted.customer) {
            let message = format!("changes from `{}` to `{}`", existing.customer, wanted.customer);
            let hint = "a service cannot change hands: its log and its plugins' data are the owner's. Take the entry out, apply with `--allow-remove-services`, then add it again";
            problems.push(entry.problem("customer", message, hint));
        }
        if matched.insert(id, index).is_some() {
            // The same VM or the same id twice, which `check::within` reports.
            continue;
        }
        target.services.insert(id, service(id, wanted, existing));
    }
    matched
}

fn service(id: ServiceId, wanted: &ServiceEntry, existing: Option<&Service>) -> Service {
    Service {
        id,
        customer: wanted.customer.clone(),
        product: wanted.product.clone(),
        cluster: wanted.cluster.clone(),
        vmid: wanted.vmid,
        hostname: wanted.hostname.clone(),
        addresses: wanted.addresses.clone(),
        mac: wanted.mac.clone(),
        suspended: wanted
            .suspended
            .or(existing.map(|existing| existing.suspended))
            .unwrap_or(false),
        origin: Origin::File,
    }
}

fn removed_services(state: &State, target: &Target) -> Vec<Problem> {
    let gone = state
        .services
        .values()
        .filter(|service| !target.services.contains_key(&service.id));
    gone.map(|service| Problem {
        line: None,
        key: format!("service[{}/{}]", service.cluster, service.vmid),
        message: format!("of customer `{}` is no longer in the file, and its record with log and plugin data would go", service.customer),
        hint: format!(
            "put the entry back; or give it `id = \"{}\"` if its VM moved; or run again with `--allow-remove-services`, which leaves the VM itself alone",
            service.id
        ),
    })
    .collect()
}
