mod bundle;
mod gateways;
mod limited;
mod observations;
