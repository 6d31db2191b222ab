//! Makes the outline of a definition from the parser's tree, and from the tokens what the tree does not
//! keep: byte ends, where variables in values stand, and what an object has twice.
//!
//! It judges nothing but repeated names: what comes here has passed the parser.

use super::{
    OperationKind, Refusal, Type, extent,
    lex::{Kind, Token},
    limits,
    outline::{Body, Declaration, FragmentOutline, Name, OperationOutline, Outline, shown},
    plain::Plain,
};
use async_graphql_parser::{
    Pos, Positioned,
    types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
        Selection, SelectionSet, Type as Parsed, VariableDefinition,
    },
};
use std::ops::Range;

/// A definition that the parser has read.
pub(super) struct Reader<'s, 't> {
    source: &'s str,
    tokens: &'t [Token],
    plain: Plain,
    body: Body<'s>,
    outline: &'t mut Outline<'s>,
}

impl<'s, 't> Reader<'s, 't> {
    /// Reads for `outline` what `tokens` of `source` say, which were written as `plain`.
    pub(super) fn new(
        source: &'s str,
        tokens: &'t [Token],
        plain: Plain,
        outline: &'t mut Outline<'s>,
    ) -> Self {
        Self { source, tokens, plain, body: Body::default(), outline }
    }

    /// Adds the one definition of `tree` to the outline.
    pub(super) fn definition(mut self, tree: ExecutableDocument) {
        let start = self.start(0);
        self.body.span = start..self.tokens.last().map_or(start, |token| token.end);
        if let Some(fragment) = tree.fragments.into_values().next() {
            let name = self.name(1);
            self.selections(&fragment.node.directives, &fragment.node.selection_set.node);
            self.values(0);
            self.outline.fragments.push(FragmentOutline { name, body: self.body });
            return;
        }
        let (name, operation) = match tree.operations {
            DocumentOperations::Single(operation) => (Err(start), Some(operation)),
            DocumentOperations::Multiple(named) => (Ok(self.name(1)), named.into_values().next()),
        };
        let Some(Positioned { node: operation, .. }) = operation else { return };
        let kind = match operation.ty {
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Query | OperationType::Subscription => OperationKind::Query,
        };
        let within = extent::declarations(self.tokens);
        let declarations = self.declarations(&operation, &within);
        self.selections(&operation.directives, &operation.selection_set.node);
        self.values(within.end);
        let parentheses = self.bytes(&within);
        let operation = OperationOutline { kind, name, parentheses, declarations, body: self.body };
        self.outline.operations.push(operation);
    }

