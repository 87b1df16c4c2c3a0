//! The schemas that the operations refer to, by name.

use std::collections::BTreeMap;

use countersign_types::page::{ListObject, Page};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema as _, ToSchema};

/// Adds a type's schema and gives the reference to it.
pub(super) type SchemaOf = fn(&mut Schemas) -> Value;

/// What a reference to a schema begins with.
const COMPONENTS: &str = "#/components/schemas/";

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
        let reference = json!({ "$ref": format!("{COMPONENTS}{name}") });
        self.0.insert(name, schema);
        reference
    }

    /// All of them, as the document has them.
    pub(super) fn into_components(self) -> Map<String, Value> {
        let mut components = Map::new();
        for (name, mut schema) in self.0 {
            name_times(&mut schema);
            if name == ALIASED {
                components.insert(TIME.to_owned(), time());
            } else {
                components.insert(name, schema);
            }
        }
        components
    }
}

/// The derived schemas know the type `UnixSeconds` only by the name of the type that it stands for.
const ALIASED: &str = "u64";
const TIME: &str = "UnixSeconds";

fn time() -> Value {
    json!({
        "description": "A time, in seconds since 1970-01-01T00:00:00Z.",
        "type": "integer", "format": "int64", "minimum": 0,
    })
}

/// Makes the references to times refer to them by their name.
fn name_times(schema: &mut Value) {
    match schema {
        Value::Object(properties) => {
            if let Some(Value::String(to)) = properties.get_mut("$ref")
                && to.strip_prefix(COMPONENTS) == Some(ALIASED)
            {
                *to = format!("{COMPONENTS}{TIME}");
            }
            properties.values_mut().for_each(name_times);
        }
        Value::Array(items) => items.iter_mut().for_each(name_times),
        _ => {}
    }
}
