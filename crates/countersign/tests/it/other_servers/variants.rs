//! An object as servers may send it: whole, and changed in each way that a server may change it.

use serde_json::{Map, Value, json};

use super::shapes::{Kind, Property, Shape};

/// A word that no set has.
pub(crate) const NEW_WORD: &str = "unheard_of";
/// Ids as other servers may write them.
const OTHER_IDS: [&str; 3] = ["4711", "01J9ZC.x-y", "a/b?c d"];

/// An object with all of its properties.
pub(crate) fn whole(shape: Shape) -> Map<String, Value> {
    let pairs = shape
        .iter()
        .map(|each| (each.name.to_owned(), usual(each.kind)));
    pairs.collect()
}

fn usual(kind: Kind) -> Value {
    match kind {
        Kind::Id(text) | Kind::Text(text) => json!(text),
        Kind::Time => json!(1_711_471_533),
        Kind::Flag => json!(true),
        Kind::Word(words) => json!(words[0]),
        Kind::Object(shape) => Value::Object(whole(shape)),
    }
}

/// What a server of another make, years from now, might send: every id of another form, every word
/// a new one, and more properties everywhere.
pub(crate) fn strange(shape: Shape) -> Map<String, Value> {
    let one = |each: &Property| {
        let value = match each.kind {
            Kind::Id(_) => json!(OTHER_IDS[0]),
            Kind::Word(_) => json!(NEW_WORD),
            Kind::Object(inner) => Value::Object(strange(inner)),
            other => usual(other),
        };
        (each.name.to_owned(), value)
    };
    let mut object: Map<String, Value> = shape.iter().map(one).collect();
    object.insert("added_later".to_owned(), added());
    object
}

fn added() -> Value {
    json!({ "deep": [1, "two", { "three": null }], "fraction": 0.5, "negative": -7 })
}

/// The object in every variant, each with what is special about it.
pub(crate) fn variants(shape: Shape) -> Vec<(String, Map<String, Value>)> {
    let all = whole(shape);
    let with = |name: &str, value: Value| {
        let mut changed = all.clone();
        changed.insert(name.to_owned(), value);
        changed
    };
    let mut bare = all.clone();
    bare.retain(|name, _| shape.iter().any(|each| each.name == name && !each.optional));
    let mut found = vec![
        ("whole".to_owned(), all.clone()),
        ("bare".to_owned(), bare),
        ("more".to_owned(), with("added_later", added())),
        ("strange".to_owned(), strange(shape)),
    ];
    for each in shape {
        let name = each.name;
        if each.optional {
            let mut without = all.clone();
            without.remove(name);
            found.push((format!("without {name}"), without));
        }
        let values = values(each).into_iter();
        found.extend(values.map(|(what, value)| (format!("{name}: {what}"), with(name, value))));
    }
    found
}

/// The other values that a property may have.
fn values(property: &Property) -> Vec<(String, Value)> {
    let plain = |value: Value| (value.to_string(), value);
    let mut found: Vec<(String, Value)> = match property.kind {
        Kind::Id(_) => OTHER_IDS.map(|id| plain(json!(id))).to_vec(),
        Kind::Word(words) => {
            let known = words.iter().map(|word| plain(json!(word)));
            known.chain([plain(json!(NEW_WORD))]).collect()
        }
        Kind::Object(shape) => {
            let inner = variants(shape).into_iter();
            inner
                .map(|(what, object)| (what, Value::Object(object)))
                .collect()
        }
        Kind::Flag => vec![plain(json!(false))],
        Kind::Text(_) => vec![plain(json!("")), plain(json!("naïve \u{1b}[2J"))],
        Kind::Time => vec![plain(json!(0))],
    };
    if property.nullable {
        found.push(plain(Value::Null));
    }
    found
}