    fn declarations(
        &mut self,
        operation: &OperationDefinition,
        within: &Range<usize>,
    ) -> Vec<Declaration<'s>> {
        let variables = &operation.variable_definitions;
        let starts: Vec<_> = variables.iter().map(|variable| self.described(variable.pos)).collect();
        let ends = starts.iter().skip(1).copied().chain([within.end.saturating_sub(1)]);
        let indices = starts.iter().zip(ends).map(|(start, end)| *start..end);
        let declarations = variables.iter().zip(indices);
        let declarations: Vec<_> =
            declarations.map(|(variable, indices)| self.declaration(&variable.node, indices)).collect();
        self.once(declarations.iter().map(|declaration| declaration.name).collect(), "variable");
        declarations
    }

    /// Where the declaration with its `$` at `dollar` begins, with its description.
    fn described(&self, dollar: Pos) -> usize {
        let dollar = self.plain.token(dollar.column);
        let before = dollar.saturating_sub(1);
        if extent::describes(self.tokens, before) { before } else { dollar }
    }

    /// Reads the declaration whose tokens have these `indices`.
    fn declaration(&mut self, variable: &VariableDefinition, indices: Range<usize>) -> Declaration<'s> {
        let name = self.plain.token(variable.name.pos.column);
        let default = variable.default_value.as_ref().map(|value| self.plain.token(value.pos.column));
        for directive in &variable.directives {
            self.arguments(directive);
        }
        let span = self.bytes(&indices);
        Declaration {
            name: self.name(name),
            description: span.start..self.start(name.saturating_sub(1)),
            span,
            r#type: Type::from(&variable.var_type.node),
            default: default.and_then(|start| {
                self.source.get(self.bytes(&(start..extent::value_end(self.tokens, start))))
            }),
        }
    }

    fn selections(&mut self, directives: &[Positioned<Directive>], selections: &SelectionSet) {
        directives.iter().for_each(|directive| self.arguments(directive));
        for selection in &selections.items {
            self.body.selections += 1;
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let names = field.arguments.iter().map(|(name, _)| self.at(name.pos)).collect();
                    self.once(names, "argument");
                    self.selections(&field.directives, &field.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let name = self.at(spread.node.fragment_name.pos);
                    self.body.spreads.push(name);
                    self.selections(&spread.node.directives, &SelectionSet::default());
                }
                Selection::InlineFragment(inline) => {
                    self.selections(&inline.node.directives, &inline.node.selection_set.node);
                }
            }
        }
    }

    fn arguments(&mut self, directive: &Positioned<Directive>) {
        let names = directive.node.arguments.iter().map(|(name, _)| self.at(name.pos)).collect();
        self.once(names, "argument");
    }

    /// Reads what the tree does not keep of values: fields of one name, and where a variable stands.
    ///
    /// From `body` on, a variable is a use and no declaration.
    fn values(&mut self, body: usize) {
        let mut parentheses = 0_u32;
        let mut objects: Vec<Vec<Name<'s>>> = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            match token.kind {
                Kind::Punctuator(b'(') => parentheses += 1,
                Kind::Punctuator(b')') => parentheses = parentheses.saturating_sub(1),
                Kind::Punctuator(b'$') if index >= body => {
                    self.body.uses.push(Name { at: token.start, ..self.name(index + 1) });
                }
                Kind::Punctuator(b'{') if parentheses > 0 => objects.push(Vec::new()),
                Kind::Punctuator(b'}') if parentheses > 0 => {
                    self.once(objects.pop().unwrap_or_default(), "input field");
                }
                Kind::Name if extent::is(self.tokens, index + 1, b':') => {
                    if let Some(object) = objects.last_mut() {
                        object.push(Name { text: token.text(self.source), at: token.start });
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes each name that `names` has a second time.
    fn once(&mut self, mut names: Vec<Name<'s>>, thing: &str) {
        names.sort_unstable_by_key(|name| (name.text, name.at));
        for pair in names.windows(2) {
            if let [first, second] = pair
                && first.text == second.text
                && self.outline.repeated.len() < limits::PROBLEMS
            {
                let message = format!("there are two {thing}s `{}`", shown(second.text));
                self.outline.repeated.push(Refusal::new(second.at, message));
            }
        }
    }

    fn at(&self, pos: Pos) -> Name<'s> {
        self.name(self.plain.token(pos.column))
    }

    fn name(&self, index: usize) -> Name<'s> {
        Name {
            text: self.tokens.get(index).map_or("", |token| token.text(self.source)),
            at: self.start(index),
        }
    }

    /// Where the token at `index` starts.
    fn start(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(self.source.len(), |token| token.start)
    }

    /// The bytes from the first to the last token of `indices`.
    fn bytes(&self, indices: &Range<usize>) -> Range<usize> {
        let start = self.start(indices.start);
        let last = self.tokens.get(indices.clone()).and_then(<[Token]>::last);
        start..last.map_or(start, |token| token.end)
    }
}

impl Type {
    /// The type that `tokens` of `source` are, all of them.
    pub(super) fn read(source: &str, tokens: &[Token]) -> Option<Self> {
        let names = tokens.iter().filter(|token| token.kind == Kind::Name);
        let lists = tokens.iter().filter(|token| token.kind == Kind::Punctuator(b'[')).count();
        if names.count() != 1 || u32::try_from(lists).ok()? > limits::DEPTH {
            return None;
        }
        let text: String = tokens.iter().map(|token| token.text(source)).collect();
        let parsed = Parsed::new(&text)?;
        let mut innermost = &parsed;
        while let BaseType::List(item) = &innermost.base {
            innermost = item;
        }
        let BaseType::Named(name) = &innermost.base else { return None };
        // The parser takes anything for a name.
        tokens
            .iter()
            .any(|token| token.kind == Kind::Name && token.text(source) == name.as_str())
            .then(|| Self::from(&parsed))
    }
}

impl From<&Parsed> for Type {
    fn from(parsed: &Parsed) -> Self {
        let inner = match &parsed.base {
            BaseType::Named(name) => Self::Named(name.to_string()),
            BaseType::List(item) => Self::List(Box::new(Self::from(&**item))),
        };
        if parsed.nullable { inner } else { Self::NonNull(Box::new(inner)) }
    }
}
