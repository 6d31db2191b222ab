//! Takes a checked document apart into texts that can be sent alone.

use super::{
    Operation, Variable,
    outline::{OperationOutline, Outline},
    rules::Verdict,
};
use std::ops::Range;

/// The operations of `outline`, in its order.
pub(super) fn operations(source: &str, outline: &Outline<'_>, verdict: &Verdict) -> Vec<Operation> {
    let reached = verdict.fragments.iter().zip(&verdict.used);
    let operations = outline.operations.iter().zip(reached);
    operations
        .map(|(operation, (fragments, used))| Operation {
            name: operation.name.ok().map(|name| name.text.to_owned()),
            kind: operation.kind,
            source: without(source, &operation.body.span, &needless(operation, used)),
            fragments: fragments.iter().filter_map(|index| u32::try_from(index).ok()).collect(),
            variables: variables(operation, used),
        })
        .collect()
}

/// The source of each fragment of `outline`, without its description.
pub(super) fn fragments(source: &str, outline: &Outline<'_>) -> Vec<String> {
    outline.fragments.iter().map(|fragment| without(source, &fragment.body.span, &[])).collect()
}

fn variables(operation: &OperationOutline<'_>, used: &[bool]) -> Vec<Variable> {
    let declarations = operation.declarations.iter().zip(used);
    declarations
        .map(|(declaration, used)| Variable {
            name: declaration.name.text.to_owned(),
            r#type: declaration.r#type.clone(),
            default: declaration.default.map(str::to_owned),
            used: *used,
        })
        .collect()
}

/// The bytes that need not be sent: unused declarations, and descriptions, which some servers refuse.
fn needless(operation: &OperationOutline<'_>, used: &[bool]) -> Vec<Range<usize>> {
    if !used.contains(&true) {
        return vec![operation.parentheses.clone()];
    }
    let next = operation.declarations.iter().skip(1).map(|next| Some(next.span.start)).chain([None]);
    let declarations = operation.declarations.iter().zip(next).zip(used);
    declarations
        .map(|((declaration, next), used)| match used {
            true => declaration.description.clone(),
            // Up to the next one, so that no comma or line is left behind.
            false => declaration.span.start..next.unwrap_or(declaration.span.end),
        })
        .collect()
}

/// The bytes of `source` in `span` but for those in `gaps`, which ascend.
fn without(source: &str, span: &Range<usize>, gaps: &[Range<usize>]) -> String {
    let mut text = String::with_capacity(span.len());
    let mut from = span.start;
    for gap in gaps {
        text.push_str(source.get(from..gap.start).unwrap_or_default());
        from = gap.end;
    }
    text.push_str(source.get(from..span.end).unwrap_or_default());
    text
}
