//! Checks whether a cluster can be used: endpoints, certificate, token, version, privileges by feature.

use std::collections::BTreeSet;

use portico_proxmox::{Client, Permissions};

use super::privileges::{FEATURES, FeatureNeeds, Need, Place};
use super::protocol::{AdminAnswer, AdminFailure, CheckReport, FeatureReport, MissingPrivilege};
use super::service::{Admin, record_failure};
use crate::domain::{Cluster, ClusterId};

/// As many places as a report names of those where a privilege is missing.
const NAMED: usize = 3;

/// The oldest PVE the panel is made for.
const OLDEST: u32 = 8;

/// Where the privileges of a cluster are looked for.
#[derive(Debug, Default)]
struct Places {
    vms: Vec<String>,
    bridges: Vec<String>,
}

impl Admin {
    pub(super) async fn check(&self, wanted: Option<ClusterId>) -> Result<AdminAnswer, AdminFailure> {
        let failed = |error| record_failure(&error);
        let records = &self.parts.records;
        let clusters = match wanted {
            Some(id) => vec![records.cluster(&id).await.map_err(failed)?],
            None => records.clusters().await.map_err(failed)?,
        };
        if clusters.is_empty() {
            return Err(AdminFailure::refused(
                "there is no cluster yet",
                "add `[[cluster]]` to the provider's file and apply it",
            ));
        }
        let approved = records.plugins().await.map_err(failed)?;
        let approved: BTreeSet<String> = approved
            .iter()
            .map(|plugin| plugin.value.id.to_string())
            .collect();
        let mut reports = Vec::new();
        for cluster in clusters {
            let places = self.places(&cluster.value.id).await?;
            reports.push(self.check_cluster(&cluster.value, &places, &approved).await);
        }
        Ok(AdminAnswer::Checks(reports))
    }

    async fn places(&self, cluster: &ClusterId) -> Result<Places, AdminFailure> {
        let failed = |error| record_failure(&error);
        let services = self.parts.records.services().await.map_err(failed)?;
        let here: Vec<_> = services
            .iter()
            .map(|record| &record.value)
            .filter(|service| service.cluster == *cluster)
            .collect();
        let products: BTreeSet<_> = here.iter().map(|service| &service.product).collect();
        let mut bridges = BTreeSet::new();
        for product in self.parts.records.products().await.map_err(failed)? {
            let network = &product.value.plan.network;
            if let Some(bridge) = network
                .bridge
                .as_ref()
                .filter(|_| products.contains(&product.value.id))
            {
                let tag = network.vlan.map(|tag| format!("/{tag}")).unwrap_or_default();
                bridges.insert(format!("/sdn/zones/localnetwork/{bridge}{tag}"));
            }
        }
        let vms = here
            .iter()
            .map(|service| format!("/vms/{}", service.vmid))
            .collect();
        Ok(Places {
            vms,
            bridges: bridges.into_iter().collect(),
        })
    }

    async fn check_cluster(
        &self,
        cluster: &Cluster,
        places: &Places,
        approved: &BTreeSet<String>,
    ) -> CheckReport {
        let mut report = CheckReport {
            cluster: cluster.id.clone(),
            version: None,
            problems: Vec::new(),
            services: places.vms.len(),
            features: Vec::new(),
        };
        let mut working = None;
        for endpoint in &cluster.endpoints {
            // Each by itself: fail-over would hide one that does not answer.
            let alone = Cluster {
                endpoints: vec![endpoint.clone()],
                ..cluster.clone()
            };
            let client = match self.parts.clusters.connect(&alone).await {
                Ok(client) => client,
                Err(error) => {
                    // The record itself does not do: the token's secret or the CA file.
                    report.problems.push(format!("{error:#}"));
                    return report;
                }
            };
            match client.version().await {
                Ok(version) if working.is_none() => working = Some((client, version)),
                Ok(_) => {}
                Err(error) => report
                    .problems
                    .push(format!("`{endpoint}`: {}", with_causes(&error))),
            }
        }
        let Some((client, version)) = working else {
            return report;
        };
        report.version = Some(version.version.clone());
        match version.major() {
            Some(major) if major < OLDEST => report.problems.push(format!(
                "Proxmox VE {} is too old: upgrade to {OLDEST} or later",
                version.version
            )),
            Some(major) => {
                self.check_privileges(&client, major, places, approved, &mut report)
                    .await;
            }
            None => report
                .problems
                .push(format!("`{}` is not a version of Proxmox VE", version.version)),
        }
        report
    }

    async fn check_privileges(
        &self,
        client: &Client,
        major: u32,
        places: &Places,
        approved: &BTreeSet<String>,
        report: &mut CheckReport,
    ) {
        match client.permissions(None).await {
            Ok(permissions)
                if permissions
                    .paths
                    .values()
                    .all(std::collections::BTreeMap::is_empty) =>
            {
                report.problems.push(
                    "the token has no privileges at all: a token with privilege separation needs permissions of its own, besides its user's"
                        .to_owned(),
                );
            }
            Ok(permissions) => {
                let features = FEATURES
                    .iter()
                    .map(|feature| check_feature(feature, major, &permissions, places, approved));
                report.features = features.collect();
            }
            Err(error) => report.problems.push(format!(
                "the token's privileges cannot be read: {}",
                with_causes(&error)
            )),
        }
    }
}

