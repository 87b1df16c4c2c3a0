//! The configurations of `docs/decision-service.md`, as they stand there.

const PAGE: &str = include_str!("../../../../../docs/decision-service.md");

/// The first block in a language under a heading.
pub(super) fn block(heading: &str, language: &str) -> String {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// The same text with other paths and addresses; each of them must be there.
pub(super) fn filled(mut text: String, with: &[(&str, &str)]) -> String {
    for (documented, used) in with {
        assert!(
            text.contains(documented),
            "`{documented}` is not documented"
        );
        text = text.replace(documented, used);
    }
    text
}

/// The same text, so far indented.
pub(super) fn indented(text: &str, spaces: usize) -> String {
    let lines = text.lines();
    lines
        .map(|line| format!("{}{line}\n", " ".repeat(spaces)))
        .collect()
}

/// What the page sets for a door, as the gateway reads it.
#[test]
fn every_documented_door_is_one_that_a_gateway_reads() {
    use countersign_gateway::options::Decisions;
    #[derive(serde::Deserialize)]
    struct File {
        decisions: Vec<Decisions>,
    }
    let mut doors = 0;
    for part in PAGE.split("```toml\n").skip(1) {
        let text = part.split_once("```").unwrap().0;
        let file: File = toml::from_str(text).unwrap();
        assert!(file.decisions.iter().all(|each| each.asked_by.is_some()));
        doors += file.decisions.len();
    }
    assert_eq!(doors, 6);
}
