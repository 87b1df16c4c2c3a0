//! What a handler's parameters have in common: each reads itself from a request, and describes
//! itself to the contract, so that the document cannot differ from what is read.

use super::{app::App, call::Call, contract::Contract, error::ApiError};

/// A parameter of a handler.
pub(super) trait Extract: Sized + Send + 'static {
    /// Reads it from a request.
    fn extract(call: &mut Call) -> Result<Self, ApiError>;

    /// Adds it to what the operation takes.
    fn describe(contract: &mut Contract);
}

/// What every request shares; the request itself says nothing of it.
impl Extract for App {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        Ok(call.app.clone())
    }

    fn describe(_: &mut Contract) {}
}
