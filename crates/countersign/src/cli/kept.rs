//! Answers that hold a new key. It is shown once, or goes to a file instead.

use countersign_client::Received;
use countersign_types::secret::Secret;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::key_file::KeyFile;
use crate::{
    failure::{CommandResult, Doing, Failure},
    output::{Cell, Output, Row},
};

/// An answer without the key that it brought.
struct Kept<T> {
    answer: Received<T>,
    document: Value,
    key: Secret,
}

impl KeyFile {
    /// Makes sure, before there is a key, that it is not lost.
    pub(super) fn prepare(&self, output: Output) -> CommandResult {
        if output.is_quiet() && !self.is_given() {
            return Err(
                Failure::usage("`--quiet` prints the id alone, and the key would be lost")
                    .hint("pass `--key-file FILE` too"),
            );
        }
        self.reserve()
    }

    /// Shows an answer and its key, or puts the key into the file.
    pub(super) fn show<T: Row>(
        &self,
        answer: Received<T>,
        key: Option<Secret>,
        output: Output,
    ) -> CommandResult {
        let Some(key) = key else {
            return output.one(&answer);
        };
        if self.keep(key.clone())?.is_some() {
            output.one(&answer)?;
            self.remind();
            return Ok(());
        }
        let mut document = serde_json::to_value(&answer).doing("read the answer")?;
        remove(&mut document, key.reveal());
        output.one(&Kept {
            answer,
            document,
            key,
        })
    }
}

/// Removes every property that has this text.
fn remove(value: &mut Value, text: &str) {
    match value {
        Value::Object(properties) => {
            properties.retain(|_, value| value.as_str() != Some(text));
            properties.values_mut().for_each(|each| remove(each, text));
        }
        Value::Array(entries) => entries.iter_mut().for_each(|each| remove(each, text)),
        _ => {}
    }
}

impl<T> Serialize for Kept<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl<T: Row> Row for Kept<T> {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.answer.cells();
        let key = Cell::from(self.key.reveal());
        for cell in &mut cells {
            if *cell == key {
                *cell = "(in the file)".into();
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_property_keeps_the_key() {
        let mut answer = json!({ "id": "key_a", "value": "sk-x", "api_key": { "value": "sk-x" } });
        remove(&mut answer, "sk-x");
        assert_eq!(answer, json!({ "id": "key_a", "api_key": {} }));
    }
}
