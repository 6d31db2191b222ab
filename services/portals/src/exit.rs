//! How a command ends: exit codes by `sysexits.h`, one line on stderr.
//!
//! It knows nothing of what went wrong but the sentence and the code.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The call was refused or failed: 1.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The command line or the configuration is wrong: 64, `EX_USAGE`.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 64, message: message.into() }
    }

    /// A service cannot be reached: 69, `EX_UNAVAILABLE`.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 69, message: message.into() }
    }

    /// A part of the process ended that should not have: 70, `EX_SOFTWARE`.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: 70, message: message.into() }
    }

    /// The system gave no socket, thread or file: 71, `EX_OSERR`.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self { code: 71, message: message.into() }
    }

    /// A room says itself with which code it ends.
    pub(crate) fn with_code(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Says it in one line on stderr and gives the exit code.
    #[expect(clippy::print_stderr, reason = "this is the command line's own last word")]
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("portals: {self}");
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message.replace('\n', " "))
    }
}

/// Prints to stdout; a reader that has gone away wants no more.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
