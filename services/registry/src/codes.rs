//! Codes that wait for a member to decide on them (RFC 8628): in memory alone, for each lives minutes, and whoever
//! waits for one asks again after a restart.
//!
//! It knows neither the store nor who may decide. The time is handed in. A stranger costs an entry of a bounded map.

mod decision;
#[cfg(test)]
mod model_check;

pub(crate) use decision::Decision;

use crate::{caller::Origin, change::Author, exchange::Place};
use metrics::gauge;
use model::{Bearer, BearerKind, Fault, Fingerprint, Reason, UserCode};
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;

/// How long a code lives.
pub(crate) const LIFE: Duration = Duration::from_secs(5 * 60);
/// The shortest time between two questions for a token.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// How much sooner than that a question may come in, for the way takes longer at one time than at another.
const LEEWAY: Duration = Duration::from_millis(500);
/// How long a code is remembered: after its life it is told that this is over.
const MEMORY: Duration = Duration::from_secs(10 * 60);
/// The most codes that are remembered: in all, of a portal, and asked for from one place.
const MAX_CODES: usize = 20_000;
const MAX_OF_PORTAL: u32 = 1_000;
const MAX_OF_PLACE: u32 = 100;
/// When whoever found no room may ask again.
const RETRY: Duration = Duration::from_secs(60);

/// The codes that somebody waits for; shared by all calls.
#[derive(Default)]
pub(crate) struct Codes(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the fingerprint of the secret that came with it.
    codes: HashMap<Fingerprint, Code>,
    /// Where a code is that a member types.
    typed: HashMap<UserCode, Fingerprint>,
    /// All that were made, the oldest first; those that are spent are no codes any more.
    order: VecDeque<(Instant, Fingerprint)>,
    of_portals: HashMap<Uuid, u32>,
    of_places: HashMap<Place, u32>,
}

/// What somebody asks a member for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) organization: Uuid,
    pub(crate) portal: Uuid,
    /// From where.
    pub(crate) origin: Origin,
}

/// A new code.
pub(crate) struct Made {
    pub(crate) code: UserCode,
    pub(crate) secret: Bearer,
    pub(crate) expires_at: SystemTime,
}

/// A code, as whoever decides on it sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) code: UserCode,
    pub(crate) asked: Asked,
    pub(crate) phase: Phase,
    pub(crate) made_at: SystemTime,
    pub(crate) expires_at: SystemTime,
}

/// How far a code has come.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Nobody has decided.
    Waiting,
    /// Somebody is about to.
    Deciding,
    Authorized(Box<Approval>),
    Denied,
}

/// What a member approved.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) author: Author,
    pub(crate) user: Uuid,
    pub(crate) membership: Uuid,
    /// Since which revision the portal gives tokens to members.
    pub(crate) invokable_since: u64,
    /// The revision with which the document was saved that was shown.
    pub(crate) document_revision: u64,
}

struct Code {
    typed: UserCode,
    asked: Asked,
    made: Instant,
    made_at: SystemTime,
    /// When it was last answered that nobody has decided yet.
    asked_again: Option<Instant>,
    phase: Phase,
}

/// A code that was taken out to be spent; dropped, it is put back, unless a token may have come of it.
pub(crate) struct Spent<'a> {
    codes: &'a Codes,
    taken: Option<(Fingerprint, Code)>,
    gone: AtomicBool,
    pub(crate) approval: Approval,
}

impl Spent<'_> {
    /// From now on it stays out: a token is being made, or what was approved has ended.
    pub(crate) fn stays_out(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// No token has come of it.
    pub(crate) fn put_back(self) {
        self.gone.store(false, Ordering::Relaxed);
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        if let Some((secret, code)) = self.taken.take().filter(|_| !self.gone.load(Ordering::Relaxed)) {
            self.codes.lock().put_back(secret, code);
        }
    }
}

impl Code {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < LIFE
    }

    fn seen(&self) -> Seen {
        Seen {
            code: self.typed,
            asked: self.asked.clone(),
            phase: self.phase.clone(),
            made_at: self.made_at,
            expires_at: self.made_at + LIFE,
        }
    }
}

impl Codes {
    /// Makes a code.
    ///
    /// # Errors
    ///
    /// RATE_LIMITED where too many of the portal or from that address are remembered, OVERLOADED where too many are.
    pub(crate) fn make(&self, asked: Asked, now: (Instant, SystemTime)) -> Result<Made, Fault> {
        let (now, made_at) = now;
        let mut known = self.lock();
        known.forget(now);
        known.check_room(&asked)?;
        let typed = loop {
            let typed = UserCode::generate();
            if !known.typed.contains_key(&typed) {
                break typed;
            }
        };
        let secret = Bearer::generate(BearerKind::DeviceCode);
        let code = Code { typed, asked, made: now, made_at, asked_again: None, phase: Phase::Waiting };
        known.order.push_back((now, secret.fingerprint()));
        known.put(secret.fingerprint(), code);
        Ok(Made { code: typed, secret, expires_at: made_at + LIFE })
    }

    /// What the code is for that came with that secret.
    pub(crate) fn asked(&self, secret: &Fingerprint) -> Option<Asked> {
        self.lock().codes.get(secret).map(|code| code.asked.clone())
    }

