//! What changed after a point is read once for all gateways that ask for it: whoever comes first reads, and
//! the others take what was read, as long as nothing else changed since.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use countersign_types::{bundle::Bundle, history::HistoryPoint};

use super::{Reach, StoreError, bundle_keys::KeysRead};

/// For how many points what changed after them is kept.
const MOST_POINTS: usize = 8;
/// The most bytes of an answer that is kept when nobody is being sent it any more.
const MOST_BYTES: usize = 1024 * 1024;

/// An answer to a gateway, and its JSON.
#[derive(Debug)]
pub struct BundleAnswer {
    bundle: Bundle,
    json: Vec<u8>,
}

impl BundleAnswer {
    pub(super) fn new(mut bundle: Bundle, reach: &Reach) -> Result<Self, StoreError> {
        let known = bundle.token;
        bundle.token = reach.outward(bundle.point()).token;
        let json = serde_json::to_vec(&bundle);
        let json = json.map_err(|error| StoreError::Internal(error.to_string()))?;
        bundle.token = known;
        Ok(Self { bundle, json })
    }

    /// That nothing changed up to a point.
    pub(super) fn nothing(point: HistoryPoint) -> Result<Self, StoreError> {
        let HistoryPoint { revision, token } = point;
        let bundle = Bundle {
            revision,
            token,
            complete: false,
            organizations: Vec::new(),
            next: None,
        };
        Self::new(bundle, &Reach::All)
    }

    /// As it is sent. It is kept for others who ask meanwhile.
    #[must_use]
    pub fn json(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Sent(Arc::clone(self)))
    }
}

/// An answer on its way.
struct Sent(Arc<BundleAnswer>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0.json
    }
}

impl Deref for BundleAnswer {
    type Target = Bundle;

    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}

/// What was read after one point last: as long as someone is being sent it, and longer if it is small.
#[derive(Default)]
struct Last {
    answer: Weak<BundleAnswer>,
    _small: Option<Arc<BundleAnswer>>,
}

/// The same, locked while it is read.
type Kept = Arc<tokio::sync::Mutex<Last>>;

/// What was read after the points that were asked for last.
#[derive(Default)]
pub(super) struct SharedAnswers(Mutex<VecDeque<(Asked, Kept)>>);

/// After which point, and of which keys.
type Asked = (HistoryPoint, KeysRead);

impl SharedAnswers {
    /// What changed after a point up to the latest, as somebody read it or `read` does now; nothing if the
    /// point is not known.
    pub(super) async fn get(
        &self,
        asked: Asked,
        latest: HistoryPoint,
        read: impl Future<Output = Result<Option<Bundle>, StoreError>>,
    ) -> Result<Option<Arc<BundleAnswer>>, StoreError> {
        let kept = self.of(asked);
        let mut kept = kept.lock().await;
        if let Some(answer) = kept.answer.upgrade()
            && answer.point() == latest
        {
            return Ok(Some(answer));
        }
        *kept = Last::default();
        let Some(bundle) = read.await? else {
            return Ok(None);
        };
        let answer = Arc::new(BundleAnswer::new(bundle, &Reach::All)?);
        *kept = Last {
            answer: Arc::downgrade(&answer),
            _small: (answer.json.len() <= MOST_BYTES).then(|| Arc::clone(&answer)),
        };
        Ok(Some(answer))
    }

    fn of(&self, asked: Asked) -> Kept {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = all.iter().find(|(known, _)| *known == asked) {
            return Arc::clone(kept);
        }
        if all.len() >= MOST_POINTS {
            all.pop_front();
        }
        let kept = Kept::default();
        all.push_back((asked, Arc::clone(&kept)));
        kept
    }
}
