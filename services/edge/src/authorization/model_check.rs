//! The cache of grants against what it promises, step by step, with the time handed in.

use super::{
    Authorization, Key, Scope, Subjects,
    grants::{Grants, Lookup, Outdated},
};
use crate::{
    Config,
    rate::{Counters, Limits},
};
use model::{AllowedAddresses, Reason, Secret};
use proptest::prelude::*;
use proto::execute::SignedGrant;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};
use uuid::Uuid;

const STALENESS: Duration = Duration::from_secs(20);
const LIFE: Duration = Duration::from_secs(300);

fn key(number: u8) -> Key {
    Key([number.into(); 2])
}

/// Keys 0 and 1 are tokens of one portal, 2 of another of the same organization, 3 of another organization.
fn subjects(number: u8) -> Subjects {
    let uuid = |kind: u128, number: u8| Uuid::from_u128(kind + u128::from(number));
    let (organization, portal) = match number {
        0 | 1 => (0, 0),
        2 => (0, 1),
        _ => (1, 2),
    };
    Subjects { organization: uuid(100, organization), portal: uuid(200, portal), token: uuid(300, number) }
}

fn authorization(number: u8, store_revision: u64, asked: Instant) -> Arc<Authorization> {
    let subjects = subjects(number);
    Arc::new(Authorization {
        grant: Arc::new(SignedGrant::new(Secret::new(format!("grant {number} {store_revision}")))),
        subjects,
        allowed: AllowedAddresses::default(),
        counts_uses: false,
        token_allowed: None,
        rates: Counters::new(asked).rates(&subjects, Limits::default(), asked),
        timeout: Duration::from_secs(30),
        store_revision,
        asked,
        expires: asked + LIFE,
        withdrawn: AtomicBool::new(false),
    })
}

fn grants(base: Instant, change: impl FnOnce(&mut Config)) -> Grants {
    let mut config = Config { max_staleness: STALENESS, ..Config::new("", Secret::default()) };
    change(&mut config);
    Grants::new(&config, base)
}

fn insert(grants: &Grants, number: u8, revision: u64, now: Instant) -> Result<(), Outdated> {
    grants.insert(key(number), authorization(number, revision, now), grants.generation(), 0.5, now)
}

fn uses(grants: &Grants, number: u8, now: Instant) -> bool {
    matches!(grants.look_up(&key(number), now), Lookup::Use(_) | Lookup::UseAndAsk(_))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_withdrawal_drops_what_it_covers_and_nothing_else() {
    let base = Instant::now();
    for (scope, left) in [
        (Scope::Token(subjects(0).token), [false, true, true, true]),
        (Scope::Portal(subjects(0).portal), [false, false, true, true]),
        (Scope::Organization(subjects(0).organization), [false, false, false, true]),
        (Scope::Everything, [false; 4]),
    ] {
        let grants = grants(base, |_| {});
        grants.lease().extend(base + seconds(5));
        (0..4).for_each(|number| insert(&grants, number, 7, base).unwrap());
        grants.withdraw(8, scope);
        assert_eq!([0, 1, 2, 3].map(|number| uses(&grants, number, base)), left, "{scope:?}");
    }
}

#[test]
fn an_answer_that_a_withdrawal_overtook_is_not_taken_in() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.withdraw(8, Scope::Token(subjects(0).token));
    assert_eq!(insert(&grants, 0, 7, base), Err(Outdated));
    assert_eq!(insert(&grants, 0, 8, base), Ok(()));
    assert_eq!(insert(&grants, 1, 7, base), Ok(()));
}

#[test]
fn an_answer_that_is_older_than_what_is_remembered_is_not_taken_in() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    (10..2_000).for_each(|revision| grants.withdraw(revision, Scope::Token(Uuid::from_u128(9))));
    assert_eq!(insert(&grants, 0, 11, base), Err(Outdated));
    assert_eq!(insert(&grants, 0, 1_990, base), Ok(()));
}

#[test]
fn what_a_call_has_in_hand_is_known_to_be_withdrawn() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(5));
    let authorization = authorization(0, 7, base);
    grants.insert(key(0), Arc::clone(&authorization), grants.generation(), 0.5, base).unwrap();
    assert!(grants.hold(&authorization, base));
    assert!(!grants.hold(&authorization, base + seconds(5)), "the lease is over");
    grants.withdraw(8, Scope::Token(subjects(0).token));
    assert!(!grants.hold(&authorization, base));
}

