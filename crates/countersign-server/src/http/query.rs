//! The query, read as a type: serde reads the values, and the document lists the type's fields as
//! parameters. A field that takes a list is named `name[]`. Parameters that no field is named after
//! are ignored.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::json;
use serde_path_to_error::Segment;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        path::ParameterIn,
        schema::{ObjectBuilder, Type},
    },
};

use super::{
    call::Call,
    contract::Contract,
    error::ApiError,
    extract::Extract,
    query_string::{Pairs, bare},
    unreadable::Unreadable,
};

/// The most values that one parameter may list.
const MAX_VALUES: usize = 100;

/// The parameters of a query. Several of these may share a query: each reads its own.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams + Send + 'static> Extract for Query<T> {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        read(&call.query).map(Self)
    }

    fn describe(contract: &mut Contract) {
        let described = T::into_params(|| Some(ParameterIn::Query));
        contract.query.extend(described);
    }
}

/// Reads the parameters that a type has fields for.
pub(super) fn read<T: DeserializeOwned>(pairs: &Pairs) -> Result<T, ApiError> {
    let entries = pairs.by_name();
    let entries = entries
        .iter()
        .map(|(name, values)| (name.as_str(), Values(values)));
    let query = MapDeserializer::<_, Unreadable>::new(entries);
    serde_path_to_error::deserialize(query).map_err(|error| {
        // The parameter and no place within it: a list may be given in several spellings.
        let mut place = error.path().iter();
        let name = match place.next() {
            Some(Segment::Map { key }) => bare(key).to_owned(),
            _ => String::new(),
        };
        let in_list = place.next().is_some();
        let why = error.into_inner();
        let example = match &why {
            Unreadable::NoneOf(known) => known.first(),
            Unreadable::NoneOfMany { nearest, .. } => nearest.first(),
            _ => None,
        };
        let advice = example
            .filter(|_| in_list)
            .map(|example| format!("Send `{name}[]={example}`, or leave it out."));
        let refusal = why.at(name);
        match advice {
            Some(advice) => refusal.advise(&advice),
            None => refusal,
        }
    })
}

/// The values of one parameter.
#[derive(Clone, Copy)]
struct Values<'a>(&'a [&'a str]);

impl<'a> Values<'a> {
    /// The one value. Several are refused: which was meant is unclear.
    fn one(self) -> Result<&'a str, Unreadable> {
        match self.0 {
            [one] => Ok(one),
            _ => Err(Unreadable::Repeated),
        }
    }

    /// The error for text that is not such a value.
    fn not<'de, V: Visitor<'de>>(visitor: &V) -> Unreadable {
        Unreadable::invalid_value(Unexpected::Other("text"), visitor)
    }
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.one()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.one()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Self::not(&visitor)),
        }
    }

    /// Whole numbers are plain digits: no sign, no space, no exponent.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let text = self.one()?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => visitor.visit_u64(number),
            _ => Err(Self::not(&visitor)),
        }
    }

    /// `name[]=a`, `name=a`, repeated, or in a comma list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let values: Vec<&str> = self.0.iter().flat_map(|value| value.split(',')).collect();
        if values.len() > MAX_VALUES {
            return Err(Unreadable::TooMany(MAX_VALUES));
        }
        let values = values
            .iter()
            .map(|value| Values(std::slice::from_ref(value)));
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let text: StrDeserializer<'_, Unreadable> = self.one()?.into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map struct identifier
    }
}

impl IntoDeserializer<'_, Unreadable> for Values<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A whole number within a range, both ends included. The range is read from the type by the
/// refusal and by the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u64, const MAX: u64>(pub(super) u64);

/// The same with a default, for when the parameter is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WholeOr<const MIN: u64, const MAX: u64, const DEFAULT: u64>(pub(super) u64);

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Default for WholeOr<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_u64(WholeVisitor::<MIN, MAX>)
            .map(Self)
    }
}

impl<'de, const MIN: u64, const MAX: u64, const DEFAULT: u64> Deserialize<'de>
    for WholeOr<MIN, MAX, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Whole::<MIN, MAX>::deserialize(deserializer).map(|whole| Self(whole.0))
    }
}

struct WholeVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        if (MIN..=MAX).contains(&number) {
            return Ok(number);
        }
        Err(E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        RefOr::from(range(MIN, MAX).build())
    }
}

