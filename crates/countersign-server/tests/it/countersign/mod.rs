mod bundle;
mod gateways;
