//! A server's text, as an error may repeat it.

use countersign_types::secret::Secret;

/// The most characters of a server's text that an error includes.
const MAX_MESSAGE_CHARACTERS: usize = 2000;

/// A server's text, made safe for a terminal and a log: one line, without control characters,
/// truncated, without the key and without anything after a PEM header.
pub(crate) fn presentable(text: &str, key: &Secret) -> String {
    let hidden = match key.reveal() {
        "" => text.to_owned(),
        key => text.replace(key, "[the key]"),
    };
    let printable: String = without_pem(&hidden)
        .chars()
        .map(|each| if each.is_control() { ' ' } else { each })
        .collect();
    let words: Vec<&str> = printable.split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .take(MAX_MESSAGE_CHARACTERS)
        .collect()
}

/// A text up to its first PEM block. A header alone in backticks is advice, not a block.
fn without_pem(text: &str) -> &str {
    let is_block = |at: usize| {
        let label = text
            .get(at..)
            .and_then(|rest| rest.strip_prefix("-----BEGIN"));
        let after = label.and_then(|label| label.split_once("-----"));
        !after.is_some_and(|(_, after)| after.starts_with('`'))
    };
    let mut headers = text.match_indices("-----BEGIN").map(|(at, _)| at);
    let block = headers.find(|at| is_block(*at));
    block.and_then(|at| text.get(..at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_and_none_hides_nothing() {
        let shown = |key| presentable("not sk-a\u{1b} but another", &Secret::new(key));
        assert_eq!(shown("sk-a"), "not [the key] but another");
        assert_eq!(shown(""), "not sk-a but another");
    }

    #[test]
    fn advice_that_names_a_header_is_kept_and_a_block_is_not() {
        let advice = "send the block from `-----BEGIN CERTIFICATE-----` on";
        assert_eq!(without_pem(advice), advice);
        for block in [
            "-----BEGIN A-----\nMII",
            "-----BEGIN A----- MII",
            "-----BEGIN A",
            "-----BEGIN",
        ] {
            assert_eq!(
                without_pem(&format!("{advice}: {block}")),
                format!("{advice}: ")
            );
        }
    }
}
