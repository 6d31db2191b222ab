//! Secrets that an operator gives, and the key that is made where none is given.
//!
//! A secret comes by flag, by environment, or by a file of its own; it is never printed, not even when it is wrong.

use crate::{
    cli::given::{Given, Twin, winner},
    exit::Failure,
};
use model::{Secret, key::Keyring};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The name of the generated key's file in the data directory.
pub(crate) const KEY_FILE: &str = "secret-key";
/// The store's folder in the data directory: what lies there cannot be read without its key.
const STORE: &str = "store";
/// The most bytes of a file with a secret.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How many characters an operator's own token or key has.
const OPERATORS_CHARS: std::ops::RangeInclusive<usize> = 32..=256;

/// The secret of a flag: given itself, or in a file, or not at all; a flag wins over a variable.
pub(crate) fn read(
    flag: &str,
    given: Option<Given<Secret>>,
    file: Option<Given<PathBuf>>,
) -> Result<Option<Secret>, Failure> {
    match winner(given, file) {
        Twin::Both => {
            Err(Failure::usage(format!("--{flag} and --{flag}-file (or their variables) are both given")))
        }
        Twin::This(given) if given.is_empty() => Err(Failure::usage(format!("--{flag} is empty"))),
        Twin::This(given) => Ok(Some(given)),
        Twin::That(path) => read_file(flag, &path).map(Some),
        Twin::Neither => Ok(None),
    }
}

/// Reads a file with a secret, without the line end.
fn read_file(flag: &str, path: &Path) -> Result<Secret, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("--{flag}-file: reading `{}`: {why}", path.display()))
    };
    let mut text = String::new();
    let mut file = File::open(path).map_err(|error| wrong(&error))?.take(MAX_FILE_BYTES);
    file.read_to_string(&mut text).map_err(|error| wrong(&error))?;
    let trimmed = Secret::new(text.trim_end_matches(['\r', '\n']));
    drop(Secret::new(text));
    if trimmed.is_empty() { Err(wrong(&"it is empty")) } else { Ok(trimmed) }
}

/// Checks a token or key of the operator's own making.
pub(crate) fn operators(flag: &str, secret: Secret) -> Result<Secret, Failure> {
    let text = secret.expose();
    if OPERATORS_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret);
    }
    Err(Failure::usage(format!("--{flag}: expected 32 to 256 visible ASCII characters")))
}

/// Reads a keyring that was given.
pub(crate) fn keyring(secret: &Secret) -> Result<Keyring, Failure> {
    Keyring::parse(secret).map_err(|error| Failure::usage(format!("--secret-key: {error}")))
}

/// The keyring of the data directory: the one that lies there, or a new one.
pub(crate) fn keyring_in(data_dir: &Path) -> Result<Keyring, Failure> {
    let path = data_dir.join(KEY_FILE);
    match File::open(&path) {
        Ok(file) => read_key(&path, file),
        Err(error) if error.kind() == ErrorKind::NotFound => make_key(data_dir, &path),
        Err(error) => Err(Failure::usage(format!("opening `{}`: {error}", path.display()))),
    }
}

fn read_key(path: &Path, file: File) -> Result<Keyring, Failure> {
    let wrong =
        |why: &dyn std::fmt::Display| Failure::usage(format!("the key in `{}`: {why}", path.display()));
    let mode = file.metadata().map_err(|error| wrong(&error))?.mode();
    if mode & 0o007 != 0 {
        return Err(wrong(&"others may read or write it; `chmod 600` it, and think of it as known to them"));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    let secret = Secret::new(text.trim_end());
    drop(Secret::new(text));
    Keyring::parse(&secret).map_err(|error| wrong(&error))
}

/// Makes a key that is either there as a whole, on disk, or not at all.
fn make_key(data_dir: &Path, path: &Path) -> Result<Keyring, Failure> {
    let wrong =
        |error: std::io::Error| Failure::with_code(78, format!("making `{}`: {error}", path.display()));
    fs::create_dir_all(data_dir).map_err(wrong)?;
    if fs::read_dir(data_dir).map_err(wrong)?.flatten().any(|entry| entry.file_name() == STORE) {
        return Err(Failure::usage(format!(
            "`{}` holds a store but no key: give its --secret-key",
            data_dir.display()
        )));
    }
    let secret = Keyring::generate();
    let draft = data_dir.join(format!(".{KEY_FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(wrong)?;
    let written = file
        .write_all(secret.expose().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        // A link, unlike a rename, does not replace the key of somebody who was quicker.
        .and_then(|()| fs::hard_link(&draft, path));
    // What is left of the draft is of no use to anybody.
    let _gone = fs::remove_file(&draft);
    match written {
        Ok(()) => {
            File::open(data_dir).and_then(|folder| folder.sync_all()).map_err(wrong)?;
            keyring(&secret)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read_key(path, File::open(path).map_err(wrong)?)
        }
        Err(error) => Err(wrong(error)),
    }
}