fn check_feature(
    feature: &FeatureNeeds,
    major: u32,
    permissions: &Permissions,
    places: &Places,
    approved: &BTreeSet<String>,
) -> FeatureReport {
    let missing = feature
        .on(major)
        .filter_map(|need| missing(need, permissions, places))
        .collect();
    FeatureReport {
        feature: feature.feature.to_owned(),
        in_use: approved.contains(feature.feature),
        missing,
    }
}

fn missing(need: &Need, permissions: &Permissions, places: &Places) -> Option<MissingPrivilege> {
    let lacking: Vec<String> = match need.place {
        // With no service yet, what is given for all VMs is what the first one will have.
        Place::Vm if places.vms.is_empty() => lacking(&["/vms".to_owned()], need, permissions),
        Place::Vm => lacking(&places.vms, need, permissions),
        Place::Bridge => lacking(&places.bridges, need, permissions),
        Place::Storage => {
            let somewhere = permissions
                .paths
                .keys()
                .any(|path| path.starts_with("/storage") && permissions.allows(path, need.privilege))
                || permissions.allows("/storage", need.privilege);
            if somewhere {
                Vec::new()
            } else {
                vec!["/storage/…".to_owned()]
            }
        }
    };
    let count = lacking.len();
    (count > 0).then(|| MissingPrivilege {
        privilege: need.privilege.to_owned(),
        places: lacking.into_iter().take(NAMED).collect(),
        count,
        purpose: need.purpose.to_owned(),
    })
}

fn lacking(paths: &[String], need: &Need, permissions: &Permissions) -> Vec<String> {
    paths
        .iter()
        .filter(|path| !permissions.allows(path, need.privilege))
        .cloned()
        .collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    AdminFailure::failed(error).message
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn permissions(paths: &[(&str, &[&str])]) -> Permissions {
        let rights = |list: &[&str]| list.iter().map(|name| ((*name).to_owned(), true)).collect();
        Permissions {
            paths: paths
                .iter()
                .map(|(path, list)| ((*path).to_owned(), rights(list)))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn report(feature: &str, major: u32, paths: &[(&str, &[&str])], vms: &[&str]) -> Vec<String> {
        let feature = FEATURES.iter().find(|needs| needs.feature == feature).unwrap();
        let places = Places {
            vms: vms.iter().map(|&vm| vm.to_owned()).collect(),
            bridges: vec!["/sdn/zones/localnetwork/vmbr0/100".to_owned()],
        };
        let report = check_feature(feature, major, &permissions(paths), &places, &BTreeSet::new());
        report
            .missing
            .iter()
            .map(|missing| format!("{} on {:?} {}", missing.privilege, missing.places, missing.count))
            .collect()
    }

    #[test]
    fn a_privilege_missing_on_some_vms_names_those() {
        let good: &[&str] = &["VM.Audit", "VM.PowerMgmt"];
        let paths = [("/vms", good), ("/vms/102", &["VM.Audit"])];
        assert_eq!(
            report("overview", 9, &paths, &["/vms/101", "/vms/102"]),
            ["VM.PowerMgmt on [\"/vms/102\"] 1"]
        );
        assert!(report("overview", 9, &paths, &[]).is_empty());
    }

    #[test]
    fn many_vms_are_counted_and_a_few_named() {
        let vms: Vec<String> = (100..150).map(|vmid| format!("/vms/{vmid}")).collect();
        let vms: Vec<&str> = vms.iter().map(String::as_str).collect();
        let found = report("charts", 9, &[("/nodes", &["Sys.Audit"])], &vms);
        assert_eq!(
            found,
            ["VM.Audit on [\"/vms/100\", \"/vms/101\", \"/vms/102\"] 50"]
        );
    }

    #[test]
    fn a_storage_privilege_is_enough_on_one_storage_and_a_bridge_inherits_from_its_zone() {
        let audit: &[&str] = &["VM.Audit", "VM.Config.CDROM", "VM.Config.Options"];
        let isos: &[&str] = &["Datastore.Audit"];
        assert!(
            report(
                "iso",
                9,
                &[("/vms", audit), ("/storage/isos", isos)],
                &["/vms/101"]
            )
            .is_empty()
        );
        assert_eq!(
            report("iso", 9, &[("/vms", audit)], &["/vms/101"]),
            ["Datastore.Audit on [\"/storage/…\"] 1"]
        );
        let found = report("reinstall", 9, &[("/", &["VM.Audit"])], &["/vms/101"]);
        assert!(
            found.contains(&"SDN.Use on [\"/sdn/zones/localnetwork/vmbr0/100\"] 1".to_owned()),
            "{found:?}"
        );
        let found = report(
            "reinstall",
            9,
            &[("/sdn/zones/localnetwork", &["SDN.Use"])],
            &["/vms/101"],
        );
        assert!(!found.iter().any(|line| line.starts_with("SDN.Use")), "{found:?}");
    }
}
