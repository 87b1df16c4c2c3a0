//! The cryptography behind TLS, in two orders of preference.

use std::sync::Arc;

use rustls::crypto::{
    CryptoProvider,
    aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256},
};

/// The library's own order of preference.
#[must_use]
pub fn standard() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// AES-128-GCM first: of the suites of TLS 1.3 it costs the least per handshake and per byte.
#[must_use]
pub fn aes128_first() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    // The sort is stable: all other suites keep their order.
    provider
        .cipher_suites
        .sort_by_key(|suite| *suite != TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}
