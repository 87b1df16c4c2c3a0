//! Asking the control plane, on the background thread: serving threads only wait for the answer.

use countersign_client::Client;
use countersign_types::token::{TokenExchange, TokenExchangeRequest};
use tokio::sync::{mpsc, oneshot, watch};

use super::places::Place;

/// An exchange that the control plane is to decide.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) request: TokenExchangeRequest,
    /// Gets the answer, or why there is none.
    pub(super) answer: oneshot::Sender<Result<TokenExchange, String>>,
    /// Given back when the question is.
    pub(super) place: Place,
}

/// The exchanges that were asked for.
#[derive(Debug)]
pub(crate) struct Exchanges {
    asked: mpsc::Receiver<Asked>,
    /// The client as it was last configured.
    client: watch::Receiver<Client>,
}

impl Exchanges {
    pub(crate) const fn new(asked: mpsc::Receiver<Asked>, client: watch::Receiver<Client>) -> Self {
        Self { asked, client }
    }

    /// Asks for each, until the gateway ends. What arrives has its place.
    pub(crate) async fn run(&mut self) {
        while let Some(asked) = self.asked.recv().await {
            let client = self.client.borrow().clone();
            tokio::spawn(ask(client, asked));
        }
    }
}

async fn ask(client: Client, asked: Asked) {
    let Asked {
        request,
        mut answer,
        place,
    } = asked;
    let countersign = client.countersign();
    let answered = tokio::select! {
        answered = countersign.exchange_token(&request) => answered,
        // Nobody waits for it any more.
        () = answer.closed() => return,
    };
    drop(place);
    let answered = answered.map(|found| found.value);
    // An error means that nobody waits for it any more.
    let _ = answer.send(answered.map_err(|error| error.to_string()));
}
