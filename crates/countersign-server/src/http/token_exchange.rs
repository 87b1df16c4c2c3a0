//! What gateways ask when a workload exchanges its certificate for a token.

use countersign_types::{
    assertion::{MAX_ASSERTED_BYTES, MAX_ASSERTED_CERTIFICATES},
    observation::Der,
    token::{TokenExchange, TokenExchangeRequest},
};

use super::{
    answer::{self, Answer},
    app::App,
    body::{Body, RequestBody},
    caller::Gateway,
    error::ApiError,
};
use crate::tokens;

/// Decides about an exchange. A refusal is an answer: only the gateway knows how it is told to the workload.
pub(super) async fn create(
    gateway: Gateway,
    app: App,
    Body(request): Body<TokenExchangeRequest>,
) -> Answer<TokenExchange> {
    let exchanged = tokens::exchange(app.federations(), app.store(), &gateway.reach, request);
    answer::read(&exchanged.await?)
}

impl RequestBody for TokenExchangeRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_chain(&self.chain)
    }
}

/// A chain that could arrive at a gateway.
pub(super) fn check_chain(chain: &[Der]) -> Result<(), ApiError> {
    let bytes: usize = chain.iter().map(|Der(der)| der.len()).sum();
    if chain.len() <= MAX_ASSERTED_CERTIFICATES && bytes <= MAX_ASSERTED_BYTES {
        return Ok(());
    }
    let message = format!(
        "`chain` has {} certificates and {bytes} bytes. Gateways take {MAX_ASSERTED_CERTIFICATES} \
         certificates and {MAX_ASSERTED_BYTES} bytes at most.",
        chain.len()
    );
    Err(ApiError::value("chain", message))
}
