//! W3C Trace Context: the trace that a request belongs to. What a client says of it passes if it is
//! well-formed; otherwise the request begins a trace here.

use http::{HeaderMap, HeaderName, HeaderValue, header::Entry};

use crate::options::Traceparent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `VERSION-TRACE-PARENT-FLAGS` in hexadecimal digits: 2, 32, 16 and 2 of them.
const LENGTH: usize = 55;

/// A trace's id: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 32]);

impl TraceId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Keeps a well-formed `traceparent`, and replaces any other, with the `tracestate` that came with
/// it, by one that is made of this request's own number. The trace that the request belongs to.
pub(crate) fn settle(
    headers: &mut HeaderMap,
    number: u128,
    setting: Traceparent,
) -> Option<TraceId> {
    let place = headers.entry(TRACEPARENT);
    if let Entry::Occupied(given) = &place
        && given.iter().nth(1).is_none()
        && let Some(known) = read(given.get().as_bytes())
    {
        return Some(known);
    }
    let flags = match setting {
        Traceparent::CreateSampled => b"01",
        Traceparent::CreateUnsampled => b"00",
        Traceparent::Pass => {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
            return None;
        }
    };
    let (made, id) = make(number, *flags);
    let mut value = HeaderValue::from_bytes(&made).ok()?;
    // It is unique, so it must not go into the HTTP/2 header table of its connection.
    value.set_sensitive(true);
    match place {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut place) => {
            place.insert(value);
        }
    }
    headers.remove(TRACESTATE);
    Some(id)
}

/// The trace that a `traceparent` names. A later version may say more after its flags (section 3.2.4
/// of the recommendation).
fn read(value: &[u8]) -> Option<TraceId> {
    let (known, rest) = value.split_at_checked(LENGTH)?;
    let (version, known) = known.split_at_checked(2)?;
    let (trace, known) = known.strip_prefix(b"-")?.split_at_checked(32)?;
    let (parent, known) = known.strip_prefix(b"-")?.split_at_checked(16)?;
    let flags = known.strip_prefix(b"-")?;
    let may_go_on = match version {
        b"ff" => false,
        b"00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let is_id = |digits: &[u8]| is_hex(digits) && digits.iter().any(|digit| *digit != b'0');
    let is_right = may_go_on && is_hex(version) && is_id(trace) && is_id(parent) && is_hex(flags);
    is_right.then(|| trace.try_into().ok().map(TraceId))?
}

/// Lower case only, as the recommendation says.
fn is_hex(digits: &[u8]) -> bool {
    digits
        .iter()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// A `traceparent` out of a number that no other request has. Neither id may be zero.
fn make(number: u128, flags: [u8; 2]) -> ([u8; LENGTH], TraceId) {
    /// An odd number: products with it differ as their factors do.
    const FACTOR: u128 = 0xda94_2042_e4dd_58b5_b492_66e9_2df2_3a4b;
    let number = number.max(1);
    let span = number.wrapping_mul(FACTOR) >> 64 | 1;
    let (trace, parent) = (hex(number), hex(span));
    let (_, parent) = parent.split_at(parent.len() / 2);
    let mut made = [b'-'; LENGTH];
    let parts = [&b"00"[..], &trace, parent, &flags];
    let mut rest = &mut made[..];
    for part in parts {
        if let Some(place) = rest.split_off_mut(..part.len()) {
            place.copy_from_slice(part);
        }
        // A hyphen, which is there already.
        let _ = rest.split_off_first_mut();
    }
    (made, TraceId(trace))
}

/// A number in hexadecimal digits. Eight at a time, since each request has them.
fn hex(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    let words = number.to_be_bytes();
    let (words, _) = words.as_chunks::<4>();
    let (places, _) = digits.as_chunks_mut::<8>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = eight_digits(u32::from_be_bytes(*word));
    }
    digits
}

/// The hexadecimal digits of a number, all at once: each byte of a word becomes one of them.
fn eight_digits(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // One for each that is above nine.
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    (digits + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(given: &[&str], setting: Traceparent) -> (Option<TraceId>, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(TRACESTATE, HeaderValue::from_static("a=1"));
        for value in given {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        let id = settle(&mut headers, 7, setting);
        (id, headers)
    }

    #[test]
    fn a_well_formed_traceparent_passes() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes";
        for given in [GIVEN, later] {
            let (id, headers) = check(&[given], Traceparent::CreateSampled);
            assert_eq!(id.unwrap().as_str(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(headers[TRACEPARENT], given);
            assert_eq!(headers[TRACESTATE], "a=1");
        }
    }

    #[test]
    fn any_other_is_replaced_and_its_state_dropped() {
        let upper = GIVEN.to_uppercase();
        let longer = format!("{GIVEN}-x");
        for given in [
            &[][..],
            &[""],
            &["x"],
            &[GIVEN, GIVEN],
            &[&upper],
            &[&longer],
            &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"],
            &["00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x"],
        ] {
            let (id, headers) = check(given, Traceparent::CreateSampled);
            let made = headers[TRACEPARENT].as_bytes();
            assert_eq!(read(made), id, "{given:?}");
            assert!(made.ends_with(b"-01"), "{given:?}");
            assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
            assert!(!headers.contains_key(TRACESTATE), "{given:?}");
            let (id, headers) = check(given, Traceparent::Pass);
            assert!(id.is_none() && headers.is_empty(), "{given:?}");
        }
        let (_, headers) = check(&[], Traceparent::CreateUnsampled);
        assert!(headers[TRACEPARENT].as_bytes().ends_with(b"-00"));
    }

    #[test]
    fn digits_are_those_that_are_formatted() {
        for number in [0, 1, 9, 10, u128::MAX, 0x0123_4567_89ab_cdef << 64 | 0xfedc] {
            let formatted = format!("{number:032x}");
            assert_eq!(hex(number), formatted.as_bytes(), "{formatted}");
        }
    }

    #[test]
    fn every_number_makes_a_traceparent_of_its_own() {
        for number in [0, 1, 1 << 64, u128::MAX] {
            let (made, id) = make(number, *b"00");
            assert_eq!(read(&made), Some(id), "{number}");
        }
        assert_ne!(make(2, *b"00").0[36..52], make(3, *b"00").0[36..52]);
    }
}
