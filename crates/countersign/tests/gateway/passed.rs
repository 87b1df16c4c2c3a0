//! A gateway that is passed its listening sockets, as systemd does.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
};

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    client::{Tls, plain_get},
    process::{Deployment, Process, free_address, patient_client},
    upstream,
    world::{LIMIT, make_project},
};

/// A deployment whose gateway has three threads, and is configured to listen where nobody asks for it.
async fn deployment(directory: &TempDir) -> (Deployment, Process, String) {
    let deployment = Deployment::local(directory.path());
    let (plane_address, unused) = (free_address(), free_address());
    let admin_key = deployment.prepare(upstream::start().await, &[(plane_address, unused)]);
    let path = directory.path().join("gateway-0.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("threads = 1", "threads = 3")).unwrap();
    let plane = deployment.plane(plane_address);
    let (_, key) = make_project(&patient_client(plane_address, &admin_key), "alpha").await;
    (deployment, plane, key)
}

fn listening() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn copy(socket: &TcpListener) -> OwnedFd {
    socket.try_clone().unwrap().into()
}

#[tokio::test]
async fn it_serves_on_what_was_passed_and_clients_wait_while_it_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let (deployment, _plane, key) = deployment(&directory).await;
    let ((clients, address), (admin, admin_address)) = (listening(), listening());
    let start = || {
        let passed = [copy(&clients), copy(&admin)];
        let mut command = deployment.activated_gateway(passed, 2, "edge.socket:admin");
        Process::start(&mut command, "gateway listening")
    };
    let client = Tls::new(&deployment.server_ca, &[]);
    let all_pass = async || {
        let passes = async || client.try_code(address, &key).await.as_deref() == Some("");
        let ready = async { while !passes().await {} };
        timeout(LIMIT, ready).await.unwrap();
        for _ in 0..9 {
            assert!(passes().await);
        }
    };
    let gateway = start();
    all_pass().await;
    assert!(plain_get(admin_address, "/healthz").await.contains("ok"));

    // Nobody accepts this connection until there is a gateway again.
    drop(gateway);
    let waiting = TcpStream::connect(address).unwrap();
    let _gateway = start();
    all_pass().await;
    drop(waiting);
}

#[tokio::test]
async fn what_is_no_listening_socket_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (deployment, _plane, _) = deployment(&directory).await;
    let (listener, _) = listening();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let idle = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    idle.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let file = File::open("/dev/null").unwrap();
    let refusal = |second: OwnedFd, count, names: &str| {
        let passed = [copy(&listener), second];
        let mut command = deployment.activated_gateway(passed, count, names);
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        String::from_utf8(done.stderr).unwrap()
    };
    for wrong in [udp.into(), idle.into(), file.into()] {
        let said = refusal(wrong, 2, "");
        assert!(
            said.contains("descriptor 4, passed by `LISTEN_FDS`, is no TCP socket that listens"),
            "{said}"
        );
    }
    let said = refusal(copy(&listener), 2, "admin:admin");
    assert!(said.contains("several sockets named `admin`"), "{said}");

    let path = directory.path().join("gateway-0.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("threads = 3", "threads = 1")).unwrap();
    let said = refusal(copy(&listener), 2, "");
    assert!(
        said.contains("2 listening sockets were passed, more than threads serve (1)"),
        "{said}"
    );
}
