//! Name constraints that no client certificate could ever satisfy, or that would refuse more than
//! whoever wrote them meant.
//!
//! rustls-webpki checks DNS names and IP addresses. A constraint of another form fails only the
//! certificates that have such an alternative name, so a CA that carries one can still be used;
//! but a distinguished name is in every certificate, and a malformed constraint fails them all.

use x509_parser::asn1_rs::{Any, Class, FromDer as _};

use super::rejection::Rejection;

const REISSUE: &str = "Reissue the CA certificate without that.";

/// One entry of an extension's lists.
struct Subtree<'a> {
    permitted: bool,
    /// The tag of a GeneralName (RFC 5280 section 4.2.1.6).
    form: u32,
    base: &'a [u8],
}

const EMAIL: u32 = 1;
const DNS: u32 = 2;
const DIRECTORY_NAME: u32 = 4;
const URI: u32 = 6;
/// An address, in a constraint with its mask.
const IP_ADDRESS: u32 = 7;

/// Why the lists cannot be read.
enum Unreadable {
    Malformed,
    /// A subtree says more than its base.
    MinimumOrMaximum,
}

/// What makes the contents of a nameConstraints extension impossible to satisfy, if anything.
pub(super) fn impossible(extension: &[u8]) -> Option<Rejection> {
    let subtrees = match subtrees(extension) {
        Ok(subtrees) => subtrees,
        Err(Unreadable::Malformed) => {
            return Some(Rejection::invalid(
                "The certificate's extension nameConstraints (2.5.29.30) is malformed.",
                REISSUE,
            ));
        }
        Err(Unreadable::MinimumOrMaximum) => {
            return Some(Rejection::invalid(
                "The certificate's extension nameConstraints (2.5.29.30) sets `minimum` or \
                 `maximum`, which the verifier always refuses (RFC 5280 section 4.2.1.10).",
                REISSUE,
            ));
        }
    };
    if subtrees.iter().any(|one| one.form == DIRECTORY_NAME) {
        return Some(Rejection::invalid(
            "The certificate's name constraints are on directory names, which the \
             verifier does not process and so always refuses (RFC 5280 section 4.2.1.10).",
            "Reissue the CA certificate without them; a CEL policy on `subject` can \
             do what they did.",
        ));
    }
    subtrees.iter().find_map(leading_dot)
}

/// RFC 5280 section 4.2.1.10 knows no such form of a DNS name; some tools write it for "everything
/// below, but not the name itself".
fn leading_dot(subtree: &Subtree<'_>) -> Option<Rejection> {
    let name = subtree.base.strip_prefix(b".")?;
    if subtree.form != DNS {
        return None;
    }
    // What is quoted is of the characters of a host name, so that nothing else can pose as one.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_*".contains(byte);
    let shown = name.len() <= 253 && name.iter().all(plain);
    let name = String::from_utf8_lossy(name);
    Some(Rejection::invalid(
        match shown {
            true => format!(
                "The certificate's name constraints have the DNS name `.{name}`, which begins with \
                 a dot."
            ),
            false => "The certificate's name constraints have a DNS name that begins with a dot."
                .to_owned(),
        },
        "Reissue the CA certificate with the name without the dot: that covers the name and \
         everything below it (RFC 5280 section 4.2.1.10).",
    ))
}

/// Names that the extension permits but that the verifier does not process: it would refuse every
/// client certificate that has one, the permitted ones too. Older versions took such a CA, and one
/// that is active stays so; a new one is refused.
pub(super) fn unprocessed(extension: &[u8]) -> Option<Rejection> {
    let subtrees = subtrees(extension).ok()?;
    let of = |one: &Subtree<'_>| match one.form {
        EMAIL => Some("e-mail addresses"),
        URI => Some("URIs"),
        DNS | IP_ADDRESS | DIRECTORY_NAME => None,
        _ => Some("names of a kind other than DNS names and IP addresses"),
    };
    let mut permitted = subtrees.iter().filter(|one| one.permitted);
    let names = permitted.find_map(of)?;
    Some(Rejection::invalid(
        format!(
            "The certificate's name constraints permit {names}, which the verifier does not \
             process: it would refuse every client certificate that has one."
        ),
        "Reissue the CA certificate without these constraints; a CEL policy on \
         `subject_alt_names` can do what they did.",
    ))
}

fn subtrees(extension: &[u8]) -> Result<Vec<Subtree<'_>>, Unreadable> {
    let lists = only(extension).ok_or(Unreadable::Malformed)?;
    if lists.tag().0 != 16 {
        return Err(Unreadable::Malformed);
    }
    let mut found = Vec::new();
    let mut before = None;
    for list in elements(lists.data)? {
        // Permitted, then excluded, either once.
        let order = (list.class() == Class::ContextSpecific).then_some(list.tag().0);
        let order =
            order.filter(|order| *order <= 1 && before.is_none_or(|before| before < *order));
        before = Some(order.ok_or(Unreadable::Malformed)?);
        for subtree in elements(list.data)? {
            found.push(read(before == Some(0), &subtree)?);
        }
    }
    Ok(found)
}

fn read<'a>(permitted: bool, subtree: &Any<'a>) -> Result<Subtree<'a>, Unreadable> {
    let (rest, name) = Any::from_der(subtree.data).map_err(|_| Unreadable::Malformed)?;
    if !rest.is_empty() {
        return Err(Unreadable::MinimumOrMaximum);
    }
    let form = name.tag().0;
    let address = matches!(name.data.len(), 8 | 32);
    let sound = name.class() == Class::ContextSpecific && form <= 8;
    if !sound || (form == IP_ADDRESS && !address) {
        return Err(Unreadable::Malformed);
    }
    Ok(Subtree {
        permitted,
        form,
        base: name.data,
    })
}

fn only(der: &[u8]) -> Option<Any<'_>> {
    let (rest, element) = Any::from_der(der).ok()?;
    rest.is_empty().then_some(element)
}

fn elements(mut der: &[u8]) -> Result<Vec<Any<'_>>, Unreadable> {
    let mut all = Vec::new();
    while !der.is_empty() {
        let (rest, element) = Any::from_der(der).map_err(|_| Unreadable::Malformed)?;
        all.push(element);
        der = rest;
    }
    Ok(all)
}
