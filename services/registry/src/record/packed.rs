//! Records packed with LZ4, by a dictionary of what they often say: half the bytes on the disk, or less.

use lz4_flex::block::{
    DecompressError, compress_prepend_size_with_dict, decompress_size_prepended_with_dict,
};
use std::borrow::Cow;

/// What a packed record begins with; one that is not packed begins with a brace.
const PACKED_1: u8 = 1;

/// Whoever changes a letter of it can read no record that was packed before: another one is another format.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary.1.txt");

/// Packs a record, where that makes it smaller.
pub(super) fn pack(text: Vec<u8>) -> Vec<u8> {
    let packed = compress_prepend_size_with_dict(&text, DICTIONARY_1);
    if packed.len() + 1 < text.len() { [&[PACKED_1], packed.as_slice()].concat() } else { text }
}

/// What was given to [`pack`].
pub(super) fn unpack(stored: &[u8]) -> Result<Cow<'_, [u8]>, DecompressError> {
    match stored.strip_prefix(&[PACKED_1]) {
        Some(packed) => decompress_size_prepended_with_dict(packed, DICTIONARY_1).map(Cow::Owned),
        None => Ok(Cow::Borrowed(stored)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Fingerprint;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::{fs, path::Path};

    /// Packed when there was no other format, in hexadecimal. It must be readable for ever.
    const GOLDEN: &str = "014d0000000f180004f60a30313938653262342d376131302d376333652d396631612d3001001633e8\
        0180676f6c64656e227d";

    const DICTIONARY_1_SHA256: &str = "639544166b07e8010478a08e90511746e529557a8769a3bdf83abc4a99bdee86";

    #[test]
    fn what_was_packed_is_still_read() {
        let digits = GOLDEN.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let packed: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let text = r#"{"version":"1","uuid":"0198e2b4-7a10-7c3e-9f1a-000000000003","slug":"golden"}"#;
        assert_eq!(unpack(&packed).unwrap(), text.as_bytes());
        assert_eq!(Fingerprint::of(DICTIONARY_1).to_hex(), DICTIONARY_1_SHA256);
    }

    #[test]
    fn records_of_each_kind_come_back_and_take_less_than_half() {
        let (mut plain, mut packed) = (0, 0);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        for file in fs::read_dir(folder).unwrap() {
            let record: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
            let text = serde_json::to_vec(&record).unwrap();
            let stored = pack(text.clone());
            assert_eq!(unpack(&stored).unwrap(), text);
            plain += text.len();
            packed += stored.len();
        }
        assert!(plain > 10_000 && packed * 2 < plain, "{plain} bytes came to {packed}");
    }

    #[test]
    fn what_would_not_get_smaller_stays_as_it_is() {
        assert_eq!(pack(b"{}".to_vec()), b"{}");
        assert_eq!(unpack(b"{}").unwrap(), b"{}".as_slice());
        assert_eq!(pack(Vec::new()), b"");
    }

    proptest! {
        #[test]
        fn any_json_comes_back(text in "\\{(.|\"version\":\"1\"|ab){0,300}") {
            let stored = pack(text.clone().into_bytes());
            prop_assert!(stored.len() <= text.len());
            prop_assert_eq!(unpack(&stored).unwrap(), text.as_bytes());
        }

        #[test]
        fn what_was_never_packed_is_an_error_at_most(size in 0..10_000_u32, bytes: Vec<u8>) {
            let stored = [&[PACKED_1], size.to_le_bytes().as_slice(), &bytes].concat();
            let _ = unpack(&stored);
        }
    }
}
