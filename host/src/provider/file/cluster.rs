//! `[[cluster]]`.

use url::Url;

use super::super::reader::TableReader;
use crate::domain::{Cluster, ClusterId, ClusterTuning, Fingerprint, StoredSecret, TokenId, Trust};

pub(super) fn read(table: &mut TableReader<'_, '_>) -> Option<Cluster> {
    let id: Option<ClusterId> = table.parsed("id");
    if let Some(id) = &id {
        table.rename(format!("cluster[{id}]"));
    }
    let endpoints: Vec<Url> = table.list("endpoints");
    if endpoints.is_empty() && !table.has("endpoints") {
        table.report(
            "endpoints",
            "is missing",
            "add `endpoints = [\"https://pve1.example.com:8006\"]`",
        );
    } else if endpoints.is_empty() {
        table.report(
            "endpoints",
            "names no node",
            "write one URL a node, `https://HOST:8006`",
        );
    }
    for endpoint in &endpoints {
        let bare = endpoint.path() == "/"
            && endpoint.query().is_none()
            && endpoint.fragment().is_none()
            && endpoint.username().is_empty()
            && endpoint.password().is_none();
        if endpoint.scheme() != "https" || !bare || endpoint.host().is_none() {
            table.report(
                "endpoints",
                format!(
                    "has an entry that is not the base URL of a node: `{}`",
                    shown(endpoint)
                ),
                "write `https://HOST:8006`, without a path, user or password",
            );
        }
    }
    let token_id: Option<TokenId> = table.parsed("token_id");
    let token_secret = table.secret("token_secret").map(StoredSecret::Reference);
    let trust = trust(table);
    let default = ClusterTuning::default();
    let mut tune = |key, range, default| table.opt_integer(key, range).unwrap_or(default);
    let tuning = ClusterTuning {
        connect_timeout_secs: tune("connect_timeout_secs", 1..=60, default.connect_timeout_secs),
        read_timeout_secs: tune("read_timeout_secs", 5..=300, default.read_timeout_secs),
        write_timeout_secs: tune("write_timeout_secs", 5..=600, default.write_timeout_secs),
        per_node: tune("per_node", 1..=64, default.per_node),
        per_endpoint: tune("per_endpoint", 1..=256, default.per_endpoint),
    };
    Some(Cluster {
        id: id?,
        endpoints,
        token_id: token_id?,
        token_secret: token_secret?,
        trust: trust?,
        tuning,
    })
}

fn trust(table: &mut TableReader<'_, '_>) -> Option<Trust> {
    let ca_file = table.opt_path("ca_file");
    let fingerprints: Vec<Fingerprint> = table.list("fingerprints");
    match (ca_file, table.has("fingerprints")) {
        (Some(_), true) => {
            table.report(
                "fingerprints",
                "stands beside `ca_file`",
                "keep one of the two: they are two ways to trust the same certificate",
            );
            None
        }
        (Some(file), false) => Some(Trust::CaFile(file)),
        (None, true) if fingerprints.is_empty() => {
            table.report(
                "fingerprints",
                "names no usable fingerprint",
                "write the SHA-256 that `pvenode cert info` prints, or remove the key",
            );
            None
        }
        (None, true) => Some(Trust::Fingerprints(fingerprints)),
        (None, false) => Some(Trust::System),
    }
}

/// A URL without user and password.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have either.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}
