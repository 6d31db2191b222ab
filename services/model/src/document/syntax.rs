//! Reads tokens by the grammar (GraphQL October 2021, 2.2 to 2.12) into an outline of the document.
//!
//! The outline holds what the rules ask for (names, spreads, uses of variables, and where they are) and
//! no tree: it is as small as its source. Recursion ends at `limits::DEPTH`. Descriptions on definitions
//! and variables, which came after October 2021, are read as the reference implementation does.

use super::{
    OperationKind, Refusal, Type,
    lex::{Kind, Token},
    limits,
};
use std::ops::Range;

/// A name and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'s> {
    pub(super) text: &'s str,
    pub(super) at: usize,
}

/// What an operation and a fragment have in common.
#[derive(Debug, Default)]
pub(super) struct Body<'s> {
    /// The bytes of the definition, without its description.
    pub(super) span: Range<usize>,
    /// Each use of a variable.
    pub(super) uses: Vec<Name<'s>>,
    /// Each fragment spread.
    pub(super) spreads: Vec<Name<'s>>,
    /// How many selections there are, a spread being one.
    pub(super) selections: u64,
}

#[derive(Debug)]
pub(super) struct OperationOutline<'s> {
    pub(super) kind: OperationKind,
    /// The name, or nothing and the place of the definition.
    pub(super) name: Result<Name<'s>, usize>,
    /// The bytes from `(` to `)` around the declarations.
    pub(super) parentheses: Range<usize>,
    pub(super) declarations: Vec<Declaration<'s>>,
    pub(super) body: Body<'s>,
}

/// The declaration of a variable.
#[derive(Debug)]
pub(super) struct Declaration<'s> {
    pub(super) name: Name<'s>,
    /// Its bytes with its description.
    pub(super) span: Range<usize>,
    /// The bytes of its description, up to the `$`.
    pub(super) description: Range<usize>,
    pub(super) r#type: Type,
    pub(super) default: Option<&'s str>,
}

#[derive(Debug)]
pub(super) struct FragmentOutline<'s> {
    pub(super) name: Name<'s>,
    pub(super) body: Body<'s>,
}

/// A document as it is written.
#[derive(Debug, Default)]
pub(super) struct Outline<'s> {
    pub(super) operations: Vec<OperationOutline<'s>>,
    pub(super) fragments: Vec<FragmentOutline<'s>>,
    /// Names that a list of arguments, of fields or of declarations has twice.
    pub(super) repeated: Vec<Refusal>,
}

/// Reads `tokens` of `source`.
pub(super) fn outline<'s>(source: &'s str, tokens: &[Token]) -> Result<Outline<'s>, Refusal> {
    let mut parser = Parser::new(source, tokens);
    parser.document()?;
    Ok(parser.outline)
}

