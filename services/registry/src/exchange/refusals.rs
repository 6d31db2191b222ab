//! Refused exchanges on record, as far as they name a portal: noted on the way of a call, written beside it.
//!
//! A stranger needs no more than a portal's name to be refused. So what is written is bounded, what waits is bounded,
//! and the answer neither waits for it nor tells by its time whether there is such a portal.

use super::Wanted;
use crate::{
    caller::Origin,
    change::{Author, Draft, Happening, Plan},
    record::{Actor, ActorKind, Moment},
    registry::Shared,
};
use metrics::counter;
use model::{Fault, Reason, fault::Chain};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::Weak,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// How many refusals wait to be written.
const QUEUE: usize = 1_024;
/// How many are written in a window for one portal, and for all together.
const MAX_OF_PORTAL: u32 = 5;
const MAX_OF_ALL: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Takes note of refusals; shared by all calls.
pub(crate) struct Refusals(mpsc::Sender<Refusal>);

/// A refused exchange.
pub(crate) struct Refusal {
    organization: String,
    portal: String,
    grant_type: &'static str,
    reason: Reason,
    actor: Option<Actor>,
    origin: Origin,
    at: Moment,
}

/// What is written of a window.
#[derive(Default)]
struct Allowance {
    began: Option<Instant>,
    all: u32,
    of_portals: HashMap<Uuid, u32>,
}

impl Refusal {
    pub(super) fn new(
        wanted: Wanted<'_>,
        grant_type: &'static str,
        reason: Reason,
        actor: Option<Actor>,
    ) -> Self {
        let Wanted { organization, portal, origin, .. } = wanted;
        Self {
            organization: organization.to_owned(),
            portal: portal.to_owned(),
            grant_type,
            reason,
            actor,
            origin: origin.clone(),
            at: Moment::now(),
        }
    }
}

impl Refusals {
    /// What takes note, and what is to be written.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Refusal>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Notes a refusal, if there is room.
    pub(super) fn note(&self, refusal: Refusal) {
        if self.0.try_send(refusal).is_err() {
            passed_over();
        }
    }
}

/// Writes refusals until the registry is dropped.
pub(crate) async fn write(shared: Weak<Shared>, mut noted: mpsc::Receiver<Refusal>) {
    let mut allowance = Allowance::default();
    while let Some(refusal) = noted.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        if let Err(fault) = write_one(&shared, &mut allowance, refusal).await {
            tracing::warn!(error = %Chain(&fault), "a refusal is not on record");
        }
    }
}

/// Writes a refusal, where it names a portal and there is some of the allowance left.
async fn write_one(shared: &Shared, allowance: &mut Allowance, refusal: Refusal) -> Result<(), Fault> {
    let Refusal { organization, portal: slug, grant_type, reason, actor, origin, at } = refusal;
    let portal = match shared.catalog.organization_named(&organization)? {
        Some(owner) => shared.catalog.portal_named(owner.uuid, &slug)?,
        None => None,
    };
    let Some(portal) = portal else { return Ok(()) };
    if !allowance.take(portal.uuid, Instant::now()) {
        passed_over();
        return Ok(());
    }
    let nobody = || Actor { r#type: ActorKind::Nobody, uuid: Uuid::nil(), name: String::new() };
    let author = Author { actor: actor.unwrap_or_else(nobody), origin };
    let plan = || {
        let draft = Draft::of(&shared.catalog, &organization)?;
        let data = json!({"grant_type": grant_type, "reason": reason.code()});
        let happening = Happening {
            r#type: "PORTAL_TOKEN_REFUSED",
            subject: "portal",
            uuid: portal.uuid,
            name: &portal.name,
            data,
        };
        Ok(Plan::Write(draft.record(author.clone(), at, happening), ()))
    };
    shared.turns.change(&shared.catalog, &organization, plan).await.map(drop)
}

fn passed_over() {
    counter!("portals_registry_refusals_not_recorded_total").increment(1);
}

impl Allowance {
    /// Takes one for `portal`, if there is any left in this window.
    fn take(&mut self, portal: Uuid, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            *self = Self { began: Some(now), ..Self::default() };
        }
        if self.all >= MAX_OF_ALL {
            return false;
        }
        let of_portal = self.of_portals.entry(portal).or_default();
        if *of_portal >= MAX_OF_PORTAL {
            return false;
        }
        *of_portal += 1;
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_few_records_a_minute() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let one = Uuid::now_v7();
        let taken = (0..1_000).filter(|_| allowance.take(one, start)).count();
        assert_eq!(taken, 5);
        let taken = (0..1_000).filter(|_| allowance.take(Uuid::now_v7(), start)).count();
        assert_eq!(taken, 95);
        assert!(allowance.of_portals.len() <= 100);
        assert!(allowance.take(one, start + WINDOW));
    }
}
