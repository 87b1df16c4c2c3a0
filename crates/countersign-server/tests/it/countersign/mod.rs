mod bundle;
mod gateways;
mod observations;
