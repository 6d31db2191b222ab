//! The rules that a document must keep whatever schema its upstream has.

use super::{
    Refusal,
    graph::{Bits, Graph, Reach},
    limits,
    outline::{Body, OperationOutline, Outline, shown},
};
use std::collections::HashMap;

/// What the rules say of a document, and what its operations reach.
pub(super) struct Verdict {
    /// The rules that it breaks.
    pub(super) problems: Vec<Refusal>,
    /// What is allowed but worth a look.
    pub(super) warnings: Vec<Refusal>,
    /// For each operation, the fragments that it uses.
    pub(super) fragments: Vec<Bits>,
    /// For each operation, whether each of its variables is used.
    pub(super) used: Vec<Vec<bool>>,
}

/// Judges `outline`.
pub(super) fn judge(outline: &mut Outline<'_>) -> Verdict {
    let mut problems = std::mem::take(&mut outline.repeated);
    let outline = &*outline;
    operations(outline, &mut problems);
    fragments(outline, &mut problems);
    let (graph, cycles) = Graph::new(outline);
    for cycle in &cycles {
        let (spread, within) = (shown(cycle.spread.text), shown(cycle.within.text));
        let message = if spread == within {
            format!("fragment `{spread}` is used within itself")
        } else {
            format!("fragment `{spread}` is used within itself, by way of `{within}`")
        };
        problems.push(Refusal::new(cycle.spread.at, message));
    }
    let mut verdict = Verdict { problems, warnings: Vec::new(), fragments: Vec::new(), used: Vec::new() };
    if cycles.is_empty() {
        reaches(outline, &graph, &mut verdict);
    }
    verdict
}

fn operations(outline: &Outline<'_>, problems: &mut Vec<Refusal>) {
    if outline.operations.is_empty() {
        problems.push(Refusal::new(0, "the document has no operation: expected a query or a mutation"));
    }
    let mut names = HashMap::new();
    for operation in &outline.operations {
        match operation.name {
            Err(at) if outline.operations.len() > 1 => {
                let message = "an operation without a name must be the only one of its document";
                problems.push(Refusal::new(at, message));
            }
            Ok(name) if names.insert(name.text, name.at).is_some() => {
                problems
                    .push(Refusal::new(name.at, format!("there are two operations `{}`", shown(name.text))));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn fragments(outline: &Outline<'_>, problems: &mut Vec<Refusal>) {
    let mut names = HashMap::new();
    for fragment in &outline.fragments {
        if names.insert(fragment.name.text, fragment.name.at).is_some() {
            let message = format!("there are two fragments `{}`", shown(fragment.name.text));
            problems.push(Refusal::new(fragment.name.at, message));
        }
    }
    for spread in bodies(outline).flat_map(|body| &body.spreads) {
        if !names.contains_key(spread.text) {
            let message = format!("fragment `{}` is used but not defined", shown(spread.text));
            problems.push(Refusal::new(spread.at, message));
        }
    }
}

fn bodies<'o, 's>(outline: &'o Outline<'s>) -> impl Iterator<Item = &'o Body<'s>> {
    let operations = outline.operations.iter().map(|operation| &operation.body);
    operations.chain(outline.fragments.iter().map(|fragment| &fragment.body))
}

/// Follows the spreads of each operation, which must lead in no circle.
fn reaches(outline: &Outline<'_>, graph: &Graph<'_, '_>, verdict: &mut Verdict) {
    let mut reached = Bits::default();
    let mut selections: u64 = 0;
    for operation in &outline.operations {
        let reach = graph.reach(&operation.body);
        selections = selections.saturating_add(reach.selections);
        if selections > limits::EXPANDED {
            let message = format!(
                "the document has more than {} selections when each spread brings those of its fragment",
                limits::EXPANDED
            );
            verdict.problems.push(Refusal::new(operation.body.span.start, message));
            return;
        }
        undeclared(outline, graph, operation, &reach, &mut verdict.problems);
        let used = |name| graph.uses(&reach, name);
        verdict.used.push(operation.declarations.iter().map(|variable| used(variable.name.text)).collect());
        for variable in operation.declarations.iter().filter(|variable| !used(variable.name.text)) {
            let message = format!("variable `${}` is declared but never used", shown(variable.name.text));
            verdict.warnings.push(Refusal::new(variable.name.at.saturating_sub(1), message));
        }
        reached.join(&reach.fragments);
        verdict.fragments.push(reach.fragments);
    }
    for (index, fragment) in outline.fragments.iter().enumerate() {
        if !reached.contains(index) {
            let message = format!("fragment `{}` is never used", shown(fragment.name.text));
            verdict.warnings.push(Refusal::new(fragment.body.span.start, message));
        }
    }
}

/// Finds each variable that `operation` uses and does not declare, where it is first used.
fn undeclared(
    outline: &Outline<'_>,
    graph: &Graph<'_, '_>,
    operation: &OperationOutline<'_>,
    reach: &Reach,
    problems: &mut Vec<Refusal>,
) {
    let declared = operation.declarations.iter().map(|variable| variable.name.text);
    let mut told = graph.variables(declared);
    if problems.len() >= limits::PROBLEMS || !reach.variables.exceeds(&told) {
        return;
    }
    let through = reach.fragments.iter().filter_map(|index| outline.fragments.get(index));
    let bodies = std::iter::once(&operation.body).chain(through.map(|fragment| &fragment.body));
    for used in bodies.flat_map(|body| &body.uses) {
        let Some(index) = graph.variable(used.text) else { continue };
        if !told.contains(index) {
            told.insert(index);
            let name = shown(used.text);
            let message = match operation.name {
                Ok(operation) => {
                    format!(
                        "variable `${name}` is used but not declared by operation `{}`",
                        shown(operation.text)
                    )
                }
                Err(_) => format!("variable `${name}` is used but not declared"),
            };
            problems.push(Refusal::new(used.at, message));
        }
    }
}