impl<const MIN: u64, const MAX: u64> ToSchema for Whole<MIN, MAX> {}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> PartialSchema
    for WholeOr<MIN, MAX, DEFAULT>
{
    fn schema() -> RefOr<Schema> {
        RefOr::from(range(MIN, MAX).default(Some(json!(DEFAULT))).build())
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> ToSchema for WholeOr<MIN, MAX, DEFAULT> {}

fn range(min: u64, max: u64) -> ObjectBuilder {
    let end = |number: u64| usize::try_from(number).ok();
    let schema = ObjectBuilder::new().schema_type(Type::Integer);
    schema.minimum(end(min)).maximum(end(max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    enum Include {
        Content,
        Usage,
    }

    #[derive(Debug, Deserialize, IntoParams)]
    struct Example {
        #[param(inline)]
        limit: Option<Whole<1, 100>>,
        #[serde(default)]
        #[param(inline)]
        wait: WholeOr<0, 60, 30>,
        #[serde(default, rename = "include[]")]
        #[param(inline)]
        include: Vec<Include>,
        #[serde(default)]
        archived: bool,
        #[serde(rename = "at[gt]")]
        #[param(inline)]
        at: Option<Whole<0, 9>>,
        after: Option<String>,
    }

    fn read(text: &str) -> Result<Example, ApiError> {
        super::read(&Pairs::read(Some(text)).unwrap())
    }

    #[test]
    fn every_spelling_of_a_list_is_understood() {
        for text in [
            "include[]=content",
            "include%5B%5D=content",
            "include=content",
            "include=content,content",
            "include[]=content&include[]=content",
            "include=content&include%5b%5d=content&x=1",
            "include=%63ontent",
        ] {
            let include = read(text).unwrap().include;
            assert!(include.contains(&Include::Content), "{text}");
        }
        for text in ["", "x=1", "Include=content", "include[0]=content"] {
            assert!(read(text).unwrap().include.is_empty(), "{text}");
        }
        for text in [
            "include",
            "include=",
            "include[]=",
            "include=name",
            "include=content,",
            "include=Content",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("include"), "{text}");
            assert_eq!(
                error.message,
                "`include` must be `content` or `usage`. Send `include[]=content`, or leave it out."
            );
        }
        let many = "include=usage&".repeat(MAX_VALUES + 1);
        let message = read(&many).unwrap_err().message;
        assert_eq!(message, "`include` lists more than 100 values. List fewer.");
    }

    #[test]
    fn a_limit_is_1_to_100_in_plain_digits() {
        for (text, limit) in [
            ("", None),
            ("limit=1", Some(1)),
            ("limit=100", Some(100)),
            ("limit=%32", Some(2)),
        ] {
            assert_eq!(read(text).unwrap().limit, limit.map(Whole));
        }
        assert_eq!(read("wait=60").unwrap().wait.0, 60);
        assert_eq!(read("").unwrap().wait.0, 30);
        assert!(read("wait=61").is_err());
        for text in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=%2B1",
            "limit=",
            "limit",
            "limit=1.0",
            "limit=1e1",
            "limit=99999999999999999999",
            "limit=x",
            "limit=%201",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("limit"), "{text}");
            assert_eq!(
                error.message,
                "`limit` must be a whole number from 1 to 100."
            );
        }
    }

    #[test]
    fn a_parameter_that_takes_one_value_is_given_once() {
        for (text, param) in [
            ("limit=1&limit=1", "limit"),
            ("archived=true&archived=true", "archived"),
            ("after=a&after=b", "after"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{text}");
            assert!(error.message.contains("more than once"), "{text}");
        }
        for ignored in ["x=1&x=2", "limit[]=x", "after[]=a&after[]=b"] {
            let query = read(ignored).unwrap();
            assert_eq!((query.limit, query.after), (None, None), "{ignored}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_what_was_sent() {
        for (text, message) in [
            ("archived=secret", "`archived` must be true or false."),
            (
                "at[gt]=secret",
                "`at[gt]` must be a whole number from 0 to 9.",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().message, message);
        }
        let query = read("archived=true&at[gt]=9").unwrap();
        assert_eq!((query.archived, query.at), (true, Some(Whole(9))));
        let message = read("include=secret").unwrap_err().message;
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn the_document_names_lists_as_the_reference_does() {
        let described = Example::into_params(|| Some(ParameterIn::Query));
        let names: Vec<_> = described.into_iter().map(|each| each.name).collect();
        assert_eq!(
            names,
            ["limit", "wait", "include[]", "archived", "at[gt]", "after"]
        );
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(text in "[ -~]{0,40}") {
            if let Ok(pairs) = Pairs::read(Some(&text)) {
                let _ = super::read::<Example>(&pairs);
            }
        }
    }
}
