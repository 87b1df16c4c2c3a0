mod activate;
mod active;
mod deactivate;
mod delete;
mod enforcement;
mod list;
mod modify;
mod policy;
mod preview;
mod retrieve;
mod upload;
mod usage;

/// The path of the collection.
const PATH: &str = "/v1/organization/certificates";

/// The path of one certificate.
fn path(id: &str) -> String {
    format!("{PATH}/{id}")
}
