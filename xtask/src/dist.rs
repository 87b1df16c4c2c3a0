//! Release artefacts: an archive, a Debian package, a container image, what is in them, and their sums.

mod answering;
mod image;
mod installed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::process::{self, Outcome, say};

/// The version of `cargo-deb` that the packages are made with.
const CARGO_DEB: &str = "3.8.0";
/// The version of `cargo-cyclonedx` that the list of what is in them is made with.
const CARGO_CYCLONEDX: &str = "0.5.9";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Leave the container image out, which needs Debian's `buildah`.
    #[arg(long)]
    without_image: bool,
    /// Leave the list of components out, for which `cargo-cyclonedx` is compiled.
    #[arg(long)]
    without_sbom: bool,
    /// Build with another profile, such as `dev`: quicker, to try the rest.
    #[arg(long, value_name = "PROFILE", default_value = "dist")]
    profile: String,
    /// Install the Debian package in a Debian system of its own, which takes root and `mmdebstrap`.
    #[arg(long = "try")]
    install: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let directory = process::target_directory().join("dist-files");
    let artefacts = process::target_directory().join("artefacts");
    for each in [&directory, &artefacts] {
        let _ = fs::remove_dir_all(each);
        fs::create_dir_all(each)?;
    }
    let program = build(&arguments.profile)?;
    generate(&program, &directory)?;
    let name = format!("countersign-{}-{}", version(), target()?);
    archive(&program, &directory, &artefacts.join(&name))?;
    debian_package(&arguments.profile, &artefacts)?;
    if arguments.install {
        installed::check(&artefacts)?;
    }
    if !arguments.without_sbom {
        components(&artefacts.join(format!("{name}.cdx.json")))?;
    }
    if !arguments.without_image {
        let image = artefacts.join(format!("{name}.oci.tar"));
        image::build(&program, &directory.join("image"), &image)?;
    }
    sums(&artefacts)
}

/// The program as it is shipped.
fn build(profile: &str) -> Outcome<PathBuf> {
    let what = ["build", "--package", "countersign", "--bin", "countersign"];
    process::run(process::cargo().args(what).args(["--profile", profile]))?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(process::target_directory()
        .join(directory)
        .join("countersign"))
}

/// Writes what the program tells of itself: manual pages of every command, and completions.
fn generate(program: &Path, directory: &Path) -> Outcome {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let written = |arguments: &[&str], path: PathBuf| -> Outcome {
        fs::write(path, process::read(Command::new(program).args(arguments))?)?;
        Ok(())
    };
    written(&["man"], man.join("countersign.1"))?;
    for command in commands(program)? {
        let page = man.join(format!("countersign-{command}.1"));
        written(&["man", &command], page)?;
    }
    for (shell, file) in [
        ("bash", "countersign.bash"),
        ("zsh", "_countersign"),
        ("fish", "countersign.fish"),
    ] {
        written(&["completions", shell], completions.join(file))?;
    }
    Ok(())
}

/// The names of the program's commands, as its manual page lists them.
fn commands(program: &Path) -> Outcome<Vec<String>> {
    let page = process::read(Command::new(program).arg("man"))?;
    let names = page.lines().filter_map(|line| {
        let name = line.strip_prefix("countersign\\-")?;
        let name = name.split('(').next()?;
        (name != "help(1)" && name != "help").then(|| name.replace('\\', ""))
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Err("the manual page lists no commands".into());
    }
    Ok(names)
}

/// The program, its pages and the files of `packaging`, as one archive that is the same for the same
/// commit.
fn archive(program: &Path, generated: &Path, path: &Path) -> Outcome {
    let name = path.file_name().ok_or("an archive needs a name")?;
    let staged = generated.join(name);
    fs::create_dir_all(&staged)?;
    let repository = process::repository();
    let copy = |from: &Path| -> Outcome {
        process::run(Command::new("cp").arg("-r").arg(from).arg(&staged))
    };
    copy(program)?;
    for each in ["man", "completions"] {
        copy(&generated.join(each))?;
    }
    for each in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "CHANGELOG.md",
        "docs",
        "packaging",
    ] {
        copy(&repository.join(each))?;
    }
    let time = process::read(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(&repository),
    )?;
    let mut file = path.as_os_str().to_owned();
    file.push(".tar.gz");
    process::run(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", time.trim()))
            .args(["--use-compress-program", "gzip --no-name -9", "--create"])
            .arg("--file")
            .arg(file)
            .arg("--directory")
            .arg(generated)
            .arg(name),
    )
}

fn debian_package(profile: &str, artefacts: &Path) -> Outcome {
    let cargo_deb = tool("cargo-deb", CARGO_DEB)?;
    process::run(
        Command::new(cargo_deb)
            .args(["--package", "countersign", "--no-build"])
            .args(["--profile", profile])
            // Packages that are only tried need not be small.
            .args((profile != "dist").then_some("--fast"))
            .arg("--output")
            .arg(artefacts)
            .current_dir(process::repository()),
    )
}

/// A CycloneDX list of the crates that are compiled in.
fn components(path: &Path) -> Outcome {
    let cyclonedx = tool("cargo-cyclonedx", CARGO_CYCLONEDX)?;
    let krate = process::repository().join("crates/countersign");
    process::run(
        Command::new(cyclonedx)
            .args(["cyclonedx", "--format", "json", "--target", &target()?])
            .args(["--override-filename", "sbom"])
            .current_dir(&krate),
    )?;
    fs::rename(krate.join("sbom.json"), path)?;
    // It writes one beside each crate of the workspace.
    process::run(
        Command::new("find")
            .args(["crates", "xtask", "-name", "sbom.json", "-delete"])
            .current_dir(process::repository()),
    )
}

/// The size of each artefact, and a file with the SHA-256 of each.
fn sums(artefacts: &Path) -> Outcome {
    let mut names = Vec::new();
    for entry in fs::read_dir(artefacts)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        let name = entry.file_name();
        say(&format!("{size:>12} bytes  {}", name.to_string_lossy()));
        names.push(name);
    }
    names.sort();
    let sums = process::read(
        Command::new("sha256sum")
            .args(&names)
            .current_dir(artefacts),
    )?;
    fs::write(artefacts.join("SHA256SUMS"), sums)?;
    say(&format!("all are in {}", artefacts.display()));
    Ok(())
}

/// A program from crates.io, in a version that is known to work.
fn tool(name: &str, version: &str) -> Outcome<PathBuf> {
    let root = process::target_directory().join("tools");
    let program = root.join("bin").join(name);
    if !program.exists() {
        process::run(
            process::cargo()
                .args(["install", name, "--version", version, "--locked", "--root"])
                .arg(&root),
        )?;
    }
    Ok(program)
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The target that this machine builds for.
fn target() -> Outcome<String> {
    let told = process::read(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .ok_or("rustc does not say what it builds for")?
        .to_owned())
}
