//! The schemas that the operations refer to, by name.

use std::collections::BTreeMap;

use countersign_types::page::{ListObject, Page};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema as _, ToSchema};

/// Adds a type's schema and gives the reference to it.
pub(super) type SchemaOf = fn(&mut Schemas) -> Value;

/// The components of the document.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Adds the schema of a type, and those that it refers to, and gives the reference to it.
    pub(super) fn of<T: ToSchema>(&mut self) -> Value {
        let mut found = Vec::new();
        T::schemas(&mut found);
        for (name, schema) in found {
            self.0.insert(name, json!(schema));
        }
        self.add(T::name().into_owned(), json!(T::schema()))
    }

    /// The same for a page of them. Every `Page<T>` has one name in the derived schemas, so each
    /// gets its own here.
    pub(super) fn page_of<T: ToSchema>(&mut self) -> Value {
        self.of::<T>();
        self.of::<ListObject>();
        self.add(format!("{}Page", T::name()), json!(Page::<T>::schema()))
    }

    fn add(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.0.insert(name, schema);
        reference
    }

    /// All of them, as the document has them.
    pub(super) fn into_components(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }
}
