//! `countersign certificate find`: which of a server's certificates is the one in a file.

use std::path::Path;

use clap::Args;
use countersign_client::{Client, Error, ListParams, Received};
use countersign_types::{
    certificate::{Certificate, Scope, ScopedCertificate},
    digest::Sha256,
    extension,
    page::Order,
};
use countersign_verify::certificate::{Facts, inspect};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{api::whole, guard::supports, input::read_pem};
use crate::{
    failure::{CommandResult, Failure},
    output::Output,
};

/// How many certificates are read concurrently.
const CONCURRENCY: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A certificate's PEM file, `-` for standard input, or its SHA-256 in hexadecimal
    #[arg(value_name = "FILE|SHA256")]
    wanted: String,
}

impl Find {
    pub(super) async fn run(&self, client: &Client, output: Output) -> CommandResult {
        let sha256 = self.sha256()?;
        let found = by_sha256(client, &sha256).await?;
        if found.is_empty() {
            return Err(Failure::new(format_args!(
                "no certificate here has the SHA-256 {sha256}"
            ))
            .hint(
                "only CAs are uploaded; whether one of them vouches for a client certificate says `countersign verify --chain FILE --project ID|NAME`",
            ));
        }
        output.list(&found)
    }

    fn sha256(&self) -> CommandResult<Sha256> {
        if let Ok(sha256) = sha256(&self.wanted)
            && !Path::new(&self.wanted).exists()
        {
            return Ok(sha256);
        }
        let text = read_pem(Path::new(&self.wanted))?;
        let facts = inspect(&text, 0).facts.ok_or_else(|| {
            Failure::new(format_args!("there is no certificate in `{}`", self.wanted))
                .hint("run `countersign certificate inspect FILE` to see what the file is")
        })?;
        Ok(facts.sha256())
    }
}

/// Reads a digest as whatever tool writes it: with colons or in capitals, too.
pub(super) fn sha256(text: &str) -> Result<Sha256, String> {
    let digits = text.replace(':', "").to_lowercase();
    digits
        .parse()
        .map_err(|_| "a SHA-256 is 64 hexadecimal digits".to_owned())
}

/// The certificates that are the same, each with where it is active if the server can tell.
pub(super) async fn by_sha256(
    client: &Client,
    sha256: &Sha256,
) -> CommandResult<Vec<Received<ScopedCertificate>>> {
    let certificates = client.certificates();
    let scope = Scope::Organization;
    let listed = if supports(client, extension::ACTIVE_AT).await? {
        certificates.stream_with_active_at(&scope, &whole())
    } else {
        certificates.stream(&scope, &whole())
    };
    let listed: Vec<Received<ScopedCertificate>> = listed.try_collect().await?;
    let read = listed.into_iter().map(|each| async {
        let certificate = client
            .certificates()
            .retrieve_with_content(&each.id)
            .await?;
        let pem = certificate.value.certificate_details.content.as_deref();
        let facts = pem.and_then(|pem| inspect(pem, 0).facts);
        let same = facts.is_some_and(|facts| facts.sha256() == *sha256);
        Ok::<_, Error>(same.then_some(each))
    });
    let found: Vec<_> = stream::iter(read)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// The certificates whose DER is the same, oldest first. Only those with the same validity are read.
pub(super) async fn same(
    client: &Client,
    facts: &Facts,
) -> CommandResult<Vec<Received<Certificate>>> {
    let oldest_first = ListParams {
        order: Some(Order::Asc),
        ..whole()
    };
    let listed = client
        .certificates()
        .stream(&Scope::Organization, &oldest_first);
    let listed: Vec<Received<ScopedCertificate>> = listed.try_collect().await?;
    let end = facts.not_after().clamped();
    let mut found = Vec::new();
    for each in listed {
        if each
            .certificate_details
            .expires_at
            .is_some_and(|at| at != end)
        {
            continue;
        }
        let read = client
            .certificates()
            .retrieve_with_content(&each.id)
            .await?;
        let pem = read.value.certificate_details.content.as_deref();
        let known = pem.and_then(|pem| inspect(pem, 0).facts);
        if known.is_some_and(|known| known.sha256() == facts.sha256()) {
            // As an upload answers it, without the PEM.
            found.push(client.certificates().retrieve(&each.id).await?.value);
        }
    }
    Ok(found)
}
