//! Codes against a model: whatever is done in whatever order at whatever time, both say the same.

use super::{Approval, Asked, Codes, INTERVAL, LEEWAY, LIFE, MAX_OF_PLACE, MEMORY, Made, Phase, Spent};
use crate::{
    caller::Origin,
    change::Author,
    record::{Actor, ActorKind},
};
use model::{Fault, Fingerprint, Reason, UserCode};
use proptest::prelude::*;
use std::{
    collections::HashSet,
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;

/// What somebody does; codes are told by the number of their making, and that of one not made yet is nobody's.
#[derive(Clone, Debug)]
enum Deed {
    Make { portal: u8, place: u8 },
    Spend { code: usize, named: Named },
    PutBack,
    Decide { code: usize, decision: Choice },
    See { code: usize },
    Wait { ms: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Named {
    No,
    Right,
    Wrong,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    Authorize,
    Deny,
    Abandon,
}

/// A code as the model knows it.
struct Known {
    secret: Fingerprint,
    typed: UserCode,
    made: Duration,
    told_pending: Option<Duration>,
    phase: Expected,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    Waiting,
    Authorized,
    Denied,
    Spent,
}

#[derive(Default)]
struct Model {
    now: Duration,
    known: Vec<Known>,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let code = || 0_usize..6;
    let named = prop_oneof![Just(Named::No), Just(Named::Right), Just(Named::Wrong)];
    let choice = prop_oneof![Just(Choice::Authorize), Just(Choice::Deny), Just(Choice::Abandon)];
    // Around every time that means something, and any other.
    let wait =
        prop_oneof![0..10_u64, 4_400..5_100_u64, 0..60_000_u64, 290_000..310_000_u64, 590_000..610_000_u64];
    let deed = prop_oneof![
        3 => (0..2_u8, 0..2_u8).prop_map(|(portal, place)| Deed::Make { portal, place }),
        6 => (code(), named).prop_map(|(code, named)| Deed::Spend { code, named }),
        1 => Just(Deed::PutBack),
        4 => (code(), choice).prop_map(|(code, decision)| Deed::Decide { code, decision }),
        2 => code().prop_map(|code| Deed::See { code }),
        3 => wait.prop_map(|ms| Deed::Wait { ms }),
    ];
    prop::collection::vec(deed, 0..60)
}

fn asked(portal: u8, place: u8) -> Asked {
    let uuid = |byte| Uuid::from_bytes([byte; 16]);
    let origin = Origin { address: Some([192, 0, 2, place].into()), request_id: None };
    Asked { organization: uuid(9), portal: uuid(portal), origin }
}

fn approval() -> Approval {
    let actor = Actor { r#type: ActorKind::User, uuid: Uuid::nil(), name: String::new() };
    let author = Author { actor, origin: Origin::default() };
    let (user, membership) = (Uuid::nil(), Uuid::nil());
    Approval { author, user, membership, invokable_since: 0, document_revision: 1 }
}

fn stranger() -> (Fingerprint, UserCode) {
    (Fingerprint::of(b"nobody's"), "BBBB-BBBB".parse().unwrap())
}

impl Model {
    fn age(&self, known: &Known) -> Duration {
        self.now - known.made
    }

    /// What a question for a token is answered; long after its end a code may be forgotten, or not yet.
    fn spend(&mut self, code: usize, named: Named) -> Vec<Option<Reason>> {
        let now = self.now;
        let Some(known) = self.known.get_mut(code) else { return vec![Some(Reason::InvalidGrant)] };
        let age = now - known.made;
        if known.phase == Expected::Spent || matches!(named, Named::Wrong) {
            return vec![Some(Reason::InvalidGrant)];
        }
        if age >= LIFE {
            let forgotten = (age >= MEMORY).then_some(Some(Reason::InvalidGrant));
            return [Some(Reason::ExpiredToken)].into_iter().chain(forgotten).collect();
        }
        match known.phase {
            Expected::Spent => vec![Some(Reason::InvalidGrant)],
            Expected::Denied => vec![Some(Reason::AccessDenied)],
            Expected::Authorized => {
                known.phase = Expected::Spent;
                vec![None]
            }
            Expected::Waiting if known.told_pending.is_some_and(|last| now - last < INTERVAL - LEEWAY) => {
                vec![Some(Reason::SlowDown)]
            }
            Expected::Waiting => {
                known.told_pending = Some(now);
                vec![Some(Reason::AuthorizationPending)]
            }
        }
    }

    fn decide(&mut self, code: usize, choice: Choice) -> Option<Reason> {
        let now = self.now;
        let known = self.known.get_mut(code).filter(|known| known.phase != Expected::Spent);
        let Some(known) = known.filter(|known| now - known.made < LIFE) else {
            return Some(Reason::NotFound);
        };
        if known.phase != Expected::Waiting {
            return Some(Reason::Conflict);
        }
        known.phase = match choice {
            Choice::Authorize => Expected::Authorized,
            Choice::Deny => Expected::Denied,
            Choice::Abandon => Expected::Waiting,
        };
        None
    }

    fn see(&self, code: usize) -> Option<Expected> {
        let known = self.known.get(code)?;
        (self.age(known) < LIFE && known.phase != Expected::Spent).then_some(known.phase)
    }
}

fn decide(codes: &Codes, typed: UserCode, now: Instant, choice: Choice) -> Result<(), Fault> {
    let decision = codes.decide(typed, now)?;
    let other = codes.decide(typed, now);
    assert_eq!(
        other.err().map(|fault| fault.reason()),
        Some(Reason::Conflict),
        "somebody is about to decide"
    );
    match choice {
        Choice::Authorize => decision.authorize(approval()),
        Choice::Deny => decision.deny(),
        Choice::Abandon => drop(decision),
    }
    Ok(())
}

/// What is counted is what is there.
fn check_counts(codes: &Codes) {
    let known = codes.lock();
    let sum =
        |counts: Vec<u32>| counts.into_iter().map(|count| usize::try_from(count).unwrap()).sum::<usize>();
    assert_eq!(known.typed.len(), known.codes.len());
    assert_eq!(sum(known.of_portals.values().copied().collect()), known.codes.len());
    assert_eq!(sum(known.of_places.values().copied().collect()), known.codes.len());
    let ordered: HashSet<_> = known.order.iter().map(|(_, secret)| *secret).collect();
    assert!(known.codes.keys().all(|secret| ordered.contains(secret)));
    assert_eq!(ordered.len(), known.order.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_code_gives_one_token_to_whom_it_was_approved_for_and_nothing_to_anybody_else(deeds in deeds()) {
        let (codes, mut model) = (Codes::default(), Model::default());
        let start = Instant::now();
        let mut spent: Option<(usize, Spent)> = None;
        for deed in deeds {
            let now = start + model.now;
            let at = |code: usize, model: &Model| {
                model.known.get(code).map_or_else(stranger, |known| (known.secret, known.typed))
            };
            match deed {
                Deed::Make { portal, place } => {
                    let made = codes.make(asked(portal, place), (now, SystemTime::UNIX_EPOCH + model.now));
                    let Made { code: typed, secret, .. } = made.unwrap();
                    let (secret, made, phase) = (secret.fingerprint(), model.now, Expected::Waiting);
                    model.known.push(Known { secret, typed, made, told_pending: None, phase });
                }
                Deed::Spend { code, named } => {
                    let (secret, typed) = at(code, &model);
                    let named_code = match named {
                        Named::No => None,
                        Named::Right => Some(typed),
                        Named::Wrong => Some("CCCC-CCCC".parse().unwrap()),
                    };
                    let answer = codes.spend(&secret, named_code, now);
                    let expected = model.spend(code, named);
                    let said = answer.as_ref().err().map(Fault::reason);
                    prop_assert!(expected.contains(&said), "{:?} instead of {:?}", said, expected);
                    if let Ok(taken) = answer {
                        taken.stays_out();
                        spent = Some((code, taken));
                    }
                }
                Deed::PutBack => {
                    if let Some((code, taken)) = spent.take() {
                        taken.put_back();
                        model.known[code].phase = Expected::Authorized;
                    }
                }
                Deed::Decide { code, decision } => {
                    let said = decide(&codes, at(code, &model).1, now, decision).err();
                    prop_assert_eq!(said.map(|fault| fault.reason()), model.decide(code, decision));
                }
                Deed::See { code } => {
                    let seen = codes.seen(at(code, &model).1, now).map(|seen| match seen.phase {
                        Phase::Waiting | Phase::Deciding => Expected::Waiting,
                        Phase::Authorized(_) => Expected::Authorized,
                        Phase::Denied => Expected::Denied,
                    });
                    prop_assert_eq!(seen, model.see(code));
                }
                Deed::Wait { ms } => model.now += Duration::from_millis(ms),
            }
            check_counts(&codes);
        }
    }
}

#[test]
fn memory_is_bounded_by_place_and_portal_and_codes_of_before_make_room() {
    let codes = Codes::default();
    let start = Instant::now();
    let make = |place: u8, now: Instant| codes.make(asked(0, place), (now, SystemTime::UNIX_EPOCH));
    for _ in 0..MAX_OF_PLACE {
        make(1, start).unwrap();
    }
    assert_eq!(make(1, start).err().map(|fault| fault.reason()), Some(Reason::RateLimited));
    make(2, start).unwrap();
    for place in 3..11 {
        for _ in 0..MAX_OF_PLACE {
            make(place, start).unwrap();
        }
    }
    for _ in 0..MAX_OF_PLACE - 1 {
        make(11, start).unwrap();
    }
    let fault = make(12, start).err().unwrap();
    assert_eq!(fault.reason(), Reason::RateLimited);
    assert!(fault.message().contains("portal"), "{fault}");
    let others = |now| codes.make(asked(1, 13), (now, SystemTime::UNIX_EPOCH));
    others(start).unwrap();
    make(1, start + MEMORY).unwrap();
    assert_eq!(codes.lock().codes.len(), 1, "what has been over for long is forgotten");
    check_counts(&codes);
}

#[test]
fn a_code_that_nothing_has_come_of_is_there_again_and_one_of_which_a_token_may_have_is_not() {
    let codes = Codes::default();
    let now = Instant::now();
    let made = codes.make(asked(0, 0), (now, SystemTime::UNIX_EPOCH)).unwrap();
    let secret = made.secret.fingerprint();
    codes.decide(made.code, now).unwrap().authorize(approval());
    for _ in 0..3 {
        drop(codes.spend(&secret, None, now).unwrap());
    }
    check_counts(&codes);
    let spent = codes.spend(&secret, None, now).unwrap();
    spent.stays_out();
    drop(spent);
    let gone = codes.spend(&secret, None, now).err().map(|fault| fault.reason());
    assert_eq!(gone, Some(Reason::InvalidGrant));
}
