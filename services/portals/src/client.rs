//! The commands that manage and call a running house over its public HTTP.
//!
//! They know what the API's documentation says and nothing else; its messages are shown as they are.

pub(crate) mod access_token;
pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod browser;
pub(crate) mod code;
pub(crate) mod invitation;
pub(crate) mod invoke;
pub(crate) mod issuer;
pub(crate) mod login;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod output;
pub(crate) mod portal;
pub(crate) mod restrictions;
pub(crate) mod secret;
pub(crate) mod sign_in;
pub(crate) mod token;
pub(crate) mod user;

use crate::exit::Failure;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{fs, io::Read};

/// The most bytes of a file or of stdin that a command sends.
const MAX_INPUT_BYTES: u64 = 8 << 20;

/// What does not stand for itself in a segment of a path: all but the unreserved (RFC 3986, section 2.3).
const NOT_IN_SEGMENTS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Runs a client's work on a runtime of its own.
pub(crate) fn run(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::system(format!("starting a runtime: {error}")))?
        .block_on(work)
}

/// What an argument names, as one segment of a path: whatever it holds, it leads to nothing else.
fn segment(name: &str) -> Result<String, Failure> {
    match name {
        // Who reads a path may leave these out or climb by them, written in whatever way.
        "" | "." | ".." => Err(Failure::usage(format!("`{name}` is nothing's name"))),
        _ => Ok(utf8_percent_encode(name, NOT_IN_SEGMENTS).to_string()),
    }
}

/// The text of an argument: itself, the content of `@FILE`, or stdin for `-`.
fn input(name: &str, argument: &str) -> Result<String, Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("{name}: reading `{argument}`: {error}"));
    let mut text = String::new();
    match argument.strip_prefix('@') {
        Some(path) => fs::File::open(path).map_err(wrong)?.take(MAX_INPUT_BYTES).read_to_string(&mut text),
        None if argument == "-" => std::io::stdin().lock().take(MAX_INPUT_BYTES).read_to_string(&mut text),
        None => return Ok(argument.to_owned()),
    }
    .map_err(wrong)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_one_segment_of_a_path_whatever_it_holds() {
        for (name, expected) in [
            ("my-organization", "my-organization"),
            ("acme/portals/victim", "acme%2Fportals%2Fvictim"),
            ("who?x=1", "who%3Fx%3D1"),
            ("who#x", "who%23x"),
            ("a b%2f\r\n", "a%20b%252f%0D%0A"),
            ("ü;.._~", "%C3%BC%3B.._~"),
        ] {
            assert_eq!(segment(name).ok().as_deref(), Some(expected));
        }
        for name in ["", ".", ".."] {
            assert!(segment(name).is_err(), "{name}");
        }
    }
}
