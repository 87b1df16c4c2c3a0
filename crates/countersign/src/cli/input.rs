//! Files that a command line names, `-` being standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use clap::Args;
use countersign_verify::certificate::{holds_private_key, inspect};

use crate::{
    failure::{CommandResult, Failure},
    file_kind::{
        Kind, Wanted,
        pem::{Block, blocks},
        unreadable,
    },
    output::note,
};

/// The end of a certificate in PEM.
const END: &str = "-----END CERTIFICATE-----";
/// Far more than any PEM or policy may have: enough to be refused by its real reason.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

/// Reads a file as it is.
pub(super) fn read_bytes(path: &Path) -> CommandResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_INPUT_BYTES).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_INPUT_BYTES).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// Reads a file that must be text, such as a policy.
pub(super) fn read_text(path: &Path) -> CommandResult<String> {
    read_as(path, Wanted::Text)
}

/// Reads the PEM of a trust anchor that is to be uploaded. A private key must not leave the
/// machine, even though the server would refuse it.
pub(super) fn read_anchor(path: &Path, first: First) -> CommandResult<String> {
    let bytes = read_bytes(path)?;
    if holds_private_key(&String::from_utf8_lossy(&bytes)) {
        return Err(Failure::new(format_args!(
            "`{}` holds a private key; nothing was sent",
            path.display()
        ))
        .hint("upload the CA's certificate alone, and keep its key where it was"));
    }
    let text = as_wanted(path, bytes, Wanted::Certificate)?;
    blocks(&text).map_err(|flaw| flaw.in_file(path))?;
    first.of(path, text)
}

/// What to do where a file holds several certificates: a trust anchor is the first of its file.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct First {
    /// Go on with the first certificate of a file that holds several
    #[arg(long)]
    first: bool,
}

impl First {
    /// The same, or as a file says it for one certificate.
    pub(super) const fn or(self, first: bool) -> Self {
        Self {
            first: self.first || first,
        }
    }

    /// The text up to the end of its first certificate, if there are more and that is accepted.
    pub(super) fn of(self, path: &Path, text: String) -> CommandResult<String> {
        let count = certificates(&text);
        let is_leaf = || {
            let facts = inspect(&text, 0).facts;
            facts.is_some_and(|facts| !facts.is_ca())
        };
        // That a client's chain is no anchor is what matters about it.
        if count <= 1 || is_leaf() {
            return Ok(text);
        }
        let message = format!(
            "`{}` holds {count} certificates; only the first counts",
            path.display()
        );
        if !self.first {
            return Err(Failure::usage(message)
                .hint("pass `--first` to go on with it, or give each CA a file of its own"));
        }
        note(&message);
        let end = text.find(END).map_or(text.len(), |at| at + END.len());
        let end = end
            + text
                .get(end..)
                .map_or(0, |rest| usize::from(rest.starts_with('\n')));
        Ok(text.get(..end).unwrap_or_default().to_owned())
    }
}

/// How many certificates a PEM text holds; none where it cannot be read.
pub(super) fn certificates(text: &str) -> usize {
    let blocks = blocks(text).unwrap_or_default();
    let is_certificate = |block: &&Block| block.label == "CERTIFICATE";
    blocks.iter().filter(is_certificate).count()
}

/// Reads PEM that holds at least one certificate.
pub(super) fn read_pem(path: &Path) -> CommandResult<String> {
    let text = read_as(path, Wanted::Certificate)?;
    blocks(&text).map_err(|flaw| flaw.in_file(path))?;
    Ok(text)
}

/// Reads the certificates of a PEM file, at least one; what else is in it is left out.
pub(super) fn read_certificates(path: &Path) -> CommandResult<Vec<Block>> {
    let text = read_as(path, Wanted::Certificate)?;
    let blocks = blocks(&text).map_err(|flaw| flaw.in_file(path))?;
    let is_certificate = |block: &Block| block.label == "CERTIFICATE";
    Ok(blocks.into_iter().filter(is_certificate).collect())
}

fn read_as(path: &Path, wanted: Wanted) -> CommandResult<String> {
    as_wanted(path, read_bytes(path)?, wanted)
}

fn as_wanted(path: &Path, bytes: Vec<u8>, wanted: Wanted) -> CommandResult<String> {
    let kind = Kind::of(&bytes);
    let refused = || kind.instead_of(wanted, path);
    if !kind.is(wanted) {
        return Err(refused());
    }
    String::from_utf8(bytes).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_found_whatever_it_is_written_in() {
        let directory = tempfile::tempdir().unwrap();
        let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let utf16: Vec<u8> = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin1 = [b"# \xe9\n", pem.as_bytes()].concat();
        for (bytes, says) in [
            ([b"\xff\xfe".as_slice(), &utf16].concat(), "is UTF-16 text"),
            (utf16, "is UTF-16 text"),
            (latin1, "holds a private key; nothing was sent"),
            (pem.into(), "holds a private key; nothing was sent"),
        ] {
            let path = directory.path().join("file");
            fs::write(&path, bytes).unwrap();
            let error = read_anchor(&path, First::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
