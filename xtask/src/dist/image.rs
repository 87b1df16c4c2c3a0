//! A container image that holds the program and what it needs, and nothing else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::answering;
use crate::{
    debian,
    process::{self, Outcome},
};

/// What name lookup loads by itself, so that no program lists it.
const NAME_LOOKUP: [&str; 1] = ["libnss_dns.so.2"];
/// Assembles the image's files, builds it, and tries it.
pub(super) fn build(program: &Path, directory: &Path, image: &Path) -> Outcome {
    let buildah = debian::require("buildah", "buildah")?;
    debian::require("update-ca-certificates", "ca-certificates")?;
    let rootfs = directory.join("rootfs");
    assemble(program, &rootfs)?;
    let data = directory.join("data");
    fs::create_dir_all(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    let buildah = || {
        let mut command = Command::new(&buildah);
        // Without a container engine, and without privileges of the kernel.
        command
            .env("BUILDAH_ISOLATION", "chroot")
            .env("STORAGE_DRIVER", "vfs");
        command
    };
    process::run(
        buildah()
            .args(["build", "--tag", "countersign", "--file"])
            .arg(process::repository().join("packaging/container/Containerfile"))
            .arg(directory),
    )?;
    let made = process::read(buildah().args(["from", "countersign"]))?;
    let container = made.trim();
    let tried =
        process::run(buildah().args(["run", container, "--", "/usr/bin/countersign", "--version"]))
            .and_then(|()| answering::check(program, container, &buildah));
    process::run(buildah().args(["rm", container]))?;
    tried?;
    process::run(
        buildah()
            .args(["push", "countersign"])
            .arg(format!("oci-archive:{}:countersign", image.display())),
    )
}

fn assemble(program: &Path, rootfs: &Path) -> Outcome {
    for each in ["usr/bin", "etc/ssl/certs", "tmp", "var/lib", "lib64"] {
        fs::create_dir_all(rootfs.join(each))?;
    }
    let copy = |from: &Path, to: &str| -> Outcome {
        let to = rootfs.join(to.trim_start_matches('/'));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to)?;
        Ok(())
    };
    copy(program, "usr/bin/countersign")?;
    // What was built for tests is large.
    process::run(Command::new("strip").arg(rootfs.join("usr/bin/countersign")))?;
    copy(
        Path::new("/etc/ssl/certs/ca-certificates.crt"),
        "etc/ssl/certs/ca-certificates.crt",
    )?;
    for library in libraries(program)? {
        copy(Path::new(&library), &library)?;
    }
    for (name, text) in [
        ("etc/nsswitch.conf", "hosts: files dns\n"),
        (
            "etc/passwd",
            "root:x:0:0:root:/:/nologin\ncountersign:x:65532:65532::/var/lib/countersign:/nologin\n",
        ),
        ("etc/group", "root:x:0:\ncountersign:x:65532:\n"),
    ] {
        fs::write(rootfs.join(name), text)?;
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

/// The shared libraries that the program loads, and those of name lookup beside them.
fn libraries(program: &Path) -> Outcome<Vec<String>> {
    let told = process::read(Command::new("ldd").arg(program))?;
    let mut found: Vec<String> = told
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect();
    let libc = found
        .iter()
        .find(|path| path.ends_with("/libc.so.6"))
        .ok_or("the program is not linked with glibc")?;
    let directory = Path::new(libc).parent().ok_or("glibc lies nowhere")?;
    let directory = directory.to_owned();
    for name in NAME_LOOKUP {
        let path = directory.join(name);
        if path.exists() {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}
