//! Forged, truncated, bit-flipped and re-signed tokens: none is taken.
//!
//! `PORTALS_TEST_FORGERIES` says how many are tried.

use super::{
    issuing::{Published, Signing, claims},
    tests::trust,
    *,
};
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::{
    prelude::{Strategy, any},
    strategy::ValueTree,
    test_runner::TestRunner,
};

const TRIED: usize = 5_000;

#[derive(Clone, Debug)]
enum Forgery {
    Flip { at: usize, bit: u8 },
    Cut { to: usize },
    Insert { at: usize, byte: u8 },
    Swap { one: usize, other: usize },
}

fn forgery() -> impl Strategy<Value = Forgery> {
    proptest::prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Forgery::Flip { at, bit }),
        any::<usize>().prop_map(|to| Forgery::Cut { to }),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Forgery::Insert { at, byte }),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Forgery::Swap { one, other }),
    ]
}

impl Forgery {
    /// The token with this done to it; nothing where that leaves it the same, or is no text.
    fn of(self, token: &str) -> Option<String> {
        let mut bytes = token.as_bytes().to_vec();
        let length = bytes.len();
        match self {
            Self::Flip { at, bit } => bytes[at % length] ^= 1 << bit,
            Self::Cut { to } => bytes.truncate(to % length),
            Self::Insert { at, byte } => bytes.insert(at % length, byte),
            Self::Swap { one, other } => bytes.swap(one % length, other % length),
        }
        String::from_utf8(bytes).ok().filter(|forged| forged != token)
    }
}

#[tokio::test]
async fn no_forged_truncated_or_bit_flipped_token_is_taken() {
    let tried = std::env::var("PORTALS_TEST_FORGERIES").ok().map_or(TRIED, |tried| tried.parse().unwrap());
    let now = SystemTime::now();
    let keys = [Signing::new("one", Algorithm::ES256), Signing::new("two", Algorithm::RS256)];
    let issuers = Issuers::new(Published::new(&[&keys[0], &keys[1]]));
    let trusts = [((), trust(&[("ref", "*")]))];
    let tokens = keys.each_ref().map(|key| key.sign(&claims(now)));
    for token in &tokens {
        verify(&issuers, token, &trusts, now).await.unwrap();
    }
    let (mut runner, strategy) = (TestRunner::deterministic(), forgery());
    let mut forged = 0;
    while forged < tried {
        let tree = strategy.new_tree(&mut runner).unwrap();
        let Some(token) = tree.current().of(&tokens[forged % 2]) else { continue };
        forged += 1;
        let taken = verify(&issuers, &token, &trusts, now).await;
        assert!(taken.is_err(), "{:?} was taken", tree.current());
    }
}

#[tokio::test]
async fn a_token_that_somebody_else_has_signed_is_not_taken() {
    let now = SystemTime::now();
    let (key, thief) = (Signing::new("one", Algorithm::RS256), Signing::new("one", Algorithm::RS256));
    let other_kind = Signing::new("one", Algorithm::ES256);
    let issuers = Issuers::new(Published::new(&[&key]));
    let trusts = [((), trust(&[("ref", "*")]))];
    let head =
        |alg: &str, more: &str| URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"one"{more}}}"#));
    let good = key.sign(&claims(now));
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // The public key taken for a shared secret, as a library may that goes by the header alone.
    let public = key.published().to_string();
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
    let confused = encode(&header, &claims(now), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    for token in [
        thief.sign(&claims(now)),
        other_kind.sign(&claims(now)),
        confused,
        format!("{}.{payload}.", head("none", "")),
        format!("{}.{payload}.{signature}", head("none", "")),
        format!("{}.{payload}.{signature}", head("RS384", "")),
        format!("{}.{payload}.{signature}", head("RS256", r#","crit":["exp"]"#)),
        format!("{good}.{signature}"),
        format!("{payload}.{signature}"),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(MAX_TOKEN_BYTES + 1),
    ] {
        assert!(verify(&issuers, &token, &trusts, now).await.is_err(), "{token}");
    }
}
