//! Where tools come in, and what they must know.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_connect::{ListenError, Listener, OwnHosts, Token};
use countersign_server::store::Sources;
use data_encoding::HEXLOWER;

use crate::{
    config::listen_address,
    failure::{CommandResult, Failure},
    file_kind::unreadable,
    files::write_private,
    output::note,
    serve::cannot_listen,
};

/// The port, unless another is given.
const PORT: u16 = 9000;

#[derive(Args)]
#[command(next_help_heading = "Tools")]
pub(super) struct EntranceFlags {
    /// Loopback address to listen on, or `unix:PATH`; port 0 picks a free one [default: 127.0.0.1:9000, or a free port with `--exec`]
    #[arg(long, value_name = "ADDRESS", value_parser = place)]
    listen: Option<Place>,
    /// Listen on an address that other machines reach; they, and everybody on the way, see what is sent
    #[arg(long)]
    allow_remote: bool,
    /// Another name that tools call this machine by, such as `host.docker.internal`; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// File with the token that tools must know; it is made if it does not exist [default: a new token each time]
    #[arg(long, value_name = "FILE", conflicts_with = "no_token")]
    token_file: Option<PathBuf>,
    /// Let everybody in who reaches the address
    #[arg(long)]
    no_token: bool,
    /// File to write the variables to that lead a tool here, for a shell; it is removed at the end
    #[arg(long, value_name = "FILE", conflicts_with = "exec")]
    pub(super) env_file: Option<PathBuf>,
    /// Another variable to set to the base URL, besides `OPENAI_BASE_URL`; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "proxy")]
    pub(super) base_url_variable: Vec<String>,
}

/// Where to listen.
#[derive(Debug, Clone)]
enum Place {
    Port(SocketAddr),
    Unix(PathBuf),
}

fn place(text: &str) -> Result<Place, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("write the path of the socket after `unix:`".to_owned()),
        Some(path) => Ok(Place::Unix(path.into())),
        None => listen_address(text).map(Place::Port),
    }
}

/// Where tools find the forwarder.
#[derive(Debug, Clone)]
pub(super) enum Address {
    Port(SocketAddr),
    Unix(PathBuf),
}

/// What tools come in by.
pub(super) struct Entrance {
    pub(super) listener: Listener,
    pub(super) address: Address,
    pub(super) hosts: OwnHosts,
    pub(super) token: Option<Token>,
}

impl EntranceFlags {
    fn place(&self, exec: bool) -> Place {
        let port = if exec { 0 } else { PORT };
        let usual = || Place::Port(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        self.listen.clone().unwrap_or_else(usual)
    }

    /// Refuses to be open to more than was meant.
    pub(super) fn check(&self, is_proxy: bool) -> CommandResult {
        match &self.listen {
            Some(Place::Port(address)) if !address.ip().is_loopback() && !self.allow_remote => {
                Err(Failure::usage(format_args!(
                    "`{address}` can be reached by other machines, and what listens there has your certificate"
                ))
                .hint("listen on `127.0.0.1`, or pass `--allow-remote`"))
            }
            Some(Place::Unix(_)) if is_proxy => {
                Err(Failure::usage("no tool uses a proxy on a Unix socket")
                    .hint("listen on an address, such as `127.0.0.1:9000`"))
            }
            _ => Ok(()),
        }
    }

    /// Listens. What only this user can reach needs no token.
    pub(super) async fn open(&self, exec: bool) -> CommandResult<Entrance> {
        let place = self.place(exec);
        let token = match (&place, self.no_token) {
            (Place::Unix(_), _) => None,
            (Place::Port(address), true) => {
                let who = if address.ip().is_loopback() {
                    "every user of this machine"
                } else {
                    "everybody who reaches this machine"
                };
                note(&format!(
                    "warning: `--no-token`: {who} can send requests with your certificate"
                ));
                None
            }
            (Place::Port(_), false) => Some(self.token()?),
        };
        Ok(match place {
            Place::Unix(path) => Entrance {
                listener: Listener::unix(&path).map_err(|error| {
                    Failure::new(error).hint(
                    "is another forwarder running? choose another path with `--listen unix:PATH`",
                )
                })?,
                address: Address::Unix(path),
                hosts: OwnHosts::Any,
                token,
            },
            Place::Port(address) => {
                let listener = Listener::port(address).await.map_err(|error| match error {
                    ListenError::Port { address, source } => {
                        cannot_listen(address, "--listen", &source)
                    }
                    other => Failure::new(other),
                })?;
                let address = listener.address().unwrap_or(address);
                Entrance {
                    listener,
                    address: Address::Port(reached_at(address)),
                    hosts: OwnHosts::Known(self.allow_host.clone()),
                    token,
                }
            }
        })
    }

    fn token(&self) -> CommandResult<Token> {
        let Some(file) = &self.token_file else {
            return random_token();
        };
        if file.exists() {
            return read_token(file);
        }
        let token = random_token()?;
        write_private(file, &format!("{}\n", token.reveal()))?;
        Ok(token)
    }
}

fn read_token(file: &Path) -> CommandResult<Token> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    Token::new(text.trim()).ok_or_else(|| {
        Failure::usage(format_args!("`{}` does not hold a token", file.display())).hint(
            "a token has at least 16 letters, digits, `-` or `_`; without the file, one is made",
        )
    })
}

fn random_token() -> CommandResult<Token> {
    let mut random = [0; 16];
    (Sources::system().random)(&mut random)?;
    Token::new(&HEXLOWER.encode(&random)).ok_or_else(|| Failure::new("cannot make a token"))
}

/// The address by which this machine itself reaches a listener.
const fn reached_at(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        }
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), address.port())
        }
        _ => address,
    }
}
