//! TLS by rustls with the ring provider, and the verifier for pinned certificates.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::cluster::{Fingerprint, Trust};
use crate::error::ConfigError;

/// The TLS settings that belong to a trust. HTTP/1.1 is the only protocol offered: PVE speaks no other.
pub(crate) fn client_config(trust: &Trust) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| ConfigError::Trust(e.to_string()))?;
    let mut config = match trust {
        Trust::CaPem(pem) => builder
            .with_root_certificates(from_pem(pem)?)
            .with_no_client_auth(),
        Trust::SystemRoots => builder
            .with_root_certificates(from_system()?)
            .with_no_client_auth(),
        Trust::Fingerprints(pins) if pins.is_empty() => {
            return Err(ConfigError::Trust(
                "at least one fingerprint is needed".to_owned(),
            ));
        }
        Trust::Fingerprints(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier {
                pins: pins.clone(),
                provider,
            }))
            .with_no_client_auth(),
        // No root at all: should TLS be spoken by mistake, nobody is trusted.
        Trust::PlainHttpForTests => builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn from_pem(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| ConfigError::Trust(format!("no readable PEM: {e}")))?;
        roots
            .add(certificate)
            .map_err(|e| ConfigError::Trust(format!("not an authority: {e}")))?;
    }
    if roots.is_empty() {
        return Err(ConfigError::Trust("the PEM text holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems carry a certificate or two that cannot be read; the others still count.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found
            .errors
            .first()
            .map_or_else(|| "none are installed".to_owned(), ToString::to_string);
        return Err(ConfigError::Trust(format!(
            "no authorities of the operating system: {why}"
        )));
    }
    Ok(roots)
}

/// Accepts exactly the certificates whose fingerprints were given.
///
/// The handshake signature is still checked: whoever shows the certificate must hold its key.
#[derive(Debug)]
struct PinVerifier {
    pins: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

/// The certificate that was shown is none of those expected.
#[derive(Debug)]
struct PinMismatch {
    seen: Fingerprint,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the certificate's SHA-256 fingerprint is {}, which is not one of those configured",
            self.seen
        )
    }
}

impl std::error::Error for PinMismatch {}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint(Sha256::digest(end_entity.as_ref()).into());
        if self.pins.contains(&seen) {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = OtherError(Arc::new(PinMismatch { seen }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            mismatch,
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_without_any_anchor_is_refused() {
        assert!(client_config(&Trust::CaPem(Vec::new())).is_err());
        assert!(client_config(&Trust::CaPem(b"not a certificate".to_vec())).is_err());
        assert!(client_config(&Trust::Fingerprints(Vec::new())).is_err());
    }
}
