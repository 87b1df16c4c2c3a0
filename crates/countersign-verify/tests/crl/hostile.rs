//! Lists that are made to cost, and bytes that are no lists.

use std::time::Instant;

use countersign_testca::{der, root};
use countersign_types::revoked_set::{MAX_REVOKED, RevokedSet};
use countersign_verify::{certificate::Anchor, crl::read};
use proptest::prelude::*;

use crate::{NOW, names, read_for};

/// Entries of these serial numbers, 16 bytes long as most CAs draw them.
fn entries(numbers: impl Iterator<Item = usize>) -> Vec<u8> {
    let date = [&[0x17, 13], b"261031000000Z".as_slice()].concat();
    let reason = [&[0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 21, 4, 3, 10, 1, 1][..]].concat();
    let mut all = Vec::new();
    for number in numbers {
        let low = u64::try_from(number).unwrap().to_be_bytes();
        let serial = [&[0x40; 8][..], &low].concat();
        let entry = [der::element(2, &serial), date.clone(), reason.clone()].concat();
        all.extend(der::element(0x30, &entry));
    }
    all
}

#[test]
fn a_million_entries_are_read_and_a_million_twice_are_not() {
    let ca = root("Root").mint();
    let revoked = ca
        .leaf("a")
        .serial(&[[0x40; 8], 5_u64.to_be_bytes()].concat())
        .mint();
    let good = ca.leaf("b").mint();
    let list = |numbers| ca.crl().raw_entries(entries(numbers));
    let started = Instant::now();
    let million = read_for(&ca, &[], list(0..MAX_REVOKED)).unwrap();
    assert_eq!(million.revoked().len(), MAX_REVOKED);
    assert!(names(&million, &revoked) && !names(&million, &good));
    let bytes = million.revoked().as_bytes();
    assert!(bytes.len() <= 40 * 1024 * 1024, "{}", bytes.len());
    let again = RevokedSet::read(bytes.to_vec()).unwrap();
    assert_eq!(again, **million.revoked());
    // Not built for speed here; twenty times that is still no quadratic time.
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
    let refused = read_for(&ca, &[], list(0..MAX_REVOKED + 1))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("more than 1000000 entries"), "{refused}");
}

#[test]
fn every_serial_number_twice_is_refused() {
    let ca = root("Root").mint();
    let twice = (0..20_000).chain(0..20_000);
    let list = ca.crl().raw_entries(entries(twice));
    let refused = read_for(&ca, &[], list).unwrap_err().to_string();
    assert!(refused.contains(" twice."), "{refused}");
}

#[test]
fn a_list_that_is_too_large_is_refused_before_it_is_read() {
    let anchor = Anchor::from_pem(&root("Root").mint().pem()).unwrap();
    let large = vec![0x30; 97 * 1024 * 1024];
    let refused = read(&large, &anchor, None, NOW).unwrap_err().to_string();
    assert!(
        refused.contains("bytes, and at most 67108864 are read"),
        "{refused}"
    );
}

#[test]
fn every_truncation_and_every_changed_byte_is_refused() {
    let ca = root("Root").mint();
    let anchor = Anchor::from_pem(&ca.pem()).unwrap();
    let list = ca.crl().entry(&[1], &[]).entry(&[2], &[]).mint();
    for at in 0..list.len() {
        assert!(read(&list[..at], &anchor, None, NOW).is_err(), "{at}");
        for bit in [1, 0x20, 0x80] {
            let mut changed = list.clone();
            changed[at] ^= bit;
            assert!(read(&changed, &anchor, None, NOW).is_err(), "{at}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        let pem = include_str!("made/root.pem");
        let anchor = Anchor::from_pem(pem).unwrap();
        prop_assert!(read(&bytes, &anchor, None, NOW).is_err());
    }
}
