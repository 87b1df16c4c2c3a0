//! The packages for Node that a file lists.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    debian,
    process::{self, Outcome, say},
    python::digest,
};

/// A directory of modules that has what a `package.json` of the repository lists; one for each text of it.
pub(crate) fn modules(package: &str) -> Outcome<PathBuf> {
    let text = fs::read_to_string(process::repository().join(package))?;
    let directory =
        process::target_directory().join(format!("node-modules-{:016x}", digest(&text)));
    let modules = directory.join("node_modules");
    // Written last: without it, an installation was interrupted.
    let complete = directory.join("complete");
    debian::require("node", "nodejs")?;
    if complete.is_file() {
        return Ok(modules);
    }
    let npm = debian::require("npm", "npm")?;
    say(&format!("installing the packages of {package} from npm"));
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("package.json"), text)?;
    let mut install = Command::new(npm);
    install
        .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(&directory);
    process::run(&mut install)
        .map_err(|failure| format!("the packages for Node cannot be had: {failure}"))?;
    fs::write(complete, "")?;
    Ok(modules)
}
