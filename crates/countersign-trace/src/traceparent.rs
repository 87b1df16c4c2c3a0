//! A `traceparent`: `VERSION-TRACE-PARENT-FLAGS` in hexadecimal digits.

use crate::hex::hex;

/// How long it is: 2, 32, 16 and 2 digits.
pub const LENGTH: usize = 55;

/// The flag that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// A trace's id: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

/// A span's id within its trace: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 16]);

impl TraceId {
    /// The number that the digits stand for.
    #[must_use]
    pub fn number(&self) -> u128 {
        u128::from_str_radix(self.as_str(), 16).unwrap_or_default()
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl SpanId {
    /// The number that the digits stand for.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from_str_radix(self.as_str(), 16).unwrap_or_default()
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The trace of a request, and its own span of it, should they begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

impl Ids {
    /// Made of a number that no other request has. Neither is zero.
    #[must_use]
    pub fn of(number: u128) -> Self {
        /// An odd number: products with it differ as their factors do.
        const FACTOR: u128 = 0xda94_2042_e4dd_58b5_b492_66e9_2df2_3a4b;
        let number = number.max(1);
        let span = hex(number.wrapping_mul(FACTOR) >> 64 | 1);
        Self {
            trace: TraceId(hex(number)),
            span: SpanId(span.last_chunk().copied().unwrap_or([b'1'; 16])),
        }
    }

    /// As a header, with the flag that says whether the trace is recorded.
    #[must_use]
    pub fn header(&self, sampled: bool) -> [u8; LENGTH] {
        let mut made = [b'-'; LENGTH];
        let flags: &[u8] = if sampled { b"01" } else { b"00" };
        let parts = [&b"00"[..], &self.trace.0, &self.span.0, flags];
        let mut rest = &mut made[..];
        for part in parts {
            if let Some(place) = rest.split_off_mut(..part.len()) {
                place.copy_from_slice(part);
            }
            // A hyphen, which is there already.
            let _ = rest.split_off_first_mut();
        }
        made
    }
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    /// The trace.
    pub trace: TraceId,
    /// The span that the request comes from.
    pub parent: SpanId,
    /// Whether the trace is recorded there.
    pub sampled: bool,
}

impl Traceparent {
    /// What a header says; none if it is malformed. A later version may say more after its flags (section
    /// 3.2.4 of the recommendation).
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
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
        let is_right =
            may_go_on && is_hex(version) && is_id(trace) && is_id(parent) && is_hex(flags);
        if !is_right {
            return None;
        }
        let flags = u8::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok()?;
        Some(Self {
            trace: TraceId(trace.try_into().ok()?),
            parent: SpanId(parent.try_into().ok()?),
            sampled: flags & SAMPLED != 0,
        })
    }
}

/// Lower case only, as the recommendation says.
fn is_hex(digits: &[u8]) -> bool {
    digits
        .iter()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_makes_a_traceparent_of_its_own() {
        for number in [0, 1, 1 << 64, u128::MAX] {
            let ids = Ids::of(number);
            for sampled in [true, false] {
                let read = Traceparent::read(&ids.header(sampled));
                let wanted = Traceparent {
                    trace: ids.trace,
                    parent: ids.span,
                    sampled,
                };
                assert_eq!(read, Some(wanted), "{number}");
            }
        }
        assert_ne!(Ids::of(2).span, Ids::of(3).span);
    }

    #[test]
    fn what_is_malformed_is_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(Traceparent::read(good.as_bytes()).is_some_and(|read| read.sampled));
        for bad in [
            String::new(),
            good.to_uppercase(),
            format!("{good}-x"),
            good.replacen("00", "ff", 1),
            good.replace("b7ad6b7169203331", "0000000000000000"),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replacen('-', "_", 1),
            good.replace("-01", "-1"),
        ] {
            assert_eq!(Traceparent::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
