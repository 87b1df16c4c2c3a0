//! Extensions in DER.

use crate::{der, name::General, oid};

/// A bit of keyUsage (RFC 5280 section 4.2.1.3), as its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Usage {
    DigitalSignature = 0,
    KeyEncipherment = 2,
    KeyCertSign = 5,
    CrlSign = 6,
}

/// What basicConstraints says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Basic {
    Absent,
    Ca(Option<u32>),
    NotCa,
}

pub(crate) fn extension(id: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut fields = vec![der::oid(id)];
    if critical {
        fields.push(der::element(der::BOOLEAN, &[0xff]));
    }
    fields.push(der::element(der::OCTET_STRING, value));
    der::sequence(&fields)
}

pub(crate) fn basic_constraints(basic: Basic) -> Option<Vec<u8>> {
    let value = match basic {
        Basic::Absent => return None,
        Basic::NotCa => der::sequence(&[]),
        Basic::Ca(path_len) => {
            let mut fields = vec![der::element(der::BOOLEAN, &[0xff])];
            fields.extend(path_len.map(|n| der::unsigned(&n.to_be_bytes())));
            der::sequence(&fields)
        }
    };
    Some(extension(oid::BASIC_CONSTRAINTS, true, &value))
}

pub(crate) fn key_usage(usages: &[Usage]) -> Vec<u8> {
    let bits = usages
        .iter()
        .fold(0_u8, |bits, usage| bits | 0x80 >> *usage as u8);
    // DER drops the zero bits at the end of a list of named bits (X.690 section 11.2.2).
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap_or(7);
    let content: &[u8] = if bits == 0 { &[0] } else { &[unused, bits] };
    let value = der::element(der::BIT_STRING, content);
    extension(oid::KEY_USAGE, true, &value)
}

pub(crate) fn name_constraints(permitted: &[General], excluded: &[General]) -> Option<Vec<u8>> {
    if permitted.is_empty() && excluded.is_empty() {
        return None;
    }
    let subtrees = |n: u8, bases: &[General]| {
        let trees = bases.iter().map(|base| der::sequence(&[base.der()]));
        let trees = trees.collect::<Vec<_>>().concat();
        if trees.is_empty() {
            Vec::new()
        } else {
            der::element(der::constructed(n), &trees)
        }
    };
    let value = der::sequence(&[subtrees(0, permitted), subtrees(1, excluded)]);
    Some(extension(oid::NAME_CONSTRAINTS, true, &value))
}
