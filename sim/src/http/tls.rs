//! The certificate: given, kept in the data directory, or made for this run.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::options::{Options, StartError};

/// A certificate that is ready to serve.
#[derive(Clone)]
pub(crate) struct Identity {
    /// Accepts TLS connections with it.
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate as PEM.
    pub(crate) pem: String,
    /// SHA-256 of its DER form: `AB:CD:…`, as PVE prints it.
    pub(crate) fingerprint: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}

fn failed(reason: impl Into<Box<dyn std::error::Error>>) -> StartError {
    StartError::Certificate(reason.into().to_string())
}

/// The certificate that the options ask for.
pub(crate) fn identity(options: &Options, nodes: &[String]) -> Result<Identity, StartError> {
    let (pem, key) = if let Some(files) = &options.certificate {
        (read(&files.certificate)?, read(&files.key)?)
    } else if let Some(dir) = &options.data_dir {
        kept(dir, nodes)?
    } else {
        made(nodes)?
    };
    assembled(pem, &key)
}

/// A new self-signed certificate, as after `pvecm updatecerts` with another authority.
pub(crate) fn renewed(nodes: &[String]) -> Result<Identity, StartError> {
    let (pem, key) = made(nodes)?;
    assembled(pem, &key)
}

fn assembled(pem: String, key: &str) -> Result<Identity, StartError> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let first = chain
        .first()
        .ok_or_else(|| failed("there is no certificate in the file"))?;
    let digest = Sha256::digest(first);
    let fingerprint = digest
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(failed)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(failed)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        pem,
        fingerprint,
    })
}

fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|error| failed(format!("`{}`: {error}", path.display())))
}

fn kept(dir: &Path, nodes: &[String]) -> Result<(String, String), StartError> {
    let (pem_path, key_path) = (dir.join("certificate.pem"), dir.join("key.pem"));
    if pem_path.exists() && key_path.exists() {
        return Ok((read(&pem_path)?, read(&key_path)?));
    }
    let (pem, key) = made(nodes)?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| failed(format!("`{}`: {error}", path.display())))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(format!("`{}`: {error}", dir.display())))?;
    write(&key_path, &key)?;
    private(&key_path);
    write(&pem_path, &pem)?;
    Ok((pem, key))
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let done = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    if let Err(error) = done {
        tracing::warn!(%error, "the key's file keeps its permissions");
    }
}

#[cfg(not(unix))]
fn private(_: &Path) {}

fn made(nodes: &[String]) -> Result<(String, String), StartError> {
    let names = nodes
        .iter()
        .cloned()
        .chain(["localhost".to_owned()])
        .collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "PVE Simulator");
    params.distinguished_name.push(DnType::CommonName, "pve-sim");
    for address in ["127.0.0.1", "::1"] {
        params
            .subject_alt_names
            .push(SanType::IpAddress(address.parse().map_err(failed)?));
    }
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
