//! TLS towards clients. A client certificate is requested but not required, without naming CAs; the
//! handshake proves that the client holds the leaf's key, and nothing more.

use std::sync::Arc;

use countersign_tls::{CertificateFiles, Error, aes128_first};
use countersign_verify::presented::can_be_verified;
use metrics::{Counter, counter};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        ServerSessionMemoryCache, StoresServerSessions,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::options::Limits;

/// How many sessions are kept for resumption.
const MAX_SESSIONS: usize = 32_768;

/// The most bytes of a session that is kept. It holds the client's whole chain, which anyone may
/// make as large as a handshake can carry: such a client does a full handshake each time.
const MAX_SESSION_BYTES: usize = 4 * 1024;

/// Keeps sessions of an ordinary size for resumption.
#[derive(Debug)]
struct Sessions(Arc<ServerSessionMemoryCache>);

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, mut value: Vec<u8>) -> bool {
        // It grew as it was written, by more than it needs.
        value.shrink_to_fit();
        value.len() <= MAX_SESSION_BYTES && self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Accepts any leaf whose key the client proves to hold. Whether it is trusted is decided by the
/// judge, for each request. A leaf that the judge can only refuse is accepted without proof, so
/// that its client is told why over HTTP, and not by an alert.
#[derive(Debug)]
struct ProofOfPossession {
    algorithms: WebPkiSupportedAlgorithms,
    chains: ChainLimits,
    oversized: Counter,
}

/// What a client's chain may have. rustls keeps the chain for as long as the connection lives, and so
/// does the gateway: without a limit, whoever opens a connection would decide what it costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChainLimits {
    certificates: usize,
    bytes: usize,
}

impl ChainLimits {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            certificates: limits.chain_certificates,
            bytes: limits.chain_bytes,
        }
    }

    pub(crate) fn allow(
        self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> bool {
        let bytes: usize = intermediates.iter().map(|der| der.len()).sum();
        intermediates.len() < self.certificates && leaf.len() + bytes <= self.bytes
    }
}

impl ClientCertVerifier for ProofOfPossession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Empty: with hints, some clients send no certificate at all.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if !self.chains.allow(leaf, intermediates) {
            self.oversized.increment(1);
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !can_be_verified(leaf) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !can_be_verified(leaf) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The configuration with this server certificate.
pub(crate) fn server_config(
    files: &CertificateFiles,
    chains: ChainLimits,
) -> Result<ServerConfig, Error> {
    let provider = aes128_first();
    let verifier = Arc::new(ProofOfPossession {
        algorithms: provider.signature_verification_algorithms,
        chains,
        oversized: counter!("countersign_gateway_oversized_chains_total"),
    });
    let mut config = countersign_tls::server_config(provider, files, Some(verifier))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = Arc::new(Sessions(ServerSessionMemoryCache::new(MAX_SESSIONS)));
    config.send_tls13_tickets = 1;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_may_have_so_many_certificates_and_bytes() {
        let limits = ChainLimits {
            certificates: 3,
            bytes: 100,
        };
        let allowed = |leaf: usize, intermediates: &[usize]| {
            let der = |length: &usize| CertificateDer::from(vec![0; *length]);
            let intermediates: Vec<_> = intermediates.iter().map(der).collect();
            limits.allow(&der(&leaf), &intermediates)
        };
        assert!(allowed(100, &[]) && allowed(40, &[30, 30]));
        assert!(!allowed(101, &[]) && !allowed(40, &[30, 31]) && !allowed(1, &[1, 1, 1]));
    }
}
