//! From the text of a policy, a condition or a transformation to a program.

use super::{
    check,
    error::{PolicyError, Refusal},
    language::Language,
    lexer, limits, parser,
    program::Expr,
};

/// A program, and the most that one evaluation can cost.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) program: Expr,
    pub(super) cost: u64,
}

/// Compiles a text, or says where and why it cannot be.
pub(super) fn compile(text: &str, language: Language) -> Result<Compiled, PolicyError> {
    try_compile(text, language).map_err(|refusal| refusal.locate(text, language.noun()))
}

fn try_compile(text: &str, language: Language) -> Result<Compiled, Refusal> {
    let noun = language.noun();
    if text.len() > limits::MAX_POLICY_BYTES {
        let message = format!(
            "the {noun} has {} bytes, more than {}",
            text.len(),
            limits::MAX_POLICY_BYTES
        );
        return Err(Refusal::new(0, message));
    }
    // No text of a certificate that has one can match (`facts::Text`), a person does not see it,
    // and one of the databases cannot store U+0000. White space is the lexer's.
    let stray = |(_, c): &(usize, char)| c.is_control() && !lexer::is_blank(*c);
    if let Some((at, c)) = text.char_indices().find(stray) {
        let message = format!(
            "the {noun} contains the control character U+{:04X}",
            u32::from(c)
        );
        return Err(Refusal::new(at, message).suggest("remove it"));
    }
    if text.trim().is_empty() {
        let message = format!("the {noun} is empty");
        return Err(Refusal::new(0, message).suggest(language.about_empty()));
    }
    let (program, cost) = check::check(&parser::parse(text)?, language)?;
    Ok(Compiled { program, cost })
}
