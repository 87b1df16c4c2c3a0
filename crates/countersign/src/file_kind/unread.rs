//! What is said of a file that cannot be used, or not even read.

use std::{io, path::Path};

use super::{
    kind::{Kind, Wanted},
    pem,
};
use crate::{failure::Failure, files::shell_quoted, likely::likely};

/// What is wrong with a file, if it cannot be read or is of another kind than is wanted.
pub(crate) fn wrong_kind(path: &Path, wanted: Wanted) -> Option<Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Some(unreadable(path, &error)),
    };
    let kind = Kind::of(&bytes);
    if !kind.is(wanted) {
        return Some(kind.instead_of(wanted, path));
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(pem::blocks(&text).err()?.in_file(path))
}

/// How to see whether a key is a certificate's.
pub(crate) fn compare_keys(certificate: &Path, key: &Path) -> String {
    let quoted = |path: &Path| shell_quoted(&path.display().to_string());
    format!(
        "these two lines must print the same: `openssl x509 -noout -pubkey -in {}` and `openssl pkey -pubout -in {}`",
        quoted(certificate),
        quoted(key)
    )
}

/// Why a file cannot be read, and what to do.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if let Some(failure) = no_path(&shown.to_string()) {
        return failure;
    }
    let quoted = shell_quoted(&shown.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => {
            let failure = Failure::new(format_args!("there is no file `{shown}`"));
            match neighbour(path) {
                Some(name) => failure.hint(format!("did you mean `{name}`?")),
                None => failure.hint(format!("look for it: `ls -l {}`", parent(path))),
            }
        }
        io::ErrorKind::IsADirectory => Failure::new(format_args!("`{shown}` is a directory")).hint(
            format!("name a file in it: `ls {quoted}` shows those there are"),
        ),
        io::ErrorKind::NotADirectory => Failure::new(format_args!(
            "cannot read `{shown}`: a part of that path is a file, not a directory"
        ))
        .hint("check the path"),
        io::ErrorKind::PermissionDenied => {
            Failure::new(format_args!("this user may not read `{shown}`"))
                .hint(format!("see who may: `ls -l {quoted}`"))
        }
        // Text was wanted, and it is in another encoding or none.
        io::ErrorKind::InvalidData => match std::fs::read(path) {
            Ok(bytes) => Kind::of(&bytes).instead_of(Wanted::Text, path),
            Err(_) => Failure::new(format_args!("cannot read `{shown}`: {error}")),
        },
        _ => Failure::new(format_args!("cannot read `{shown}`: {error}")),
    }
}

/// What was given where a file's name was wanted, if it is plainly something else. What may be a
/// key is not repeated.
fn no_path(given: &str) -> Option<Failure> {
    if given.contains("-----BEGIN") {
        let what = "a file's name was wanted, and what was given is the text of a PEM file";
        return Some(
            Failure::new(what).hint("give the file's name, or `-` to read standard input"),
        );
    }
    if given.starts_with("sk-") {
        let what = "a file's name was wanted, and what was given looks like a key";
        return Some(Failure::new(what).hint("put it in a file, and give the file's name"));
    }
    let is_url = given.starts_with("https://") || given.starts_with("http://");
    is_url.then(|| {
        let hint = format!(
            "download it first: `curl -fsSLo ca.pem {}`",
            shell_quoted(given)
        );
        Failure::new(format_args!("`{given}` is a URL, not a file")).hint(hint)
    })
}

fn parent(path: &Path) -> String {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut shown = parent.unwrap_or(Path::new("."));
    // The nearest directory that is there.
    while !shown.exists() {
        shown = shown.parent().unwrap_or(Path::new("."));
    }
    let shown = if shown.as_os_str().is_empty() {
        Path::new(".")
    } else {
        shown
    };
    shell_quoted(&shown.display().to_string())
}

/// The file in the same directory with the most similar name, if one is similar enough.
fn neighbour(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent()?;
    let listed = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = std::fs::read_dir(listed).ok()?;
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let found = likely(name, names.iter().map(String::as_str))?;
    Some(directory.join(found).display().to_string())
}
