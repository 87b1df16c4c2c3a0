//! How every part of this program ends.

use std::error::Error;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;
