mod bundle;
mod capabilities;
mod gateways;
mod limited;
mod observations;
pub(crate) mod receipt_keys;