#[test]
fn a_sleeping_process_wakes_up_without_a_lease() {
    let base = Instant::now();
    let grants = grants(base, |config| config.max_staleness = Duration::ZERO);
    grants.lease().extend(base + seconds(5));
    insert(&grants, 0, 7, base).unwrap();
    assert!(uses(&grants, 0, base + seconds(4)));
    assert!(!uses(&grants, 0, base + seconds(6)));
    assert!(grants.fallback(&key(0), base + seconds(6)).is_none());
}

#[test]
fn without_a_lease_grants_are_used_for_the_staleness_and_asked_for_once_a_second() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(5));
    insert(&grants, 0, 7, base).unwrap();
    let late = base + seconds(10);
    assert!(matches!(grants.look_up(&key(0), late), Lookup::UseAndAsk(_)));
    assert!(matches!(grants.look_up(&key(0), late + Duration::from_millis(900)), Lookup::Use(_)));
    assert!(matches!(grants.look_up(&key(0), late + seconds(1)), Lookup::UseAndAsk(_)));
    assert!(!uses(&grants, 0, base + seconds(25)));
    assert!(grants.fallback(&key(0), base + seconds(25)).is_none());
}

#[test]
fn after_a_gap_everything_is_asked_for_anew_and_kept_for_a_registry_that_is_away() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(5));
    insert(&grants, 0, 7, base).unwrap();
    insert(&grants, 1, 9, base).unwrap();
    grants.withdraw_all(9);
    grants.lease().extend(base + seconds(10));
    let now = base + seconds(6);
    assert!(matches!(grants.look_up(&key(0), now), Lookup::Ask));
    assert!(uses(&grants, 1, now), "it was read at that very revision");
    assert!(grants.fallback(&key(0), now).is_some());
    grants.lease().extend(base + seconds(100));
    assert!(grants.fallback(&key(0), base + seconds(25)).is_none(), "a later lease does not lengthen it");
    assert_eq!(insert(&grants, 0, 8, now), Err(Outdated));
    insert(&grants, 0, 9, now).unwrap();
    assert!(uses(&grants, 0, now));
}

#[test]
fn another_store_begins_with_nothing() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(5));
    grants.withdraw_all(100);
    insert(&grants, 0, 100, base).unwrap();
    let before = grants.generation();
    grants.withdraw_all(3);
    assert!(matches!(grants.look_up(&key(0), base), Lookup::Ask));
    assert!(grants.fallback(&key(0), base).is_none());
    assert_eq!(grants.insert(key(0), authorization(0, 101, base), before, 0.5, base), Err(Outdated));
    insert(&grants, 0, 3, base).unwrap();
}

#[test]
fn a_refusal_is_remembered_for_a_second_and_ends_what_was_granted() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(5));
    insert(&grants, 0, 7, base).unwrap();
    grants.refuse(key(0), Reason::Forbidden, base);
    assert!(matches!(grants.look_up(&key(0), base), Lookup::Refused(Reason::Forbidden)));
    assert!(matches!(grants.look_up(&key(0), base + seconds(1)), Lookup::Ask));
}

#[test]
fn from_half_time_on_a_grant_is_asked_for_while_it_is_used() {
    let base = Instant::now();
    let grants = grants(base, |_| {});
    grants.lease().extend(base + seconds(1_000));
    insert(&grants, 0, 7, base).unwrap();
    assert!(matches!(grants.look_up(&key(0), base + seconds(149)), Lookup::Use(_)));
    assert!(matches!(grants.look_up(&key(0), base + seconds(150)), Lookup::UseAndAsk(_)));
    assert!(matches!(grants.look_up(&key(0), base + seconds(300)), Lookup::Ask));
}

#[test]
fn the_cache_stays_within_its_bounds_and_keeps_what_is_used() {
    let base = Instant::now();
    let grants = grants(base, |config| config.max_grants = 64);
    grants.lease().extend(base + seconds(5));
    let keys: Vec<_> = (0..4_000u16).map(|number| Key([number.into(); 2])).collect();
    for key in &keys {
        grants.insert(*key, authorization(0, 7, base), 0, 0.5, base).unwrap();
        assert!(matches!(grants.look_up(&keys[0], base), Lookup::Use(_)), "the one that is used stays");
    }
    let kept = keys.iter().filter(|key| matches!(grants.look_up(key, base), Lookup::Use(_))).count();
    assert!(kept <= 64, "{kept}");
    let bytes = |config: &mut Config| config.max_grant_bytes = 0;
    let grants = self::grants(base, bytes);
    insert(&grants, 0, 7, base).unwrap();
    assert!(!uses(&grants, 0, base));
}

