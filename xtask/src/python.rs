//! A private Python with the packages that a file lists.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    process::Command,
};

use crate::{
    debian,
    process::{self, Outcome, say},
};

/// The interpreter of a virtual environment that has what a file of the repository lists. There is one for
/// each text of the requirements, so that changed versions never meet an old environment.
pub(crate) fn environment(requirements: &str) -> Outcome<PathBuf> {
    let requirements = process::repository().join(requirements);
    let directory = process::target_directory().join(format!(
        "python-venv-{:016x}",
        digest(&fs::read_to_string(&requirements)?)
    ));
    let python = directory.join("bin/python");
    // Written last: without it, creating the environment was interrupted.
    let complete = directory.join("complete");
    if complete.is_file() {
        return Ok(python);
    }
    say(&format!(
        "making a Python environment with the packages of {} from PyPI",
        requirements.display()
    ));
    make(&directory)?;
    process::run(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--requirement")
            .arg(&requirements),
    )
    .map_err(|failure| format!("the Python packages cannot be had: {failure}"))?;
    fs::write(complete, "")?;
    Ok(python)
}

fn make(directory: &PathBuf) -> Outcome {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let python = debian::require("python3", "python3")?;
    let venv = || {
        let mut command = Command::new(&python);
        command.args(["-m", "venv"]).arg(directory);
        command
    };
    // Debian's Python comes without pip until this package is there.
    if process::read(&mut venv()).is_err() {
        debian::install(&["python3-venv"])?;
        process::read(&mut venv())?;
    }
    Ok(())
}

/// Tells one text of requirements from another.
pub(crate) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
