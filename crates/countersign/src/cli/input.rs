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
    let bytes = read_bytes(path)?;
    let shown = path.display();
    // Also without the mark at its start, so that no key in it is taken for other text and sent.
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    if zeros * 3 > bytes.len() && bytes.windows(2).any(|pair| matches!(pair, b"-\0" | b"\0-")) {
        return Err(Failure::new(format_args!("`{shown}` is UTF-16 text"))
            .hint("save it as UTF-8: `iconv -f UTF-16 -t UTF-8 FILE > NEW`"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let is_pem = error
            .as_bytes()
            .windows(10)
            .any(|part| part == b"-----BEGIN");
        if is_pem {
            return Failure::new(format_args!("`{shown}` is PEM, but not UTF-8 text"))
                .hint("save it as UTF-8, or remove what is not ASCII around its blocks");
        }
        Failure::new(format_args!("`{shown}` is not text"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf_8_is_told_apart_from_der() {
        let directory = tempfile::tempdir().unwrap();
        let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let utf16: Vec<u8> = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin1 = [b"# \xe9\n", pem.as_bytes()].concat();
        for (bytes, says) in [
            ([b"\xff\xfe".as_slice(), &utf16].concat(), "is UTF-16 text"),
            (utf16, "is UTF-16 text"),
            (latin1, "is PEM, but not UTF-8 text"),
            (b"\x30\x82\x01\x00\0\0\0\0\0\0\0".to_vec(), "is not text"),
        ] {
            let path = directory.path().join("file");
            fs::write(&path, bytes).unwrap();
            let error = read_text(&path).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
