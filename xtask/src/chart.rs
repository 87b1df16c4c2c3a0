//! Renders the Helm chart, checks it against Kubernetes's schemas, and asks the program whether it would
//! take the settings that come out; the same for the `docker compose` file.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{self, Outcome, say},
    python,
};

/// Where charts and the compose file mount what the settings name. None of it is on this machine.
const MOUNTED: [&str; 2] = ["/etc/countersign/", "/demo/"];

pub(crate) fn run() -> Outcome {
    let python = python::environment("tests/chart/requirements.txt")?;
    let packaging = process::repository().join("packaging");
    let compose = packaging.join("compose");
    is_of_this_version(&packaging.join("helm/countersign/Chart.yaml"))?;
    let made = tempfile::tempdir()?;
    process::run(
        Command::new(&python)
            .arg(process::repository().join("tests/chart/check.py"))
            .args([&packaging.join("helm/countersign"), &compose])
            .arg(made.path()),
    )?;
    process::run(
        Command::new(python.with_file_name("check-jsonschema"))
            .args(["--builtin-schema", "vendor.compose-spec"])
            .arg(compose.join("compose.yaml")),
    )?;
    let program = program()?;
    let mut asked = 0;
    for path in files(made.path())? {
        match path.extension().and_then(OsStr::to_str) {
            Some("toml") => asks_only_for_files(&program, &path)?,
            Some("env") => has_no_warnings(&program, &path)?,
            _ => return Err(format!("what is `{}`?", path.display()).into()),
        }
        asked += 1;
    }
    if asked < 2 {
        return Err("nothing was rendered that the program could be asked about".into());
    }
    say(&format!("the program takes all {asked} configurations"));
    Ok(())
}

/// The chart names the image that is built with it.
fn is_of_this_version(chart: &Path) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let text = fs::read_to_string(chart)?;
    for line in [
        format!("version: {version}"),
        format!("appVersion: {version}"),
    ] {
        if !text.lines().any(|each| each == line) {
            return Err(format!("`{}` does not say `{line}`", chart.display()).into());
        }
    }
    Ok(())
}

fn program() -> Outcome<PathBuf> {
    let what = ["build", "--package", "countersign", "--bin", "countersign"];
    process::run(process::cargo().args(what))?;
    Ok(process::target_directory().join("debug/countersign"))
}

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(|error: std::io::Error| error.into())
}

/// Starts a gateway, which cannot find the certificates: that it misses nothing else says that it takes the
/// settings.
fn asks_only_for_files(program: &Path, path: &Path) -> Outcome {
    let mut text = fs::read_to_string(path)?;
    let key = path.with_extension("key");
    fs::write(&key, "sk-gateway-none\n")?;
    for mounted in ["/etc/countersign/key/key", "/demo/gateway.key"] {
        text = text.replace(mounted, &key.display().to_string());
    }
    let settings = path.with_extension("settings");
    fs::write(&settings, text)?;
    let mut gateway = Command::new(program);
    let output = gateway
        .arg("gateway")
        .arg("--config")
        .arg(&settings)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default();
    let misses_a_file = first.contains("there is no file") || first.contains("No such file");
    if misses_a_file && MOUNTED.iter().any(|mounted| first.contains(mounted)) {
        return Ok(());
    }
    Err(format!(
        "a gateway with the settings of `{}` says: {said}",
        path.display()
    )
    .into())
}

/// Lets the program read the environment of a control plane.
fn has_no_warnings(program: &Path, path: &Path) -> Outcome {
    let url = path.with_extension("url");
    fs::write(&url, "postgres://countersign@database/countersign\n")?;
    let mut check = Command::new(program);
    check.args(["config", "check", "--output", "table"]);
    for line in fs::read_to_string(path)?.lines() {
        let (name, value) = line.split_once('=').ok_or("a variable has a value")?;
        let is_url = name.starts_with("COUNTERSIGN_DATABASE_") && name.ends_with("_URL_FILE");
        check.env(
            name,
            if is_url {
                url.as_os_str()
            } else {
                value.as_ref()
            },
        );
    }
    let output = check.current_dir("/").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && !said.contains("warning") {
        return Ok(());
    }
    Err(format!("with the environment of `{}`: {said}", path.display()).into())
}
