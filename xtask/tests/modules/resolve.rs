//! From a path to the module whose item it names.

use super::{Modules, parse::Used};

/// How many re-exports are followed: more is a circle of them.
const MAX_STEPS: usize = 16;

/// The module that a path leads into; `None` when it leads out of the crate, or to a module itself,
/// whose items are then named by other paths.
pub(super) fn target(modules: &Modules, from: &[String], used: &Used) -> Option<Vec<String>> {
    let found = resolve(modules, from, &used.segments, MAX_STEPS)?;
    match found {
        Found::Item(module) => Some(module),
        Found::Module(module) => used.glob.then_some(module),
    }
}

enum Found {
    /// An item of this module.
    Item(Vec<String>),
    /// This module.
    Module(Vec<String>),
}

fn resolve(modules: &Modules, from: &[String], path: &[String], steps: usize) -> Option<Found> {
    let steps = steps.checked_sub(1)?;
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_owned(),
        "super" => {
            let mut at = parent(from)?;
            while let Some(("super", more)) = rest.split_first().map(|(one, more)| (&**one, more)) {
                at = parent(&at)?;
                rest = more;
            }
            at
        }
        name => {
            let child = child(from, name);
            if modules.contains_key(&child) {
                child
            } else {
                // A name that was imported, which may be a module's.
                let import = modules.get(from)?.imports.get(name)?;
                if import.first() == Some(first) {
                    return None;
                }
                match resolve(modules, from, import, steps)? {
                    Found::Module(module) => module,
                    found @ Found::Item(_) => return Some(found),
                }
            }
        }
    };
    while let Some((name, more)) = rest.split_first() {
        let deeper = child(&at, name);
        if !modules.contains_key(&deeper) {
            return item(modules, at, name, more, steps);
        }
        (at, rest) = (deeper, more);
    }
    Some(Found::Module(at))
}

/// The item of that name in a module, defined there or re-exported.
fn item(
    modules: &Modules,
    at: Vec<String>,
    name: &str,
    rest: &[String],
    steps: usize,
) -> Option<Found> {
    let module = modules.get(&at)?;
    if module.items.contains(name) {
        return Some(Found::Item(at));
    }
    if let Some(import) = module.imports.get(name) {
        let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
        return resolve(modules, &at, &whole, steps);
    }
    let in_globs = module.globs.iter().find_map(|glob| {
        let mut whole = glob.clone();
        whole.push(name.to_owned());
        match resolve(modules, &at, &whole, steps)? {
            Found::Item(found) if modules.get(&found)?.items.contains(name) => {
                Some(Found::Item(found))
            }
            _ => None,
        }
    });
    // What a macro defines has no name here: it is taken for the module's own.
    in_globs.or(Some(Found::Item(at)))
}

fn child(of: &[String], name: &str) -> Vec<String> {
    let mut path = of.to_owned();
    path.push(name.to_owned());
    path
}

fn parent(of: &[String]) -> Option<Vec<String>> {
    of.split_last().map(|(_, parent)| parent.to_owned())
}
