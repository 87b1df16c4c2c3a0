//! Numbers of a file as JSON has them.

use serde_json::Number;
use toml::de::DeValue;

/// A number, if it is one that JSON has: infinities and what is no number are none.
pub(super) fn number(value: &DeValue<'_>) -> Option<Number> {
    match value {
        DeValue::Integer(integer) => {
            let (text, radix) = (integer.as_str(), integer.radix());
            let signed = i64::from_str_radix(text, radix).map(Number::from);
            let large = || u64::from_str_radix(text, radix).map(Number::from);
            signed.or_else(|_| large()).ok()
        }
        DeValue::Float(float) => Number::from_f64(float.as_str().parse().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_in_json() {
        for (toml, json) in [
            ("7", Some("7")),
            ("-7", Some("-7")),
            ("+7", Some("7")),
            ("1_000", Some("1000")),
            ("0xff", Some("255")),
            ("0b11", Some("3")),
            ("7.0", Some("7.0")),
            ("-0.5e1", Some("-5.0")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
            ("inf", None),
            ("nan", None),
            ("1e999", None),
            ("\"7\"", None),
            ("true", None),
        ] {
            let read = DeValue::parse(toml).map(|value| number(value.get_ref()));
            let read = read.ok().flatten().map(|number| number.to_string());
            assert_eq!(read.as_deref(), json, "{toml}");
        }
    }
}
