//! The `cel` crate is the oracle: on generated policies and leaves it must say what we say.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;

use crate::policy::{Attribute, LeafFacts, NameType, Policy};

/// Room for the oracle, which bounds neither its parser nor its evaluator.
const STACK: usize = 256 * 1024 * 1024;
const CASES: u32 = 2000;

/// A leaf, in the form that both sides can be given.
#[derive(Debug, Clone)]
struct Leaf {
    attributes: Vec<String>,
    names: Vec<(usize, String, String)>,
}

#[derive(Serialize)]
struct OracleName<'a> {
    r#type: &'a str,
    value: &'a str,
    oid: &'a str,
}

impl Leaf {
    fn ours(&self) -> LeafFacts {
        let facts = Attribute::ALL.iter().zip(&self.attributes).fold(
            LeafFacts::default(),
            |facts, (attribute, value)| match value.as_str() {
                "" => facts,
                value => facts.with_attribute(*attribute, value),
            },
        );
        self.names.iter().fold(facts, |facts, (kind, value, oid)| {
            facts.with_name(NameType::CONSTANTS[*kind].1, value, oid)
        })
    }

    fn oracle(&self, policy: &str) -> Result<bool, String> {
        let program = cel::Program::compile(policy).map_err(|error| error.to_string())?;
        let mut context = cel::Context::default();
        let names = Attribute::ALL.iter().map(|attribute| attribute.name());
        let subject: BTreeMap<_, _> = names.zip(&self.attributes).collect();
        context
            .add_variable("subject", cel::to_value(subject).unwrap())
            .unwrap();
        let names = self.names.iter().map(|(kind, value, oid)| OracleName {
            r#type: NameType::CONSTANTS[*kind].0,
            value,
            oid,
        });
        context
            .add_variable(
                "subject_alt_names",
                cel::to_value(names.collect::<Vec<_>>()).unwrap(),
            )
            .unwrap();
        for (constant, _) in NameType::CONSTANTS {
            context.add_variable(constant, constant).unwrap();
        }
        match program.execute(&context) {
            Ok(cel::Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!("yields {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Few different texts, so that comparisons are often true.
fn plain() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "ab", "ba", "a.b", "åb", "aab", "A"])
        .prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let names = prop::collection::vec((0..5_usize, plain(), plain()), 0..4);
    (prop::collection::vec(plain(), 8), names)
        .prop_map(|(attributes, names)| Leaf { attributes, names })
}

/// The variables in reach: their names, and whether each is a subject alternative name or an int.
type Scope = Vec<(String, bool)>;

fn with(scope: &Scope, is_name: bool) -> (String, Scope) {
    let variable = format!("v{}", scope.len());
    let mut scope = scope.clone();
    scope.push((variable.clone(), is_name));
    (variable, scope)
}

fn pick(scope: &Scope, is_name: bool) -> Vec<String> {
    scope
        .iter()
        .filter(|variable| variable.1 == is_name)
        .map(|variable| variable.0.clone())
        .collect()
}

/// `left operator right`, bare or in parentheses: precedence must agree too.
fn infix(
    operators: &'static [&'static str],
    left: BoxedStrategy<String>,
    right: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    (left, prop::sample::select(operators), right, any::<bool>())
        .prop_map(|(left, operator, right, bare)| {
            if bare {
                format!("{left} {operator} {right}")
            } else {
                format!("({left} {operator} {right})")
            }
        })
        .boxed()
}

fn text(depth: u32, scope: &Scope) -> BoxedStrategy<String> {
    let literal = plain().prop_map(|text| format!("{text:?}")).boxed();
    let attribute = prop::sample::select(Attribute::ALL.to_vec())
        .prop_map(|attribute| format!("subject.{}", attribute.name()))
        .boxed();
    let index = (0..3)
        .prop_map(|index| format!("subject_alt_names[{index}].value"))
        .boxed();
    let mut choices = vec![literal, attribute, index];
    let names = pick(scope, true);
    if !names.is_empty() {
        let fields = prop::sample::select(vec!["value", "oid"]);
        choices.push(
            (prop::sample::select(names), fields)
                .prop_map(|(name, field)| format!("{name}.{field}"))
                .boxed(),
        );
    }
    if depth > 0 {
        let below = text(depth - 1, scope);
        choices.push(
            (below.clone(), below.clone())
                .prop_map(|(a, b)| format!("({a} + {b})"))
                .boxed(),
        );
        choices.push(choose(bool(depth - 1, scope), below));
    }
    prop::strategy::Union::new(choices).boxed()
}

fn choose(condition: BoxedStrategy<String>, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    (condition, value.clone(), value)
        .prop_map(|(c, yes, no)| format!("(({c}) ? {yes} : {no})"))
        .boxed()
}

fn int(depth: u32, scope: &Scope) -> BoxedStrategy<String> {
    let numbers = vec![
        "0",
        "1",
        "2",
        "-1",
        "0x10",
        "9223372036854775807",
        "-9223372036854775808",
    ];
    let mut choices = vec![
        prop::sample::select(numbers)
            .prop_map(str::to_owned)
            .boxed(),
    ];
    let ints = pick(scope, false);
    if !ints.is_empty() {
        choices.push(prop::sample::select(ints).boxed());
    }
    if depth > 0 {
        let below = int(depth - 1, scope);
        choices.push(infix(
            &["+", "-", "*", "/", "%"],
            below.clone(),
            below.clone(),
        ));
        choices.push(
            below
                .clone()
                .prop_map(|value| format!("-({value})"))
                .boxed(),
        );
        choices.push(
            text(depth - 1, scope)
                .prop_map(|text| format!("size({text})"))
                .boxed(),
        );
        choices.push(
            names(depth - 1, scope)
                .prop_map(|names| format!("{names}.size()"))
                .boxed(),
        );
        choices.push(choose(bool(depth - 1, scope), below));
    }
    prop::strategy::Union::new(choices).boxed()
}

/// A list of subject alternative names.
fn names(depth: u32, scope: &Scope) -> BoxedStrategy<String> {
    let all = Just("subject_alt_names".to_owned()).boxed();
    if depth == 0 || scope.len() == 2 {
        return all;
    }
    let (variable, inner) = with(scope, true);
    let filtered = bool(depth - 1, &inner)
        .prop_map(move |body| format!("subject_alt_names.filter({variable}, {body})"));
    prop_oneof![all, filtered].boxed()
}

fn comprehension(depth: u32, scope: &Scope) -> BoxedStrategy<String> {
    let macros = || prop::sample::select(vec!["exists", "all", "exists_one"]);
    let (name, name_scope) = with(scope, true);
    let over_names = (names(depth, scope), macros(), bool(depth, &name_scope))
        .prop_map(move |(list, what, body)| format!("{list}.{what}({name}, {body})"));
    let (int_variable, int_scope) = with(scope, false);
    let over_ints = (
        int(depth, scope),
        int(depth, scope),
        macros(),
        bool(depth, &int_scope),
    )
        .prop_map(move |(a, b, what, body)| format!("[{a}, {b}].{what}({int_variable}, {body})"));
    prop_oneof![over_names, over_ints].boxed()
}

fn kind(scope: &Scope) -> BoxedStrategy<String> {
    let constants: Vec<_> = NameType::CONSTANTS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let types = pick(scope, true)
        .into_iter()
        .map(|name| format!("{name}.type"));
    let types = types.chain(["subject_alt_names[0].type".to_owned()]);
    prop_oneof![
        prop::sample::select(constants),
        prop::sample::select(types.collect::<Vec<_>>())
    ]
    .boxed()
}

fn bool(depth: u32, scope: &Scope) -> BoxedStrategy<String> {
    let literal = prop::sample::select(vec!["true", "false"])
        .prop_map(str::to_owned)
        .boxed();
    let kinds = infix(&["==", "!="], kind(scope), kind(scope));
    let mut choices = vec![literal, kinds];
    if depth > 0 {
        let below = depth - 1;
        let (bools, texts, ints) = (bool(below, scope), text(below, scope), int(below, scope));
        let patterns = prop::sample::select(vec!["^a", "b$", "a+b", "^(a|ab)*$", "[^a]", "^.b$"]);
        let tests = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
        let compared: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
        choices.extend([
            infix(&["&&", "||"], bools.clone(), bools.clone()),
            infix(&["&&", "||"], bools.clone(), bools.clone()),
            bools
                .clone()
                .prop_map(|value| format!("!({value})"))
                .boxed(),
            infix(
                &["==", "!="],
                bools.clone().prop_map(|b| format!("({b})")).boxed(),
                literal_bool(),
            ),
            choose(bools.clone(), bools),
            infix(compared, texts.clone(), texts.clone()),
            infix(compared, ints.clone(), ints.clone()),
            (ints.clone(), ints.clone(), ints)
                .prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]"))
                .boxed(),
            (texts.clone(), texts.clone(), texts.clone())
                .prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]"))
                .boxed(),
            (texts.clone(), tests, texts.clone())
                .prop_map(|(a, test, b)| format!("{a}.{test}({b})"))
                .boxed(),
            (texts, patterns)
                .prop_map(|(a, pattern)| format!("{a}.matches(\"{pattern}\")"))
                .boxed(),
        ]);
        if scope.len() < 2 {
            choices.push(comprehension(below, scope));
            choices.push(comprehension(below, scope));
        }
    }
    prop::strategy::Union::new(choices).boxed()
}

