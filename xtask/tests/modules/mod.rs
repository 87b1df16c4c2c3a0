//! Which module of a crate uses which, read from its sources, and the circles among them.
//!
//! A module uses another when it imports an item of it or names one by its path. A re-export is
//! followed to the module that defines the item, so that a parent that only gathers its children
//! is no part of a circle. Unit tests do not count.

#![expect(clippy::panic, reason = "a source that cannot be read fails the test")]

mod circle;
mod parse;
mod resolve;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub(crate) use circle::{Uses, circles};
use parse::{Child, Module};

/// The modules of one crate, by their paths within it.
pub(crate) type Modules = BTreeMap<Vec<String>, Module>;

/// Reads a crate from its root file, along its `mod` lines.
pub(crate) fn read_crate(root: &Path) -> Modules {
    let mut modules = Modules::new();
    let directory = root.parent().unwrap();
    add(&mut modules, Vec::new(), read_file(root), (root, directory));
    modules
}

fn read_file(file: &Path) -> Module {
    let text = fs::read_to_string(file);
    parse::module(&text.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Adds a module and those below it. Its files are its own, and the directory of its children's.
fn add(modules: &mut Modules, path: Vec<String>, mut module: Module, files: (&Path, &Path)) {
    for child in &mut module.children {
        let path = [path.as_slice(), std::slice::from_ref(&child.name)].concat();
        let (file, directory) = files_of(child, files);
        let below = match child.inline.take() {
            Some(inline) => Module {
                inline: true,
                ..inline
            },
            None => read_file(&file),
        };
        add(modules, path, below, (&file, &directory));
    }
    modules.insert(path, module);
}

/// The file that a child is in, and the directory of its children.
fn files_of(child: &Child, (file, directory): (&Path, &Path)) -> (PathBuf, PathBuf) {
    let own = directory.join(child.path.as_ref().unwrap_or(&child.name));
    if child.inline.is_some() {
        return (file.to_owned(), own);
    }
    if let Some(path) = &child.path {
        let file = file.parent().unwrap().join(path);
        let directory = file.parent().unwrap().to_owned();
        return (file, directory);
    }
    let flat = directory.join(format!("{}.rs", child.name));
    let file = if flat.exists() {
        flat
    } else {
        own.join("mod.rs")
    };
    (file, own)
}

/// Who uses whom in a crate, each arrow with one path that stands for it.
pub(crate) fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (path, module) in modules {
        for used in &module.uses {
            let Some(target) = resolve::target(modules, path, used) else {
                continue;
            };
            let (from, to) = (with_file(modules, path), with_file(modules, &target));
            if from == to || (used.re_export && to.starts_with(from)) {
                continue;
            }
            let arrow = (shown(from), shown(to));
            uses.entry(arrow)
                .or_insert_with(|| used.segments.join("::"));
        }
    }
    uses
}

/// The module whose file a module is in.
fn with_file<'a>(modules: &Modules, mut path: &'a [String]) -> &'a [String] {
    while let (Some((_, above)), true) = (path.split_last(), modules[path].inline) {
        path = above;
    }
    path
}

fn shown(path: &[String]) -> String {
    if path.is_empty() {
        return "crate".to_owned();
    }
    path.join("::")
}

#[cfg(test)]
mod tests;
