//! What of the floors of a server's certificates differs from a file.

use countersign_client::Client;
use countersign_types::certificate::Enforcement;

use super::{
    file::{Declared, Wanted, WantedFloors},
    plan::Step,
    server::{self, Known},
};
use crate::failure::{CommandResult, Failure};

/// The floors to set, in order, and the certificates whose floors the file does not name and that are kept: one that
/// was set in an emergency is lifted by nobody who does not say so.
pub(super) fn compare(declared: &Declared, held: &[Option<Known>]) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut left) = (Vec::new(), Vec::new());
    for (index, (wanted, held)) in declared.certificates.iter().zip(held).enumerate() {
        let held = held.as_ref();
        let (floor, mut reported) =
            held.map_or((None, None), |held| (held.floor, held.reported_floor));
        if matches!(wanted.floors, WantedFloors::Unnamed) {
            if floor.is_some() || reported.is_some() {
                left.push(wanted.key.clone());
            }
            continue;
        }
        if wanted.floors.of(Enforcement::Enforce) != floor {
            steps.push(Step::Floor(index, Enforcement::Enforce));
            // One that is enforced takes the place of the reported one.
            reported = None;
        }
        if wanted.floors.of(Enforcement::Report) != reported {
            steps.push(Step::Floor(index, Enforcement::Report));
        }
    }
    (steps, left)
}

/// Refuses floors if the server has none.
pub(super) async fn check_supported(client: &Client, declared: &Declared) -> CommandResult {
    let has_one = |wanted: &&Wanted| {
        let enforcements = [Enforcement::Enforce, Enforcement::Report];
        let mut floors = enforcements.map(|each| wanted.floors.of(each)).into_iter();
        floors.any(|floor| floor.is_some())
    };
    let Some(wanted) = declared.certificates.iter().find(has_one) else {
        return Ok(());
    };
    if server::has_denials(client).await? {
        return Ok(());
    }
    let (line, key) = (&wanted.line, &wanted.key);
    Err(Failure::new(format_args!(
        "{line}: `{key}` has a floor, and this server does not support floors"
    ))
    .hint("only Countersign servers support them; leave it out for this one"))
}
