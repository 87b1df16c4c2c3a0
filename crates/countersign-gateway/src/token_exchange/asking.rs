//! Asking the control plane, on the background thread: serving threads only wait for the answer.

use std::sync::Arc;

use countersign_client::Client;
use countersign_types::token::{TokenExchange, TokenExchangeRequest};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// The most exchanges that the control plane is asked about at once: whoever has any certificate may ask. As
/// many more wait here, and the rest is refused.
pub(crate) const MOST_AT_ONCE: usize = 64;

/// An exchange that the control plane is to decide.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) request: TokenExchangeRequest,
    /// Gets the answer, or why there is none.
    pub(super) answer: oneshot::Sender<Result<TokenExchange, String>>,
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

    /// Asks for each, until the gateway ends.
    pub(crate) async fn run(&mut self) {
        let slots = Arc::new(Semaphore::new(MOST_AT_ONCE));
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            let Some(asked) = self.asked.recv().await else {
                return;
            };
            let client = self.client.borrow().clone();
            tokio::spawn(async move {
                ask(client, asked).await;
                drop(slot);
            });
        }
    }
}

async fn ask(client: Client, mut asked: Asked) {
    let countersign = client.countersign();
    let answer = tokio::select! {
        answer = countersign.exchange_token(&asked.request) => answer,
        // Nobody waits for it any more.
        () = asked.answer.closed() => return,
    };
    let answer = answer.map(|found| found.value);
    // An error means that nobody waits for it any more.
    let _ = asked.answer.send(answer.map_err(|error| error.to_string()));
}
