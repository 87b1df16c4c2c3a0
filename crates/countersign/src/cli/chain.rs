//! The chain that a client presents, from a file and as a file.

use std::path::Path;

use countersign_types::observation::Der;
use countersign_verify::{certificate::holds_private_key, presented::Presented};
use data_encoding::BASE64;

use super::input::read_pem;
use crate::failure::{CommandResult, Doing, Failure};

/// How many characters of base64 a line of PEM has (RFC 7468 section 2).
const LINE: usize = 64;

/// The certificates of a PEM file, leaf first. A key beside them must not leave the machine.
pub(super) fn read(file: &Path) -> CommandResult<Vec<Der>> {
    parse(&read_pem(file)?, &format!("`{}`", file.display()))
}

/// The same from text that stands somewhere else.
pub(super) fn parse(text: &str, shown: &str) -> CommandResult<Vec<Der>> {
    if holds_private_key(text) {
        return Err(Failure::new(format_args!(
            "{shown} holds a private key; nothing was sent"
        ))
        .hint("give the client's certificates alone, leaf first"));
    }
    let presented = Presented::from_pem(text.trim_start_matches('\u{feff}'));
    let presented = presented.doing(format_args!("read the chain in {shown}"))?;
    let Some(leaf) = presented.leaf() else {
        return Err(
            Failure::new(format_args!("{shown} holds no PEM certificate"))
                .hint("give the PEM of the client's certificate, followed by its intermediates"),
        );
    };
    let all = std::iter::once(leaf).chain(presented.intermediates());
    Ok(all.map(|der| Der(der.to_vec())).collect())
}

/// The chain as PEM.
pub(super) fn pem(chain: &[Der]) -> String {
    let mut text = String::new();
    for Der(der) in chain {
        text += "-----BEGIN CERTIFICATE-----\n";
        let mut rest = BASE64.encode(der);
        while !rest.is_empty() {
            let more = rest.split_off(rest.len().min(LINE));
            text += &rest;
            text.push('\n');
            rest = more;
        }
        text += "-----END CERTIFICATE-----\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use countersign_testca::root;

    use super::*;

    #[test]
    fn a_chain_comes_back_as_it_was_and_a_key_is_never_part_of_it() {
        let ca = root("Example Root").mint();
        let text = ca.leaf("billing").mint().pem() + &ca.pem();
        let chain = parse(&text, "it").unwrap();
        assert_eq!(chain.len(), 2);
        assert_eq!(parse(&pem(&chain), "it").unwrap(), chain);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let refused = parse(&(text + key), "it").unwrap_err().to_string();
        assert!(refused.contains("holds a private key"), "{refused}");
        assert!(parse("", "it").is_err());
    }
}
