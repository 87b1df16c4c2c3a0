//! What one source file declares, imports and names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, File, Item, ItemMod, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// A module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) children: Vec<Child>,
    /// The names of its own items.
    pub(crate) items: BTreeSet<String>,
    /// The paths of its imports, by the names that they get here.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    /// Paths that everything is imported from.
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) uses: Vec<Used>,
    /// Whether it has no file of its own.
    pub(crate) inline: bool,
}

/// `mod name;`, or `mod name { .. }`.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    /// From `#[path]`.
    pub(crate) path: Option<String>,
    /// Its content, when it has no file.
    pub(crate) inline: Option<Module>,
}

/// A path that is imported or named.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) segments: Vec<String>,
    pub(crate) glob: bool,
    /// Imported only to be offered from here, and not named in this file.
    pub(crate) re_export: bool,
}

pub(crate) fn module(text: &str) -> Module {
    let file: File = syn::parse_str(text).unwrap();
    read(&file.items)
}

fn read(items: &[Item]) -> Module {
    let mut reader = Reader::default();
    items.iter().for_each(|item| reader.visit_item(item));
    let Reader {
        mut module,
        public,
        mentioned,
    } = reader;
    for used in &mut module.uses {
        let name = used.segments.last().unwrap();
        used.re_export = public.contains(&used.segments) && !mentioned.contains(name);
    }
    module
}

#[derive(Default)]
struct Reader {
    module: Module,
    /// Imports with a `pub`.
    public: BTreeSet<Vec<String>>,
    /// Every name in the code, imports apart.
    mentioned: BTreeSet<String>,
}

impl Reader {
    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, public: bool) {
        match tree {
            UseTree::Path(each) => {
                path.push(each.ident.to_string());
                self.import(&each.tree, path, public);
            }
            UseTree::Group(group) => {
                for each in &group.items {
                    self.import(each, path.clone(), public);
                }
            }
            UseTree::Name(each) if each.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                self.imported(name, path, public);
            }
            UseTree::Name(each) => {
                path.push(each.ident.to_string());
                self.imported(each.ident.to_string(), path, public);
            }
            UseTree::Rename(each) => {
                path.push(each.ident.to_string());
                self.imported(each.rename.to_string(), path, public);
            }
            UseTree::Glob(_) => {
                self.module.globs.push(path.clone());
                self.used(path, true);
            }
        }
    }

    fn imported(&mut self, name: String, path: Vec<String>, public: bool) {
        if public {
            self.public.insert(path.clone());
        }
        self.module.imports.insert(name, path.clone());
        self.used(path, false);
    }

    fn used(&mut self, segments: Vec<String>, glob: bool) {
        self.module.uses.push(Used {
            segments,
            glob,
            re_export: false,
        });
    }

    /// Paths in a macro's arguments, whatever they mean to it.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.named(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.named(std::mem::take(&mut path));
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.named(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.named(path);
    }

    fn named(&mut self, path: Vec<String>) {
        self.mentioned.extend(path.iter().cloned());
        if path.len() > 1 {
            self.used(path, false);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = described(item);
        if attributes.iter().any(is_test) {
            return;
        }
        if let Some(name) = name {
            self.module.items.insert(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.children.push(Child {
            name: item.ident.to_string(),
            path: item.attrs.iter().find_map(path_attribute),
            inline: item.content.as_ref().map(|(_, items)| read(items)),
        });
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, Vec::new(), public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.named(segments.map(|each| each.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|word| word == "test")
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let syn::Expr::Lit(literal) = &pair.value else {
        return None;
    };
    match &literal.lit {
        syn::Lit::Str(text) if pair.path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

/// An item's attributes, and the name that others know it by.
fn described(item: &Item) -> (&[Attribute], Option<String>) {
    let (attributes, name) = match item {
        Item::Const(it) => (&it.attrs, Some(&it.ident)),
        Item::Enum(it) => (&it.attrs, Some(&it.ident)),
        Item::Fn(it) => (&it.attrs, Some(&it.sig.ident)),
        Item::Macro(it) => (&it.attrs, it.ident.as_ref()),
        Item::Mod(it) => (&it.attrs, None),
        Item::Static(it) => (&it.attrs, Some(&it.ident)),
        Item::Struct(it) => (&it.attrs, Some(&it.ident)),
        Item::Trait(it) => (&it.attrs, Some(&it.ident)),
        Item::Type(it) => (&it.attrs, Some(&it.ident)),
        Item::Union(it) => (&it.attrs, Some(&it.ident)),
        Item::Impl(it) => (&it.attrs, None),
        Item::Use(it) => (&it.attrs, None),
        _ => return (&[], None),
    };
    (attributes, name.map(ToString::to_string))
}
