//! Looks for secrets where none may be.

use memchr::memmem;
use std::{fs, path::Path, sync::Mutex};

/// Every secret that a house was given or has made.
#[derive(Default)]
pub struct Secrets(Mutex<Vec<String>>);

impl Secrets {
    /// Remembers one more.
    pub fn add(&self, secret: impl Into<String>) {
        self.0.lock().expect("no test panics while it holds this").push(secret.into());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().expect("no test panics while it holds this").len()
    }

    /// Fails the test if one of them lies in `bytes`.
    ///
    /// # Panics
    ///
    /// When one is found, naming the place and not the secret.
    pub fn assert_absent_in(&self, place: &str, bytes: &[u8]) {
        for (at, secret) in self.0.lock().expect("no test panics while it holds this").iter().enumerate() {
            let found = memmem::find(bytes, secret.as_bytes());
            if let Some(offset) = found {
                let from = offset.saturating_sub(300);
                let around = String::from_utf8_lossy(bytes.get(from..offset).unwrap_or_default());
                assert!(found.is_none(), "secret {at} lies in {place} at byte {offset}, after: {around}");
            }
        }
    }

    /// Fails the test if one of them lies in a file below `folder`.
    ///
    /// # Panics
    ///
    /// When one is found, naming the place and not the secret; or a file cannot be read.
    pub fn assert_absent_below(&self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                self.assert_absent_below(&path);
            } else if path.is_file() {
                let bytes = fs::read(&path).expect("its files can be read");
                self.assert_absent_in(&path.display().to_string(), &bytes);
            }
        }
    }
}
