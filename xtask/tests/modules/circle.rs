//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each arrow from one to another, with why it is there.
pub(crate) type Uses = BTreeMap<(String, String), String>;

/// A shortest circle through each module that is in one, by that module.
pub(crate) fn circles(uses: &Uses) -> BTreeMap<String, Vec<String>> {
    let starts: BTreeSet<&String> = uses.keys().map(|(from, _)| from).collect();
    let found = starts.into_iter().map(|start| (start, circle(uses, start)));
    found
        .filter_map(|(start, circle)| Some((start.clone(), circle?)))
        .collect()
}

fn circle(uses: &Uses, start: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (_, to) in uses.keys().filter(|(from, _)| from == at) {
            if to == start {
                return Some(path(&came_from, start, at));
            }
            if !came_from.contains_key(to.as_str()) {
                came_from.insert(to, at);
                queue.push_back(to);
            }
        }
    }
    None
}

/// From the start to a module and back to the start.
fn path(came_from: &BTreeMap<&str, &str>, start: &str, end: &str) -> Vec<String> {
    let mut back = vec![start, end];
    let mut at = end;
    while at != start {
        at = came_from[at];
        back.push(at);
    }
    back.reverse();
    back.into_iter().map(str::to_owned).collect()
}
