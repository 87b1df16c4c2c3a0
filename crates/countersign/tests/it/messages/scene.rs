//! The files and servers that the mistakes are made with.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use countersign_testca::{General, oid, root};
use tempfile::{TempDir, tempdir};

use crate::{
    running::{Dev, countersign},
    serve::Served,
};

pub(super) struct Scene {
    directory: TempDir,
    env: BTreeMap<String, String>,
    _dev: Option<Dev>,
    _servers: Vec<Served>,
    /// It takes connections, and says nothing.
    _silent: Option<TcpListener>,
}

impl Scene {
    /// The files alone.
    pub(super) fn offline() -> Self {
        let directory = tempdir().unwrap();
        make_files(directory.path());
        let program = Path::new(env!("CARGO_BIN_EXE_countersign"));
        let programs = program.parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap();
        let home = directory.path().display().to_string();
        let env = [("PATH", format!("{programs}:{path}")), ("HOME", home)];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        Self {
            directory,
            env: env.into(),
            _dev: None,
            _servers: Vec::new(),
            _silent: None,
        }
    }

    /// With a `dev` as its `dev.env` describes it, and three servers over TLS: a good one, one with
    /// an expired certificate, and one with a certificate for another name.
    pub(super) fn online() -> Self {
        let mut scene = Self::offline();
        let dev = Dev::start(&scene.directory().join("countersign-data"));
        scene.env.extend(dev.env.clone());
        let mesh = fs::read_to_string(scene.directory().join("ca.pem")).unwrap();
        let other = scene.directory().join("kept.pem");
        fs::write(&other, mesh).unwrap();
        let uploaded = dev.json(&[
            "certificate",
            "upload",
            other.to_str().unwrap(),
            "--name",
            "mesh",
        ]);
        let id = uploaded["id"].as_str().unwrap().to_owned();
        scene.env.insert("CERT".to_owned(), id);
        for (name, scope) in [("READER", "api.mtls.read"), ("WRITER", "api.mtls.write")] {
            let create = ["admin-key", "create", "--name", name, "--scopes", scope];
            let value = dev.json(&create)["value"].as_str().unwrap().to_owned();
            scene.env.insert(name.to_owned(), value);
        }
        for (name, certificate) in [
            ("TLS", "server.pem"),
            ("EXPIRED", "server-expired.pem"),
            ("OTHER_NAME", "server-name.pem"),
            ("CA_AS_SERVER", "ca.pem"),
        ] {
            let key = match name {
                "CA_AS_SERVER" => "ca.key".to_owned(),
                _ => certificate.replace(".pem", ".key"),
            };
            let files = [certificate, &key].map(|file| scene.directory().join(file));
            let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
            let tls = ["--tls-certificate", certificate, "--tls-key", key];
            let served = Served::start(&scene.directory().join("served"), &tls);
            let address = served.address.clone();
            scene.env.insert(name.to_owned(), address);
            scene._servers.push(served);
        }
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        scene.env.insert("SILENT".to_owned(), address);
        scene._silent = Some(silent);
        scene._dev = Some(dev);
        scene
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }
}

fn make_files(directory: &Path) {
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    let ca = root("Mesh").mint();
    write("ca.pem", &ca.pem());
    write("ca.key", &ca.key_pem());
    write("next.pem", &root("Next").mint().pem());
    let leaf = ca.leaf("worker").mint();
    write("leaf.pem", &leaf.pem());
    write("leaf.key", &leaf.key_pem());
    write("chain-reversed.pem", &(ca.pem() + &leaf.pem()));
    write("bundle.pem", &(leaf.pem() + &ca.pem()));
    write(
        "expired-ca.pem",
        &root("Old").valid(1_500_000_000, 1_600_000_000).mint().pem(),
    );
    let here = || General::Ip(std::net::Ipv4Addr::LOCALHOST.into());
    let server = |name| ca.leaf(name).eku(&[oid::SERVER_AUTH]);
    for (name, server) in [
        ("server", server("localhost").san(here()).mint()),
        (
            "server-expired",
            server("localhost")
                .san(here())
                .valid(1_500_000_000, 1_600_000_000)
                .mint(),
        ),
        (
            "server-name",
            server("other.example")
                .san(General::dns("other.example"))
                .mint(),
        ),
    ] {
        write(&format!("{name}.pem"), &server.pem());
        write(&format!("{name}.key"), &server.key_pem());
    }
    let ran = Command::new("bash")
        .args(["-euc", include_str!("files.sh")])
        .current_dir(directory)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
    make_newer_database(&directory.join("data/newer"));
}

/// A database that a later version of the program wrote.
fn make_newer_database(directory: &Path) {
    let mut create = countersign(&["organization", "create", "--name", "a", "--data-dir"]);
    assert!(create.arg(directory).output().unwrap().status.success());
    let database = rusqlite::Connection::open(directory.join("countersign.db")).unwrap();
    let later = "INSERT INTO schema_migrations (version, applied_at) VALUES (1000, 0)";
    database.execute(later, []).unwrap();
}
