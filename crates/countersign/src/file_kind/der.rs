//! What DER is, by its first elements.

/// What a file in DER holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Der {
    Certificate,
    Request,
    Crl,
    PublicKey,
    PrivateKey,
    EncryptedKey,
    Pkcs7,
    Pkcs12,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]`, with which a certificate states its version.
const VERSION: u8 = 0xa0;

impl Der {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (SEQUENCE, content, _) = element(bytes)? else {
            return None;
        };
        let (tag, first, rest) = element(content)?;
        match tag {
            INTEGER if first == [3] => Some(Self::Pkcs12),
            INTEGER => Some(Self::PrivateKey),
            OBJECT_IDENTIFIER => Some(Self::Pkcs7),
            SEQUENCE => Self::of_signed(first, element(rest)?.0),
            _ => None,
        }
    }

    /// What begins with a sequence: the signed part of something, or an algorithm.
    fn of_signed(first: &[u8], after: u8) -> Option<Self> {
        let (tag, value, _) = element(first)?;
        match (tag, after) {
            (VERSION, _) => Some(Self::Certificate),
            (INTEGER, _) if value == [0] => Some(Self::Request),
            (INTEGER, _) if value == [1] => Some(Self::Crl),
            (OBJECT_IDENTIFIER, BIT_STRING) => Some(Self::PublicKey),
            (OBJECT_IDENTIFIER, OCTET_STRING) => Some(Self::EncryptedKey),
            _ => None,
        }
    }
}

/// An element's tag, its content as far as it is there, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        short @ ..=0x7f => (usize::from(short), rest),
        // Of no stated length, as some tools write PKCS#12.
        0x80 => (rest.len(), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            let number = digits
                .iter()
                .fold(0_usize, |number, digit| number << 8 | usize::from(*digit));
            (number, rest)
        }
    };
    let (content, rest) = rest.split_at(length.min(rest.len()));
    Some((tag, content, rest))
}
