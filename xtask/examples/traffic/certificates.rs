//! The certificates: one client CA, many leaves under it, and the server's own.

use std::{fs, path::Path};

use countersign_testca::{General, oid, root};

use crate::outcome::Outcome;

/// What is minted into a directory: the client CA, the leaves each with its key, the server's
/// certificate and key.
pub(crate) const LEAVES: &str = "leaves.pem";
pub(crate) const SERVER: &str = "server.pem";

pub(crate) fn mint(directory: &Path, leaves: usize) -> Outcome {
    let ca = root("Benchmark Clients").mint();
    fs::write(directory.join("ca.pem"), ca.pem())?;
    let mut pems = String::new();
    for number in 0..leaves {
        let name = format!("client-{number}");
        let leaf = ca
            .leaf(&name)
            .san(General::dns(&format!("{name}.example.com")))
            .mint();
        pems += &leaf.pem();
        pems += &leaf.key_pem();
    }
    fs::write(directory.join(LEAVES), pems)?;
    let server = root("Benchmark Servers")
        .mint()
        .leaf("localhost")
        .eku(&[oid::SERVER_AUTH])
        .san(General::dns("localhost"))
        .mint();
    fs::write(directory.join(SERVER), server.pem())?;
    fs::write(directory.join("server.key"), server.key_pem())?;
    let both = server.pem() + &server.key_pem();
    Ok(fs::write(directory.join("server-and-key.pem"), both)?)
}
