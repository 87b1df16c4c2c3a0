//! Which module of a crate uses which, read from its sources, and the circles among them.
//!
//! A module uses another when it imports an item of it or names one by its path. A re-export is
//! followed to the module that defines the item, so that a parent that only gathers its children
//! is no part of a circle. Unit tests do not count.

mod circle;
mod parse;
mod resolve;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub(crate) use circle::{Uses, circles};
use parse::Module;

/// The modules of one crate, by their paths within it.
pub(crate) type Modules = BTreeMap<Vec<String>, Module>;

/// Reads a crate from its root file, along its `mod` lines.
pub(crate) fn read_crate(root: &Path) -> Modules {
    let mut modules = Modules::new();
    let directory = root.parent().unwrap().to_owned();
    read_module(&mut modules, Vec::new(), root, &directory);
    modules
}

fn read_module(modules: &mut Modules, path: Vec<String>, file: &Path, children: &Path) {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let module = parse::module(&text);
    for child in &module.children {
        let (file, directory) = file_of(file, children, child);
        let mut path = path.clone();
        path.push(child.name.clone());
        read_module(modules, path, &file, &directory);
    }
    modules.insert(path, module);
}

/// Where a child's file is, and where its own children are.
fn file_of(parent: &Path, directory: &Path, child: &parse::Child) -> (PathBuf, PathBuf) {
    if let Some(path) = &child.path {
        let file = parent.parent().unwrap().join(path);
        let directory = file.parent().unwrap().to_owned();
        return (file, directory);
    }
    let own = directory.join(&child.name);
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
            if target == *path || (used.re_export && target.starts_with(path)) {
                continue;
            }
            let arrow = (shown(path), shown(&target));
            uses.entry(arrow)
                .or_insert_with(|| used.segments.join("::"));
        }
    }
    uses
}

fn shown(path: &[String]) -> String {
    if path.is_empty() {
        return "crate".to_owned();
    }
    path.join("::")
}

#[cfg(test)]
mod tests;
