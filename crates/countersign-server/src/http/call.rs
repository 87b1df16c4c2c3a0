//! What a handler gets: everything about the request that it may look at.

use std::str::FromStr;

use http::Uri;

use super::{
    App, body::Fields, caller::Admin, error::ApiError, operation::Operation, query::Query,
};
use crate::store::{StoreError, WriteTx};

/// A request whose caller may make it.
pub(super) struct Call {
    pub(super) app: App,
    pub(super) query: Query,
    pub(super) fields: Fields,
    pub(super) operation: &'static Operation,
    pub(super) uri: Uri,
}

impl Call {
    /// Begins a write to the caller's organization.
    pub(super) async fn write(&self, admin: &Admin) -> Result<WriteTx, StoreError> {
        self.app
            .store()
            .write(&admin.organization, admin.actor())
            .await
    }

    /// The id in the path under this name. A malformed one is answered as an unknown one.
    pub(super) fn id<Id: FromStr>(
        &self,
        parameter: &str,
        noun: &'static str,
    ) -> Result<Id, ApiError> {
        let names = self.operation.path.split('/');
        let mut segments = names.zip(self.uri.path().split('/'));
        let is_it = |name: &str| {
            name.strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
                == Some(parameter)
        };
        // Taken as it was sent, not decoded: no id needs percent-encoding, so one way to write it
        // is enough, and what was judged is what was sent.
        let found = segments.find_map(|(name, segment)| is_it(name).then_some(segment));
        found
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| ApiError::no_such(noun))
    }
}
