//! What the tidy tests look at: the project's files and what cargo says of its crates.
//!
//! It knows nothing of what the program does, and starts none of it.

mod crates;
mod files;

pub use crates::{Crate, Dependency, Linked, crates, linked};
pub use files::{SourceFile, files, lines, read, root};
