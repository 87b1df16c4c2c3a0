//! Listening sockets that a service manager passes: systemd's protocol, `sd_listen_fds(3)`.

use std::net::TcpListener;

use countersign_gateway::Sockets;
use listenfd::ListenFd;
use socket2::SockRef;

use crate::failure::{CommandResult, Failure};

/// The name that a socket for the admin listener has (`FileDescriptorName=`). All others are for clients.
const ADMIN: &str = "admin";

/// The first descriptor that is passed.
const FIRST: usize = 3;

/// Takes what was passed. It changes the environment, so call it while there is one thread.
pub(super) fn sockets() -> CommandResult<Sockets> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = Sockets::default();
    for index in 0..passed.len() {
        let is_admin = names.next() == Some(ADMIN);
        let listener = passed.take_tcp_listener(index).ok().flatten();
        let listener = listener
            .filter(is_listening)
            .ok_or_else(|| not_listening(index))?;
        if !is_admin {
            sockets.clients.push(listener);
        } else if sockets.admin.replace(listener).is_some() {
            return Err(Failure::usage(
                "several sockets named `admin` were passed by `LISTEN_FDS`",
            )
            .hint("a gateway has one admin listener: pass one such socket"));
        }
    }
    Ok(sockets)
}

fn is_listening(socket: &TcpListener) -> bool {
    SockRef::from(socket).is_listener().unwrap_or(false)
}

fn not_listening(index: usize) -> Failure {
    Failure::usage(format_args!(
        "descriptor {}, passed by `LISTEN_FDS`, is no TCP socket that listens",
        FIRST + index
    ))
    .hint(
        "a socket unit of a gateway has `ListenStream=` with a port or an address, and `Accept=no`",
    )
}