/// Reads a type that stands alone.
pub(super) fn lone_type(source: &str, tokens: &[Token]) -> Option<Type> {
    let mut parser = Parser::new(source, tokens);
    let r#type = parser.r#type(0).ok()?;
    (parser.peek().kind == Kind::End).then_some(r#type)
}

const TYPE_SYSTEM: [&str; 9] =
    ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend"];

struct Parser<'s, 't> {
    source: &'s str,
    tokens: &'t [Token],
    at: usize,
    aliases: usize,
    directives: usize,
    body: Body<'s>,
    outline: Outline<'s>,
}

impl<'s, 't> Parser<'s, 't> {
    fn new(source: &'s str, tokens: &'t [Token]) -> Self {
        let (body, outline) = (Body::default(), Outline::default());
        Self { source, tokens, at: 0, aliases: 0, directives: 0, body, outline }
    }

    fn document(&mut self) -> Result<(), Refusal> {
        loop {
            self.definition()?;
            if self.peek().kind == Kind::End {
                return Ok(());
            }
        }
    }

    fn definition(&mut self) -> Result<(), Refusal> {
        let start = self.peek().start;
        let description = self.description();
        let token = self.peek();
        let at = token.start;
        self.body = Body::default();
        match (token.kind, self.text(token)) {
            (Kind::Punctuator(b'{'), _) if description.is_none() => {
                self.operation(at, OperationKind::Query, false)
            }
            (Kind::Punctuator(b'{'), _) => {
                Err(Refusal::new(at, "an operation with a description must begin with `query` or `mutation`"))
            }
            (Kind::Name, "query") => self.operation(at, OperationKind::Query, true),
            (Kind::Name, "mutation") => self.operation(at, OperationKind::Mutation, true),
            (Kind::Name, "subscription") => Err(Refusal::new(
                at,
                "a subscription cannot be stored: only queries and mutations can be called",
            )),
            (Kind::Name, "fragment") => self.fragment(at),
            (Kind::Name, word) if TYPE_SYSTEM.contains(&word) => {
                let message =
                    format!("`{word}` defines a schema: only operations and fragments can be stored");
                Err(Refusal::new(start, message))
            }
            (Kind::End, _) if self.at == 0 => Err(Refusal::new(at, "the document is empty")),
            _ => Err(self.expected("`query`, `mutation`, `fragment` or `{`")),
        }
    }

    fn operation(&mut self, at: usize, kind: OperationKind, keyword: bool) -> Result<(), Refusal> {
        if self.outline.operations.len() == limits::OPERATIONS {
            return Err(limits::exceeded(at, "operations", limits::OPERATIONS));
        }
        let mut name = Err(at);
        let (mut parentheses, mut declarations) = (at..at, Vec::new());
        if keyword {
            self.at += 1;
            if self.peek().kind == Kind::Name {
                name = Ok(self.name()?);
            }
            if self.peek().kind == Kind::Punctuator(b'(') {
                let start = self.peek().start;
                declarations = self.declarations()?;
                parentheses = start..self.previous_end();
            }
            self.directives(false)?;
        }
        self.selection_set(1)?;
        let body = self.finish(at);
        self.outline.operations.push(OperationOutline { kind, name, parentheses, declarations, body });
        Ok(())
    }

    fn fragment(&mut self, at: usize) -> Result<(), Refusal> {
        if self.outline.fragments.len() == limits::FRAGMENTS {
            return Err(limits::exceeded(at, "fragments", limits::FRAGMENTS));
        }
        self.at += 1;
        if self.is_word("on") {
            return Err(self.expected("a fragment's name, which cannot be `on`"));
        }
        let name = self.name()?;
        if !self.is_word("on") {
            return Err(self.expected("`on`"));
        }
        self.at += 1;
        self.name()?;
        self.directives(false)?;
        self.selection_set(1)?;
        let body = self.finish(at);
        self.outline.fragments.push(FragmentOutline { name, body });
        Ok(())
    }

    fn finish(&mut self, start: usize) -> Body<'s> {
        Body { span: start..self.previous_end(), ..std::mem::take(&mut self.body) }
    }

    fn declarations(&mut self) -> Result<Vec<Declaration<'s>>, Refusal> {
        self.punctuator(b'(')?;
        let mut declarations = Vec::new();
        loop {
            let start = self.peek().start;
            self.description();
            let description = start..self.peek().start;
            self.punctuator(b'$')?;
            let name = self.name()?;
            self.punctuator(b':')?;
            let r#type = self.r#type(0)?;
            let default = if self.skip(b'=') { Some(self.constant()?) } else { None };
            self.directives(true)?;
            let span = start..self.previous_end();
            declarations.push(Declaration { name, span, description, r#type, default });
            if self.skip(b')') {
                break;
            }
        }
        self.once(declarations.iter().map(|declaration| declaration.name).collect(), "variable");
        Ok(declarations)
    }

    fn constant(&mut self) -> Result<&'s str, Refusal> {
        let start = self.peek().start;
        self.value(true, 0)?;
        Ok(self.source.get(start..self.previous_end()).unwrap_or_default())
    }

    fn r#type(&mut self, depth: u32) -> Result<Type, Refusal> {
        let inner = if self.peek().kind == Kind::Punctuator(b'[') {
            self.within(depth + 1)?;
            self.at += 1;
            let item = self.r#type(depth + 1)?;
            self.punctuator(b']')?;
            Type::List(Box::new(item))
        } else if self.peek().kind == Kind::Name {
            Type::Named(self.name()?.text.to_owned())
        } else {
            return Err(self.expected("a type"));
        };
        Ok(if self.skip(b'!') { Type::NonNull(Box::new(inner)) } else { inner })
    }

    fn selection_set(&mut self, depth: u32) -> Result<(), Refusal> {
        if self.peek().kind == Kind::Punctuator(b'{') {
            self.within(depth)?;
        }
        self.punctuator(b'{')?;
        loop {
            if self.skip(b'.') {
                self.spread(depth)?
            } else {
                self.field(depth)?
            }
            if self.skip(b'}') {
                return Ok(());
            }
        }
    }

    fn field(&mut self, depth: u32) -> Result<(), Refusal> {
        self.body.selections += 1;
        let name = self.name()?;
        if self.skip(b':') {
            self.aliases += 1;
            if self.aliases > limits::ALIASES {
                return Err(limits::exceeded(name.at, "aliases", limits::ALIASES));
            }
            self.name()?;
        }
        self.arguments(false)?;
        self.directives(false)?;
        if self.peek().kind == Kind::Punctuator(b'{') { self.selection_set(depth + 1) } else { Ok(()) }
    }

    fn spread(&mut self, depth: u32) -> Result<(), Refusal> {
        self.body.selections += 1;
        if self.peek().kind == Kind::Name && !self.is_word("on") {
            let name = self.name()?;
            self.body.spreads.push(name);
            return self.directives(false);
        }
        if self.is_word("on") {
            self.at += 1;
            self.name()?;
        }
        self.directives(false)?;
        self.selection_set(depth + 1)
    }

    fn directives(&mut self, constant: bool) -> Result<(), Refusal> {
        while self.skip(b'@') {
            let name = self.name()?;
            self.directives += 1;
            if self.directives > limits::DIRECTIVES {
                return Err(limits::exceeded(name.at, "directives", limits::DIRECTIVES));
            }
            self.arguments(constant)?;
        }
        Ok(())
    }

    fn arguments(&mut self, constant: bool) -> Result<(), Refusal> {
        if self.skip(b'(') {
            let names = self.named_values(b')', constant, 0)?;
            if names.is_empty() {
                return Err(Refusal::new(self.previous_end() - 1, "expected an argument, found `)`"));
            }
            self.once(names, "argument");
        }
        Ok(())
    }

    fn named_values(&mut self, close: u8, constant: bool, depth: u32) -> Result<Vec<Name<'s>>, Refusal> {
        let mut names = Vec::new();
        while !self.skip(close) {
            names.push(self.name()?);
            self.punctuator(b':')?;
            self.value(constant, depth)?;
        }
        Ok(names)
    }

    fn value(&mut self, constant: bool, depth: u32) -> Result<(), Refusal> {
        let token = self.peek();
        self.at += 1;
        match token.kind {
            Kind::Int | Kind::Float | Kind::String | Kind::BlockString | Kind::Name => Ok(()),
            Kind::Punctuator(b'[') => {
                self.within_at(token.start, depth + 1)?;
                while !self.skip(b']') {
                    self.value(constant, depth + 1)?;
                }
                Ok(())
            }
            Kind::Punctuator(b'{') => {
                self.within_at(token.start, depth + 1)?;
                let names = self.named_values(b'}', constant, depth + 1)?;
                self.once(names, "input field");
                Ok(())
            }
            Kind::Punctuator(b'$') if constant => {
                Err(Refusal::new(token.start, "a variable cannot stand here: the value must be constant"))
            }
            Kind::Punctuator(b'$') => {
                let name = self.name()?;
                self.body.uses.push(Name { at: token.start, ..name });
                Ok(())
            }
            Kind::Punctuator(_) | Kind::End => {
                self.at -= 1;
                Err(self.expected("a value"))
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

    fn within(&self, depth: u32) -> Result<(), Refusal> {
        self.within_at(self.peek().start, depth)
    }

    fn within_at(&self, at: usize, depth: u32) -> Result<(), Refusal> {
        if depth <= limits::DEPTH {
            return Ok(());
        }
        Err(Refusal::new(at, format!("the document is nested more than {} deep", limits::DEPTH)))
    }

    fn peek(&self) -> Token {
        let end = self.source.len();
        self.tokens.get(self.at).copied().unwrap_or(Token { kind: Kind::End, start: end, end })
    }

    fn previous_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.end)
    }

    fn text(&self, token: Token) -> &'s str {
        self.source.get(token.start..token.end).unwrap_or_default()
    }

    fn is_word(&self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Name && self.text(token) == word
    }

    fn description(&mut self) -> Option<()> {
        matches!(self.peek().kind, Kind::String | Kind::BlockString).then(|| self.at += 1)
    }

    fn skip(&mut self, punctuator: u8) -> bool {
        let found = self.peek().kind == Kind::Punctuator(punctuator);
        self.at += usize::from(found);
        found
    }

    fn punctuator(&mut self, wanted: u8) -> Result<(), Refusal> {
        if self.skip(wanted) { Ok(()) } else { Err(self.expected(&format!("`{}`", char::from(wanted)))) }
    }

    fn name(&mut self) -> Result<Name<'s>, Refusal> {
        let token = self.peek();
        if token.kind != Kind::Name {
            return Err(self.expected("a name"));
        }
        self.at += 1;
        Ok(Name { text: self.text(token), at: token.start })
    }

    fn expected(&self, wanted: &str) -> Refusal {
        let token = self.peek();
        let message = match token.kind {
            Kind::End => format!("expected {wanted}, but the document ends here"),
            Kind::String | Kind::BlockString => format!("expected {wanted}, found a string"),
            _ => format!("expected {wanted}, found `{}`", shown(self.text(token))),
        };
        Refusal::new(token.start, message)
    }
}

/// A text, cut short where it is too long for a message.
pub(super) fn shown(text: &str) -> &str {
    text.char_indices().nth(64).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
