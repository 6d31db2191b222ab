//! A schema as it was parsed, and what of it is there twice.

use apollo_compiler::{
    Node,
    ast::{Definition, Document},
};
use std::{collections::HashSet, hash::Hash};

/// Leaves of the fields and values of one definition that share a name the first.
pub(super) fn keep_first(document: &mut Document) {
    use Definition as D;
    for definition in &mut document.definitions {
        match definition {
            D::ObjectTypeDefinition(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::ObjectTypeExtension(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::InterfaceTypeDefinition(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::InterfaceTypeExtension(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::InputObjectTypeDefinition(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::InputObjectTypeExtension(node) => first(node, |node| &mut node.fields, |field| &field.name),
            D::EnumTypeDefinition(node) => first(node, |node| &mut node.values, |value| &value.value),
            D::EnumTypeExtension(node) => first(node, |node| &mut node.values, |value| &value.value),
            D::OperationDefinition(_)
            | D::FragmentDefinition(_)
            | D::DirectiveDefinition(_)
            | D::SchemaDefinition(_)
            | D::SchemaExtension(_)
            | D::ScalarTypeDefinition(_)
            | D::ScalarTypeExtension(_)
            | D::UnionTypeDefinition(_)
            | D::UnionTypeExtension(_) => {}
        }
    }
}

fn first<Kind: Clone, Member, Name: Clone + Eq + Hash>(
    node: &mut Node<Kind>,
    members: impl Fn(&mut Kind) -> &mut Vec<Node<Member>>,
    name: impl Fn(&Member) -> &Name,
) {
    let mut seen = HashSet::new();
    members(node.make_mut()).retain(|member| seen.insert(name(member).clone()));
}

/// Whether a document defines a directive.
pub(super) fn defines_directive(document: &Document, name: &str) -> bool {
    document.definitions.iter().any(|definition| match definition {
        Definition::DirectiveDefinition(directive) => directive.name == name,
        _ => false,
    })
}
