//! Disks that are full and files that cannot be written, under SQLite.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use countersign_testca::root;
use tempfile::tempdir;

use crate::{
    ledger,
    node::{Node, Storage, assert_unavailable, database_files, upload_body},
};

const CERTIFICATES: &str = "/organization/certificates";

/// Root may write whatever the modes say, unless it gives that up. Too large a file is an error
/// to be reported, as on a full disk, not a signal to die of.
const BOUND_BY_MODES: &str = r#"trap "" XFSZ
if [ "$(id -u)" = 0 ]; then exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"; fi
exec "$@""#;

/// What a server whose store cannot be written does: refuses writes, serves reads.
fn assert_reads_only(node: &Node, key: &str, pem: &str) {
    assert_unavailable(&node.raw("POST", CERTIFICATES, key, &upload_body(pem)));
    let listed = node.raw("GET", CERTIFICATES, key, "");
    assert!(listed.starts_with("HTTP/1.1 200"), "{listed}");
}

fn upload(node: &Node, key: &str, pem: &str) {
    let made = node.raw("POST", CERTIFICATES, key, &upload_body(pem));
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
}

fn set_modes(directory: &Path, of_files: u32, of_directory: u32) {
    for file in database_files(directory) {
        fs::set_permissions(file, Permissions::from_mode(of_files)).unwrap();
    }
    fs::set_permissions(directory, Permissions::from_mode(of_directory)).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_grow_or_be_written_stops_writes_until_it_can() {
    let directory = tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    let (key, pem) = (storage.organization(), root("Faults").mint().pem());
    let node = Node::start_with(&storage, BOUND_BY_MODES);
    upload(&node, &key, &pem);

    node.limit_files("0");
    assert_reads_only(&node, &key, &pem);
    // The files that are open stay writable; a new connection finds them read-only.
    set_modes(directory.path(), 0o400, 0o500);
    node.limit_files("unlimited");
    assert_reads_only(&node, &key, &pem);
    assert_reads_only(&node, &key, &pem);
    set_modes(directory.path(), 0o600, 0o700);

    upload(&node, &key, &pem);
    ledger::assert_agrees(&node.client(&key, 0)).await;
}

/// A file system of four megabytes.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn a_full_disk_stops_writes_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: a small file system cannot be mounted here (that needs root)");
        return;
    };
    let storage = Storage::Directory(disk.0.path().join("data"));
    let (key, pem) = (storage.organization(), root("Faults").mint().pem());
    let node = Node::start(&storage);
    upload(&node, &key, &pem);

    let filler = disk.0.path().join("filler");
    fill(&filler);
    // The last free page of the log may still take a write or two.
    let mut kept = 1;
    while node
        .raw("POST", CERTIFICATES, &key, &upload_body(&pem))
        .starts_with("HTTP/1.1 200")
    {
        kept += 1;
    }
    assert_reads_only(&node, &key, &pem);
    fs::remove_file(filler).unwrap();

    upload(&node, &key, &pem);
    let client = node.client(&key, 0);
    ledger::assert_agrees(&client).await;
    assert_eq!(crate::writers::seen(&client).await.len(), kept + 1);
}
