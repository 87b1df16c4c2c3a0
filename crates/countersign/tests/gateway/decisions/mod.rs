//! The decision service: other proxies ask whether a request may pass.

mod agreement;
mod asking;
mod documented;
mod foreign;
mod observed;
mod refused;
mod traced;

use std::{net::SocketAddr, path::PathBuf};

use countersign_gateway::options::{
    AskedBy, CertificateForm, DecisionAddress, DecisionProtocol, Decisions, GatewayOptions,
    ProxyCertificate, ProxySecret,
};

use crate::world::World;

/// What the tests' proxy proves itself with, where that is a secret.
const SECRET: &str = "a-secret-that-only-the-proxy-knows";
const SECRET_HEADER: &str = "x-countersign-proxy-secret";

/// A file beside the gateway's own.
fn file(options: &GatewayOptions, name: &str, text: &str) -> PathBuf {
    let path = options.certificate.with_file_name(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A door on a free port, whose proxy has the secret.
fn by_secret(
    options: &GatewayOptions,
    protocol: DecisionProtocol,
    certificate: CertificateForm,
) -> Decisions {
    Decisions {
        listen: DecisionAddress::Tcp("127.0.0.1:0".parse().unwrap()),
        protocol,
        certificate,
        asked_by: Some(AskedBy::Secret(ProxySecret {
            file: file(options, "proxy.secret", SECRET),
            header: SECRET_HEADER.to_owned(),
        })),
        tls: false,
        receipt: Vec::new(),
    }
}

/// A door on a free port, whose proxy has a certificate of this CA under this name.
fn by_certificate(
    options: &GatewayOptions,
    protocol: DecisionProtocol,
    certificate: CertificateForm,
    (ca, name): (&str, &str),
) -> Decisions {
    Decisions {
        asked_by: Some(AskedBy::ClientCertificate(ProxyCertificate {
            ca: file(options, "proxies-ca.pem", ca),
            names: vec![name.to_owned()],
        })),
        ..by_secret(options, protocol, certificate)
    }
}

/// A door on a Unix socket, for the user that runs the tests.
fn by_user(
    options: &GatewayOptions,
    protocol: DecisionProtocol,
    certificate: CertificateForm,
) -> Decisions {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::fs::metadata(&options.certificate).unwrap().uid();
    Decisions {
        listen: DecisionAddress::Unix(options.certificate.with_file_name("door.sock")),
        asked_by: Some(AskedBy::UnixUsers(vec![own])),
        ..by_secret(options, protocol, certificate)
    }
}

impl World {
    /// Where the door with this number is.
    fn door(&self, number: usize) -> SocketAddr {
        let gateway = self.gateway.as_ref().unwrap();
        match gateway.decision_addresses().nth(number).unwrap() {
            DecisionAddress::Tcp(address) => *address,
            DecisionAddress::Unix(path) => panic!("a socket: {}", path.display()),
        }
    }
}
