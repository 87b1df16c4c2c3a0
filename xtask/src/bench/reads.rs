//! The reads that are measured.

use crate::bench::{
    dataset::{Dataset, PER_ORGANIZATION, admin_key, certificate_id},
    load::{Requests, request},
    server::Server,
};

/// The API's names of the two operations that are measured.
pub(crate) const GET: &str = "getCertificate";
pub(crate) const LIST: &str = "listOrganizationCertificates";

/// How many different requests there are: enough to touch a whole database.
const DIFFERENT: usize = 4096;

/// The build under measurement, in the results.
pub(crate) const COUNTERSIGN: &str = "countersign";
/// An earlier build of it, given with `--before`.
pub(crate) const BEFORE: &str = "before";

/// A seeded database and the server on it.
pub(crate) struct Store {
    pub(crate) build: &'static str,
    pub(crate) dataset: Dataset,
    pub(crate) server: Server,
    /// The first process of the database server, if there is one.
    pub(crate) database: Option<u32>,
}

impl Store {
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.build, self.dataset.place.kind())
    }
}

/// Reads of certificates across the whole database, each with its own organization's key.
pub(crate) fn gets(dataset: &Dataset, base: &str) -> Requests {
    let numbers = spread(dataset.certificates);
    let requests = numbers.map(|number| {
        let path = format!(
            "{base}/organization/certificates/{}",
            certificate_id(number)
        );
        request("GET", &path, &admin_key(number / PER_ORGANIZATION), "")
    });
    Requests::new(requests.collect())
}

/// First pages of 20 of organizations across the whole database.
pub(crate) fn lists(dataset: &Dataset, base: &str) -> Requests {
    let path = format!("{base}/organization/certificates");
    let requests =
        spread(dataset.organizations()).map(|number| request("GET", &path, &admin_key(number), ""));
    Requests::new(requests.collect())
}

/// Numbers below a bound in a scattered order that is the same in every run.
fn spread(bound: usize) -> impl Iterator<Item = usize> {
    (0..DIFFERENT).map(move |turn| turn.wrapping_mul(2_654_435_761) % bound.max(1))
}