    /// Takes out a code that was approved, so that nobody else gets a token for it.
    ///
    /// # Errors
    ///
    /// INVALID_GRANT for one that is unknown, spent, or not that which is named; EXPIRED_TOKEN, ACCESS_DENIED,
    /// AUTHORIZATION_PENDING, and SLOW_DOWN for that within five seconds of the last such answer.
    pub(crate) fn spend(
        &self,
        secret: &Fingerprint,
        named: Option<UserCode>,
        now: Instant,
    ) -> Result<Spent<'_>, Fault> {
        let mut known = self.lock();
        let found = known.codes.get_mut(secret);
        let code = found.filter(|code| named.is_none_or(|named| named == code.typed)).ok_or_else(unknown)?;
        if !code.lives(now) {
            return Err(Fault::new(
                Reason::ExpiredToken,
                "the code's five minutes are over: ask for another",
            ));
        }
        let approval = match &code.phase {
            Phase::Waiting | Phase::Deciding => return Err(code.pending(now)),
            Phase::Denied => return Err(Fault::new(Reason::AccessDenied, "a member has denied the code")),
            Phase::Authorized(approval) => Approval::clone(approval),
        };
        let code = known.take(secret).ok_or_else(unknown)?;
        Ok(Spent { codes: self, taken: Some((*secret, code)), gone: AtomicBool::new(false), approval })
    }

    /// A live code that a member types.
    pub(crate) fn seen(&self, typed: UserCode, now: Instant) -> Option<Seen> {
        let known = self.lock();
        let code = known.codes.get(known.typed.get(&typed)?)?;
        code.lives(now).then(|| code.seen())
    }

    /// Begins to decide on a code; until that ends, nobody else does.
    ///
    /// # Errors
    ///
    /// NOT_FOUND for one that is unknown or over, CONFLICT for one that is decided on already, or about to be.
    pub(crate) fn decide(&self, typed: UserCode, now: Instant) -> Result<Decision<'_>, Fault> {
        let mut known = self.lock();
        let secret = known.typed.get(&typed).copied().ok_or_else(not_found)?;
        let code = known.codes.get_mut(&secret).filter(|code| code.lives(now)).ok_or_else(not_found)?;
        match code.phase {
            Phase::Waiting => code.phase = Phase::Deciding,
            Phase::Deciding | Phase::Authorized(_) | Phase::Denied => {
                return Err(Fault::new(Reason::Conflict, "the code is decided on already"));
            }
        }
        Ok(Decision::new(self, secret))
    }

    /// Sets how far a code has come, if it is still known.
    fn set(&self, secret: &Fingerprint, phase: Phase) {
        if let Some(code) = self.lock().codes.get_mut(secret) {
            code.phase = phase;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Code {
    /// That nobody has decided yet, or that this is asked too often.
    fn pending(&mut self, now: Instant) -> Fault {
        let since = self.asked_again.map(|last| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < INTERVAL - LEEWAY) {
            let message = "a token is asked for more often than every 5 seconds";
            return Fault::new(Reason::SlowDown, message);
        }
        self.asked_again = Some(now);
        Fault::new(Reason::AuthorizationPending, "no member has decided on the code yet")
    }
}

impl Known {
    fn check_room(&self, asked: &Asked) -> Result<(), Fault> {
        let full = |count: Option<&u32>, most: u32| count.is_some_and(|count| *count >= most);
        if full(self.of_places.get(&Place::of(asked.origin.address)), MAX_OF_PLACE) {
            return Err(too_many("too many codes were asked for from this address"));
        }
        if full(self.of_portals.get(&asked.portal), MAX_OF_PORTAL) {
            return Err(too_many("too many codes were asked for this portal"));
        }
        if self.codes.len() >= MAX_CODES {
            let message = "too many codes wait for a decision";
            return Err(Fault::new(Reason::Overloaded, message).retry_after(RETRY));
        }
        Ok(())
    }

    fn put(&mut self, secret: Fingerprint, code: Code) {
        *self.of_portals.entry(code.asked.portal).or_default() += 1;
        *self.of_places.entry(Place::of(code.asked.origin.address)).or_default() += 1;
        self.typed.insert(code.typed, secret);
        self.codes.insert(secret, code);
        self.measure();
    }

    fn put_back(&mut self, secret: Fingerprint, code: Code) {
        let mut as_old = self.order.iter().take_while(|(made, _)| *made <= code.made);
        // It was the oldest and is not in the order any more, or is still where it was.
        if !as_old.any(|(_, other)| *other == secret) {
            self.order.push_front((code.made, secret));
        }
        self.put(secret, code);
    }

    fn take(&mut self, secret: &Fingerprint) -> Option<Code> {
        let code = self.codes.remove(secret)?;
        self.typed.remove(&code.typed);
        one_less(&mut self.of_portals, code.asked.portal);
        one_less(&mut self.of_places, Place::of(code.asked.origin.address));
        self.measure();
        Some(code)
    }

    /// Forgets what has been over for long.
    fn forget(&mut self, now: Instant) {
        while let Some((made, secret)) = self.order.front().copied() {
            // One that is spent makes room at once, as long as it is the oldest.
            let is_over = now.saturating_duration_since(made) >= MEMORY || !self.codes.contains_key(&secret);
            if !is_over {
                break;
            }
            self.order.pop_front();
            self.take(&secret);
        }
    }

    fn measure(&self) {
        gauge!("portals_registry_codes").set(u32::try_from(self.codes.len()).map_or(f64::MAX, f64::from));
    }
}

fn one_less<Name: Eq + Hash>(counts: &mut HashMap<Name, u32>, name: Name) {
    if let Some(count) = counts.get_mut(&name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&name);
        }
    }
}

fn too_many(message: &'static str) -> Fault {
    Fault::new(Reason::RateLimited, message).retry_after(RETRY)
}

fn unknown() -> Fault {
    Fault::new(Reason::InvalidGrant, "the code is unknown, spent, or not for this portal")
}

pub(crate) fn not_found() -> Fault {
    Fault::new(Reason::NotFound, "No code found")
}
