//! The body, read as a type: serde reads the properties, so that every refusal names the property
//! and says what it must be, and the document has the type's schema.

use std::ops::RangeInclusive;

use countersign_types::{certificate::MAX_NAME_CHARACTERS, error::ErrorCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Path;
use utoipa::ToSchema;

use super::{
    call::Call,
    contract::{Contract, MAX_BODY_BYTES, Presence},
    error::ApiError,
    extract::Extract,
    json_value::JsonValue,
    schemas::Schemas,
    unreadable::Unreadable,
};

/// The JSON object in a body.
pub(super) struct Body<T>(pub(super) T);

/// The JSON object in a body that may be empty.
pub(super) struct OptionalBody<T>(pub(super) T);

/// What to do about a property that cannot be read, by its name.
pub(super) type Advice = &'static [(&'static str, &'static str)];

/// The advice about `enforcement`, where its default is `enforce`.
pub(super) const TO_ENFORCE: &str = "Leave it out to enforce.";

/// A type that a body is read as. Properties that it does not have are ignored.
pub(super) trait RequestBody: DeserializeOwned + ToSchema + Send + 'static {
    /// The most bytes that such a body may have.
    const MAX_BYTES: usize = MAX_BODY_BYTES;

    /// What else to say where a property cannot be read.
    const ADVICE: Advice = &[];

    /// Looks at the properties before they are read: what serde cannot express of them.
    fn prepare(_: &mut Map<String, Value>) -> Result<(), ApiError> {
        Ok(())
    }

    /// Checks what the types of the properties do not.
    fn check(&mut self) -> Result<(), ApiError> {
        Ok(())
    }

    /// The refusal of a value that cannot be read.
    fn refuse(place: &Path, why: Unreadable) -> ApiError {
        let place = text(place);
        let advice = Self::ADVICE.iter().find(|(name, _)| *name == place);
        let refusal = why.at(place);
        match advice {
            Some((_, advice)) => refusal.advise(advice),
            None => refusal,
        }
    }
}

impl<T: RequestBody> Extract for Body<T> {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        let properties = call.body.take().ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidJson,
                "The body is empty. Send a JSON object.",
            )
        })?;
        read(properties).map(Self)
    }

    fn describe(contract: &mut Contract) {
        describe::<T>(contract, Presence::Required);
    }
}

impl<T: RequestBody + Default> Extract for OptionalBody<T> {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        let properties = call.body.take();
        properties.map_or_else(|| Ok(T::default()), read).map(Self)
    }

    fn describe(contract: &mut Contract) {
        describe::<T>(contract, Presence::Optional);
    }
}

fn describe<T: RequestBody>(contract: &mut Contract, presence: Presence) {
    contract.presence = presence;
    contract.body = Some(Schemas::of::<T>);
    contract.body_bytes = T::MAX_BYTES;
}

fn read<T: RequestBody>(mut properties: Map<String, Value>) -> Result<T, ApiError> {
    T::prepare(&mut properties)?;
    let sent = JsonValue(Value::Object(properties));
    let mut body: T = serde_path_to_error::deserialize(sent).map_err(|error| {
        let place = error.path().clone();
        T::refuse(&place, error.into_inner())
    })?;
    body.check()?;
    Ok(body)
}

/// The place as `param` names it; the whole body is no place.
fn text(place: &Path) -> String {
    if place.iter().next().is_none() {
        return String::new();
    }
    place.to_string()
}

/// Refuses the first of these properties that is there.
pub(super) fn refuse_properties(
    properties: &Map<String, Value>,
    known: &[&'static str],
    why: &str,
) -> Result<(), ApiError> {
    let Some(found) = known.iter().find(|name| properties.contains_key(**name)) else {
        return Ok(());
    };
    let message = format!("`{found}` cannot be given here: {why}");
    Err(ApiError::new(ErrorCode::UnsupportedParameter, message).at(*found))
}

/// Names are 1 to 256 characters, none of them a control character.
pub(super) fn check_name(param: &'static str, name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARACTERS {
        let message = format!(
            "`{param}` has {length} characters. Give 1 to {MAX_NAME_CHARACTERS} characters."
        );
        return Err(ApiError::value(param, message));
    }
    if name.chars().any(char::is_control) {
        let message = format!("`{param}` contains a control character. Leave it out.");
        return Err(ApiError::value(param, message));
    }
    Ok(())
}

/// The same for a name that may be absent.
pub(super) fn check_optional_name(
    param: &'static str,
    name: Option<&String>,
) -> Result<(), ApiError> {
    name.map_or(Ok(()), |name| check_name(param, name))
}

/// A text of this many characters, none of them a control character but line breaks.
pub(super) fn check_text(
    param: &'static str,
    text: &str,
    characters: RangeInclusive<usize>,
) -> Result<(), ApiError> {
    let length = text.chars().count();
    if !characters.contains(&length) {
        let (least, most) = characters.into_inner();
        let message =
            format!("`{param}` has {length} characters. Give {least} to {most} characters.");
        return Err(ApiError::value(param, message));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        let message = format!("`{param}` contains a control character. Leave it out.");
        return Err(ApiError::value(param, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn a_name_is_counted_in_characters() {
        assert!(check_name("name", &"é".repeat(256)).is_ok());
        for wrong in ["", &"é".repeat(257), "a\0", "a\u{85}", "\n"] {
            assert!(check_name("name", wrong).is_err(), "{wrong:?}");
        }
    }
}
