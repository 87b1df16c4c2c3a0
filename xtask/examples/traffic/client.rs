//! The client side of TLS: TLS 1.3, X25519, AES-128-GCM first, no resumption, for every server
//! alike.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256, kx_group::X25519},
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    version::TLS13,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    certificates::{LEAVES, SERVER},
    outcome::Outcome,
};

/// Takes the one certificate that the benchmark minted. It does not check the handshake's
/// signature: the client's work is not measured, and must not be the bottleneck.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *leaf == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("another server certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not measured".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Connects as one client.
#[derive(Clone)]
pub(crate) struct Client {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Client {
    /// Clients with the leaves of a range, each with its own.
    pub(crate) fn range(
        directory: &Path,
        (first, count): (usize, usize),
        address: SocketAddr,
        protocol: &[u8],
    ) -> Outcome<Vec<Self>> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![X25519];
        provider
            .cipher_suites
            .sort_by_key(|suite| *suite != TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let verifier = Arc::new(Pinned {
            certificate: CertificateDer::from_pem_file(directory.join(SERVER))?,
            schemes: provider
                .signature_verification_algorithms
                .supported_schemes(),
        });
        let file = directory.join(LEAVES);
        let leaves =
            CertificateDer::pem_file_iter(&file)?.zip(PrivateKeyDer::pem_file_iter(&file)?);
        let clients = leaves.skip(first).take(count).map(|(leaf, key)| {
            let config = config(&provider, &verifier, (leaf?, key?), protocol)?;
            Ok(Self {
                connector: TlsConnector::from(Arc::new(config)),
                address,
            })
        });
        let clients = clients.collect::<Outcome<Vec<_>>>()?;
        if clients.len() < count {
            return Err("there are not that many leaves".into());
        }
        Ok(clients)
    }

    pub(crate) async fn connect(&self) -> Outcome<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(self.connector.connect(name, stream).await?)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<Pinned>,
    (leaf, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    protocol: &[u8],
) -> Outcome<ClientConfig> {
    let verifier = Arc::clone(verifier);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![leaf], key)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
