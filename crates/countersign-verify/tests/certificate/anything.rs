//! Whatever is uploaded is read or refused: nothing panics, and nothing of a key is repeated.

use countersign_testca::{General, KeyKind, Minted, der, oid, root};
use countersign_verify::certificate::{Anchor, inspect, read_upload};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    proptest,
    sample::Index,
};
use std::sync::OnceLock;

use crate::NOW;

/// One change of one byte.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        match change {
            Change::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Change::Remove(at) => drop(bytes.remove(at.index(length))),
            Change::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Change::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

/// Certificates with much to read in them.
fn samples() -> &'static [Minted; 2] {
    static SAMPLES: OnceLock<[Minted; 2]> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let rich = root("Example Root")
            .attribute(oid::ORGANIZATION, "Example")
            .path_len(1)
            .eku(&[oid::CLIENT_AUTH])
            .permit(General::dns("example.com"))
            .exclude(General::Network(
                [10, 0, 0, 0].into(),
                [255, 0, 0, 0].into(),
            ))
            .aki_without_key_identifier();
        [rich.mint(), root("RSA").key(KeyKind::Rsa1024).mint()]
    })
}

/// Reads it in every way there is; what is accepted must agree with itself.
fn read(text: &str) {
    let inspection = inspect(text, NOW);
    match read_upload(text, NOW) {
        Ok(anchor) => {
            assert!(inspection.reasons.is_empty());
            assert!(!anchor.key_identifier().is_empty());
            assert!(anchor.valid_at() <= anchor.expires_at());
            assert_eq!(inspection.facts.as_ref(), Some(anchor.facts()));
        }
        Err(refused) => {
            assert_eq!(inspection.reasons.first(), Some(&refused));
            assert!(refused.message.ends_with('.'));
            assert!(refused.message.chars().all(|c| !c.is_control()));
            assert!(refused.message.len() < 2_000);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        read(&text);
    }

    #[test]
    fn any_bytes_in_a_block_are_read_or_refused(bytes in vec(any::<u8>(), 0..2_000)) {
        read(&der::pem("CERTIFICATE", &bytes));
        let _ = Anchor::from_der(&bytes);
    }

    #[test]
    fn a_damaged_certificate_is_read_or_refused(
        sample in prop_oneof![Just(0_usize), Just(1)],
        changes in vec(change(), 1..6),
    ) {
        let bytes = changed(samples()[sample].der(), &changes);
        read(&der::pem("CERTIFICATE", &bytes));
    }

    #[test]
    fn a_damaged_pem_is_read_or_refused(
        sample in prop_oneof![Just(0_usize), Just(1)],
        changes in vec(change(), 1..6),
        literal: bool,
    ) {
        let bytes = changed(samples()[sample].pem().as_bytes(), &changes);
        let text = String::from_utf8_lossy(&bytes);
        read(&if literal { text.replace('\n', "\\n") } else { text.into_owned() });
    }

    #[test]
    fn a_key_among_anything_is_refused_and_not_repeated(
        before in "[ -~\n]{0,80}",
        after in "[ -~\n]{0,80}",
    ) {
        let key = samples()[0].key_pem();
        let text = format!("{}{before}\n{key}{after}", samples()[0].pem());
        let refused = read_upload(&text, NOW).map(|anchor| anchor.subject().to_owned());
        let message = refused.unwrap_err().message;
        assert!(message.contains("private key"));
        assert!(key.lines().all(|line| line.starts_with('-') || !message.contains(line)));
    }
}