#[derive(Clone, Debug)]
enum Step {
    /// An answer that was read so many revisions ago.
    Answer(u8, u64),
    Refuse(u8),
    Withdraw(u8, u8),
    WithdrawAll,
    Renew,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 0..4u64).prop_map(|(number, age)| Step::Answer(number, age)),
        1 => (0..4u8).prop_map(Step::Refuse),
        2 => (0..4u8, 0..4u8).prop_map(|(number, scope)| Step::Withdraw(number, scope)),
        1 => Just(Step::WithdrawAll),
        2 => Just(Step::Renew),
        3 => (0..9_000u64).prop_map(Step::Pass),
    ]
}

/// What has happened, told in full: slow and plain.
#[derive(Debug, Default)]
struct History {
    withdrawn: Vec<(u64, Scope)>,
    floors: Vec<(u64, Option<Instant>)>,
    answers: Vec<(u8, u64, Instant)>,
    lease: Option<Instant>,
}

impl History {
    /// Whether an answer may be used at `now` without asking.
    fn may_use(&self, (number, revision, asked): (u8, u64, Instant), now: Instant) -> bool {
        let covered =
            |(withdrawn, scope): &(u64, Scope)| revision < *withdrawn && scope.covers(&subjects(number));
        if self.withdrawn.iter().any(covered) || now >= asked + LIFE {
            return false;
        }
        let leased = self.lease.is_some_and(|until| now < until);
        let gap = self.floors.iter().find(|(floor, _)| revision < *floor);
        match gap {
            None if leased => true,
            Some(_) if leased => false,
            None => now < self.lease.map_or(asked, |until| until.max(asked)) + STALENESS,
            Some((_, until)) => now < until.map_or(asked, |until| until.max(asked)) + STALENESS,
        }
    }
}

proptest! {
    #[test]
    fn the_cache_keeps_its_promises(steps in prop::collection::vec(step(), 1..60)) {
        let base = Instant::now();
        let grants = grants(base, |_| {});
        let (mut now, mut revision, mut history) = (base, 10, History::default());
        for step in steps {
            match step {
                Step::Answer(number, age) => {
                    let read = revision - age;
                    let taken = insert(&grants, number, read, now);
                    let outdated = history.withdrawn.iter().any(|(withdrawn, scope)| {
                        read < *withdrawn && scope.covers(&subjects(number))
                    }) || history.floors.iter().any(|(floor, _)| read < *floor);
                    prop_assert_eq!(taken.is_err(), outdated);
                    let newer = |(other, kept, _): &(u8, u64, Instant)| *other == number && *kept > read;
                    if !outdated && !history.answers.iter().any(newer) {
                        history.answers.retain(|(other, ..)| *other != number);
                        history.answers.push((number, read, now));
                    }
                }
                Step::Refuse(number) => {
                    grants.refuse(key(number), Reason::Unauthenticated, now);
                    history.answers.retain(|(other, ..)| *other != number);
                }
                Step::Withdraw(number, scope) => {
                    revision += 1;
                    let subjects = subjects(number);
                    let scope = match scope {
                        0 => Scope::Organization(subjects.organization),
                        1 => Scope::Portal(subjects.portal),
                        _ => Scope::Token(subjects.token),
                    };
                    grants.withdraw(revision, scope);
                    history.withdrawn.push((revision, scope));
                    let gone = |number, read| read < revision && scope.covers(&self::subjects(number));
                    history.answers.retain(|(number, read, _)| !gone(*number, *read));
                }
                Step::WithdrawAll => {
                    grants.withdraw_all(revision);
                    history.floors.push((revision, history.lease));
                }
                Step::Renew => {
                    grants.lease().extend(now + seconds(5));
                    history.lease = Some(now + seconds(5));
                }
                Step::Pass(ms) => now += Duration::from_millis(ms),
            }
            for number in 0..4 {
                let kept = history.answers.iter().find(|(other, ..)| *other == number);
                let expected = kept.is_some_and(|kept| history.may_use(*kept, now));
                prop_assert_eq!(uses(&grants, number, now), expected, "key {}", number);
            }
        }
    }
}
