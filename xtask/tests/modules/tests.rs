//! The reader of module graphs, on made-up crates.

use super::*;

fn made_up(files: &[(&str, &str)]) -> Modules {
    let mut modules = Modules::new();
    for (path, text) in files {
        let path = path.split("::").filter(|name| !name.is_empty());
        let mut module = parse::module(text);
        module.children.retain(|child| child.inline.is_some());
        let nowhere = (Path::new(""), Path::new(""));
        add(
            &mut modules,
            path.map(str::to_owned).collect(),
            module,
            nowhere,
        );
    }
    modules
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let uses = uses(&made_up(files));
    let found: Vec<String> = circles(&uses)
        .into_values()
        .map(|c| c.join(" > "))
        .collect();
    assert_eq!(found, expected, "{uses:#?}");
}

#[test]
fn a_circle_is_found_and_shown() {
    check(
        &[
            ("", "mod a; mod b; mod c; mod d;"),
            ("a", "use crate::{b::{self, B}, d};"),
            ("b", "fn f() { crate::c::go() } pub struct B;"),
            ("c", "fn f() { println!(\"{}\", super::a::A) }"),
            ("d", "use super::c::C;"),
        ],
        &["a > b > c > a", "b > c > a > b", "c > a > b > c"],
    );
}

#[test]
fn a_child_and_its_parent_that_use_each_other_are_a_circle() {
    let child = ("a::b", "use super::Shared;");
    check(
        &[
            ("", "mod a;"),
            ("a", "mod b; pub struct Shared; fn f() { b::go() }"),
            child,
        ],
        &["a > a::b > a", "a::b > a > a::b"],
    );
    check(
        &[("", "mod a;"), ("a", "mod b; pub struct Shared;"), child],
        &[],
    );
}

#[test]
fn a_re_export_leads_to_where_the_item_is() {
    check(
        &[
            ("", "mod a;"),
            ("a", "mod b; mod c; pub use b::B; pub(crate) use c::C as D;"),
            ("a::b", "use super::D; pub struct B;"),
            ("a::c", "pub struct C;"),
        ],
        &[],
    );
    check(
        &[
            ("", "mod a;"),
            ("a", "mod b; mod c; pub use b::B; pub use c::*;"),
            ("a::b", "use super::C; pub struct B;"),
            ("a::c", "use crate::a::B; pub struct C;"),
        ],
        &["a::b > a::c > a::b", "a::c > a::b > a::c"],
    );
    // What a parent itself names is not only offered.
    check(
        &[
            ("", "mod a;"),
            ("a", "mod b; pub use b::B; pub struct A(B);"),
            ("a::b", "use super::A; pub struct B;"),
        ],
        &["a > a::b > a", "a::b > a > a::b"],
    );
}

#[test]
fn an_imported_module_is_used_by_the_paths_through_it() {
    check(
        &[
            ("", "mod a; mod b; mod c;"),
            ("a", "use crate::b; fn f() { b::c::go() }"),
            ("b", "pub use crate::c;"),
            ("c", "use crate::a::A;"),
        ],
        &["a > c > a", "c > a > c"],
    );
}

#[test]
fn unit_tests_and_other_crates_do_not_count() {
    check(
        &[
            ("", "mod a; mod b;"),
            (
                "a",
                "use crate::b::B; mod inner { use super::A; pub struct C; } struct A(inner::C);",
            ),
            (
                "b",
                "use other::a::A; pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ],
        &[],
    );
}
