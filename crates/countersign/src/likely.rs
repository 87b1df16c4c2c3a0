//! Guesses what was meant by a word that is not known.

/// How alike two words must be for one to be suggested for the other: 1 is the same.
const ALIKE: f64 = 0.8;

/// The known word that is most like one that is not known, whatever its case, if one is like it or
/// begins with it.
pub(crate) fn likely<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    let scored = known.into_iter().map(|word| {
        let lower = word.to_lowercase();
        let begins = unknown.len() >= 3 && lower.starts_with(&unknown);
        let alike = if begins {
            0.99
        } else {
            strsim::jaro_winkler(&lower, &unknown)
        };
        (alike, word)
    });
    scored
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}
