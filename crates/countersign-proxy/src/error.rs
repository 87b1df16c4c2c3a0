//! What can go wrong between client and upstream.

use std::{error::Error, io, sync::Arc, time::Duration};

use crate::{exchange::Cut, progress::Progress};

/// Why an upstream cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a URL.
    #[error("upstream `{upstream}`: {source}")]
    NotAUrl {
        /// What was given.
        upstream: String,
        /// Where the reading stopped.
        source: url::ParseError,
    },
    /// It has a path or a query: the request brings its own.
    #[error("upstream `{0}`: give scheme, host and port only")]
    HasPath(url::Url),
    /// Neither HTTP nor HTTPS.
    #[error("upstream `{0}`: must start with `http://` or `https://`")]
    Scheme(url::Url),
    /// Its host is missing, or is none.
    #[error("upstream `{0}`: not a host")]
    Host(url::Url),
}

/// Why there is no response from the upstream.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The request's target cannot be written for the upstream.
    #[error("unreadable request target")]
    RequestTarget,
    /// No connection.
    #[error("upstream: cannot connect: {0}")]
    Connect(Arc<std::io::Error>),
    /// No connection in time.
    #[error("upstream: no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// A connection, and no response in time.
    #[error("upstream: no response within {0:?}")]
    ResponseTimeout(Duration),
    /// The connection ended, or what came is not HTTP.
    #[error("upstream: broken response: {0}")]
    Broken(#[from] Broken),
    /// It switched protocols without a request to.
    #[error("upstream: it changed protocols unasked")]
    UnaskedUpgrade,
    /// It does not say where its body ends: that is for this transfer coding to say, and hop by hop.
    #[error("upstream: a `transfer-encoding` other than `chunked`")]
    UnknownCoding,
    /// The client's body is malformed.
    #[error("the client's body is malformed: {0}")]
    ClientBody(Broken),
    /// The client went away before the end of its body.
    #[error("the client's body is incomplete: {0}")]
    ClientGone(Broken),
    /// The client did not send its body.
    #[error("the client sent no more of its body in time, and the upstream awaits it")]
    ClientStalled,
}

/// How a connection to an upstream failed a request.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// Over HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Broken {
    /// Whether the request itself is why.
    pub(crate) fn is_of_request(&self) -> bool {
        matches!(self, Self::Http1(error) if error.is_user())
    }

    /// Whether an HTTP/2 connection ended without a word about it.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Http2(error) if error.is_io())
    }
}

/// Whose fault it is that there is no response, and what kind of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request, or its body, is malformed or incomplete.
    Request,
    /// The client was too slow.
    SlowClient,
    /// The upstream was too slow.
    SlowUpstream,
    /// The upstream cannot be reached, or does not speak HTTP as it should.
    Upstream,
}

impl ForwardError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::RequestTarget | Self::ClientBody(_) | Self::ClientGone(_) => Fault::Request,
            Self::ClientStalled => Fault::SlowClient,
            Self::ConnectTimeout(_) | Self::ResponseTimeout(_) => Fault::SlowUpstream,
            Self::Connect(_) | Self::Broken(_) | Self::UnaskedUpgrade | Self::UnknownCoding => {
                Fault::Upstream
            }
        }
    }

    /// The same, or the client's fault, if it is.
    #[must_use]
    pub fn blame(self, progress: &Progress) -> Self {
        match self {
            Self::Broken(_) if progress.is_stalled_by_client() => Self::ClientStalled,
            Self::Broken(error) if progress.is_failed_by_client() => Self::ClientBody(error),
            Self::Broken(error) if progress.has_lost_client() => Self::ClientGone(error),
            other => other,
        }
    }
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The exchange was cut.
    #[error("the exchange was cut")]
    Cut,
    /// The client sent nothing of it for too long.
    #[error("the client sent nothing of its body for too long")]
    Stalled,
    /// Nothing moved for too long.
    #[error("nothing moved for too long")]
    Idle,
    /// The other side failed.
    #[error(transparent)]
    Peer(#[from] hyper::Error),
    /// The other side of an HTTP/2 stream failed.
    #[error(transparent)]
    Stream(#[from] h2::Error),
}

impl BodyError {
    /// Whether the peer closed its side before the end of the body, or altogether. What is malformed has an
    /// error of its own kind.
    pub(crate) fn is_of_gone_peer(&self) -> bool {
        match self {
            Self::Peer(error) => {
                let mut cause: Option<&(dyn Error + 'static)> = Some(error);
                while let Some(each) = cause {
                    if let Some(error) = each.downcast_ref::<io::Error>() {
                        return !matches!(
                            error.kind(),
                            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                        );
                    }
                    cause = each.source();
                }
                true
            }
            Self::Stream(error) => error.is_io() || error.is_remote(),
            Self::Cut | Self::Stalled | Self::Idle => false,
        }
    }
}

impl From<Cut> for BodyError {
    fn from(Cut: Cut) -> Self {
        Self::Cut
    }
}
