//! What an answer said, beside what is known of it.

use std::{fmt, ops::Deref};

use countersign_types::page::Listed;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error};
use serde_json::value::RawValue;

/// A value, which this dereferences to, and the JSON that it was read from. A newer server, or
/// another one, sends properties that the type does not have. They are in the document, which is
/// also what this is serialized as: exactly as it came, in its order.
///
/// ```
/// use countersign_client::{Received, types::project::Project};
///
/// let sent = r#"{"object":"organization.project","id":"p-7","created_at":3,"team":"blue"}"#;
/// let project: Received<Project> = serde_json::from_str(sent)?;
/// assert_eq!(project.id.as_str(), "p-7");
/// assert_eq!(project.name, None);
/// assert_eq!(serde_json::to_string(&project)?, sent);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Received<T> {
    inner: T,
    document: Box<RawValue>,
}

impl<T> Received<T> {
    /// The value alone.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// The JSON that the value was read from. It holds whatever the answer held, such as the value
    /// of a key that is shown once.
    #[must_use]
    pub fn document(&self) -> &str {
        self.document.get()
    }
}

impl<T> Deref for Received<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: fmt::Debug> fmt::Debug for Received<T> {
    /// Without the document, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Received<T> {
    /// Whether the values are the same, whatever else was sent.
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<T: Eq> Eq for Received<T> {}

impl<T: Listed> Listed for Received<T> {
    fn id(&self) -> &str {
        self.inner.id()
    }
}

impl<T> Serialize for Received<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not as raw text: it is laid out anew, and in formats other than JSON.
        let mut document = serde_json::Deserializer::from_str(self.document.get());
        serde_transcode::transcode(&mut document, serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Received<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Box::<RawValue>::deserialize(deserializer)?;
        let inner = serde_json::from_str(document.get()).map_err(D::Error::custom)?;
        Ok(Self { inner, document })
    }
}