fn literal_bool() -> BoxedStrategy<String> {
    prop_oneof![Just("true".to_owned()), Just("false".to_owned())].boxed()
}

fn agree(policy: &str, leaf: &Leaf) -> Result<bool, TestCaseError> {
    let compiled = match Policy::compile(policy) {
        Ok(compiled) => compiled,
        // The limits are ours alone; everything else that is generated must compile.
        Err(error)
            if error.message.contains("more than")
                || error.message.contains("deeper")
                || error.message.contains("could cost") =>
        {
            return Ok(false);
        }
        Err(error) => return Err(TestCaseError::fail(format!("{policy}: {error}"))),
    };
    let ours = compiled.evaluate(&leaf.ours());
    let oracle = leaf.oracle(policy);
    prop_assert_eq!(
        ours.ok(),
        oracle.clone().ok(),
        "{} on {:?}: ours {:?}, oracle {:?}",
        policy,
        leaf,
        ours,
        oracle
    );
    Ok(ours.is_ok())
}

#[test]
fn the_oracle_agrees_on_generated_policies() {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(CASES));
        let answered = std::cell::Cell::new(0_u32);
        runner
            .run(&(bool(3, &Scope::new()), leaf()), |(policy, leaf)| {
                answered.set(answered.get() + u32::from(agree(&policy, &leaf)?));
                Ok(())
            })
            .unwrap();
        answered.get()
    });
    let answered = thread.unwrap().join().unwrap();
    assert!(
        answered > CASES / 2,
        "only {answered} of {CASES} gave an answer to compare"
    );
}
