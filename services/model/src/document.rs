//! A GraphQL document: measured, checked, and taken apart into operations that can be sent alone.

/// A document that passed every rule, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// Its operations, in the order of the source.
    pub operations: Vec<Operation>,
    /// The source of each fragment definition.
    pub fragments: Vec<String>,
    /// What is allowed but worth a look.
    pub warnings: Vec<Problem>,
}

/// Whether an operation reads or writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
}

/// One operation, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// Its name, unless it is anonymous.
    pub name: Option<String>,
    /// Whether it reads or writes.
    pub kind: OperationKind,
    /// Its source, without the declarations of variables that it never uses.
    pub source: String,
    /// The fragments that it uses, by their place in [`Document::fragments`], ascending.
    pub fragments: Vec<u32>,
    /// The variables that it declares, used or not.
    pub variables: Vec<Variable>,
}

/// A declared variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Its name, without `$`.
    pub name: String,
    /// Its type.
    pub r#type: Type,
    /// The default's source, where there is one.
    pub default: Option<String>,
    /// Whether the operation or a fragment of it uses it.
    pub used: bool,
}

/// A type as it is written in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Type {
    /// A name, such as `Int` or `BuildCreateInput`.
    Named(String),
    /// `[…]`.
    List(Box<Type>),
    /// `…!`.
    NonNull(Box<Type>),
}

/// A rule that a document breaks, or a warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Document {
    /// Measures, reads and checks `source`, and takes it apart.
    ///
    /// # Errors
    ///
    /// Every rule that it breaks.
    pub fn parse(_source: &str) -> Result<Self, Vec<Problem>> {
        Err(Vec::new())
    }
}

impl Operation {
    /// What is sent upstream.
    pub fn text(&self, fragments: &[String]) -> String {
        let mut text = self.source.clone();
        for index in &self.fragments {
            if let Some(fragment) = usize::try_from(*index).ok().and_then(|index| fragments.get(index)) {
                text.push('\n');
                text.push_str(fragment);
            }
        }
        text
    }
}

impl Type {
    /// Reads a type as GraphQL writes it.
    pub fn parse(_text: &str) -> Option<Self> {
        None
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => formatter.write_str(name),
            Self::List(item) => write!(formatter, "[{item}]"),
            Self::NonNull(inner) => write!(formatter, "{inner}!"),
        }
    }
}
