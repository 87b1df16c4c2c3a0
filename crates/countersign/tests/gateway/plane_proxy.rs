//! A proxy between a gateway and its control plane, whose connections may go silent, and which may
//! turn to another control plane.

use std::net::{SocketAddr, TcpListener as StdListener};

use countersign_gateway::options::GatewayOptions;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy between a gateway and its control plane.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    plane: watch::Sender<SocketAddr>,
    /// Connections before this one say nothing any more.
    silent_before: watch::Sender<usize>,
    /// How many there have been.
    pub(crate) accepted: watch::Receiver<usize>,
}

impl Proxy {
    pub(crate) fn before(plane: SocketAddr) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (plane, current) = watch::channel(plane);
        let (silent_before, silence) = watch::channel(0);
        let (count, accepted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = *count.borrow();
                count.send_replace(number + 1);
                tokio::spawn(carry(client, current.clone(), number, silence.clone()));
            }
        });
        Self {
            address,
            plane,
            silent_before,
            accepted,
        }
    }

    /// Connections are closed, and new ones lead to another control plane.
    pub(crate) fn turn_to(&self, plane: SocketAddr) {
        self.plane.send_replace(plane);
    }

    /// Every connection there is goes silent; neither end is told.
    pub(crate) fn silence(&self) {
        self.silent_before.send_replace(*self.accepted.borrow());
    }
}

async fn carry(
    mut client: TcpStream,
    mut plane: watch::Receiver<SocketAddr>,
    number: usize,
    mut silence: watch::Receiver<usize>,
) {
    let address = *plane.borrow_and_update();
    let mut upstream = TcpStream::connect(address).await.unwrap();
    let silent = async { silence.wait_for(|before| number < *before).await.is_ok() };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut upstream) => return,
        _ = plane.changed() => return,
        _ = silent => {}
    }
    // The ends stay open, and hear nothing.
    std::future::pending().await
}

/// Where the control plane is, in plain text.
pub(crate) fn plane_of(options: &GatewayOptions) -> SocketAddr {
    let url = options.control_plane.trim_start_matches("http://");
    url.trim_end_matches("/v1").parse().unwrap()
}
