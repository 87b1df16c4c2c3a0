//! Files that a command line names, `-` being standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use countersign_verify::certificate::holds_private_key;

use crate::failure::{CommandResult, Doing, Failure};

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
    read.doing(format_args!("read `{}`", path.display()))?;
    Ok(bytes)
}

/// Reads a file that must be text, such as PEM.
pub(super) fn read_text(path: &Path) -> CommandResult<String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| {
        Failure::new(format_args!("`{}` is not text", path.display()))
            .hint("turn DER into PEM with `openssl x509 -inform der -in FILE -out FILE.pem`")
    })
}

/// Reads the PEM of a trust anchor that is to be uploaded. A private key must not leave the
/// machine, even though the server would refuse it.
pub(super) fn read_anchor(file: &Path) -> CommandResult<String> {
    let text = read_text(file)?;
    if holds_private_key(&text) {
        return Err(Failure::new(format_args!(
            "`{}` holds a private key; nothing was sent",
            file.display()
        ))
        .hint("upload the CA's certificate alone, and keep its key where it was"));
    }
    Ok(text)
}
