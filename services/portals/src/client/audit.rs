//! `portals audit`: what was changed, and that it still says so.
//!
//! It computes every hash itself, and believes the house in nothing but what the events say.

use super::{api::Api, output, segment};
use crate::{
    cli::manage::{Audit, AuditAction},
    exit::{self, Failure},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::HashSet;

const COLUMNS: [&str; 5] = ["sequence", "occurred_at", "type", "actor.name", "subject.name"];

/// Runs it.
pub(crate) fn run(command: Audit) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            AuditAction::List { organization } => {
                output::table(&api, &api.list(&path(&organization)?).await?, &COLUMNS)
            }
            AuditAction::Verify { organization, head } => {
                let mut chain = Chain::default();
                api.each_page(&path(&organization)?, |page| {
                    page.iter().try_for_each(|event| chain.take(event)).map_err(Failure::refused)
                })
                .await?;
                let verdict = chain.verify(head.as_deref()).map_err(Failure::refused)?;
                say(&api, &verdict);
                Ok(())
            }
        }
    })
}

fn path(organization: &str) -> Result<String, Failure> {
    Ok(format!("/v2/organizations/{}/audit_events", segment(organization)?))
}

fn say(api: &Api, verdict: &Verdict) {
    let Verdict { bound, before, head } = verdict;
    if api.json {
        exit::print(&format!("{}\n", json!({"events": bound, "events_before": before, "head": head})));
        return;
    }
    let Some(head) = head else {
        return exit::print("there is no event to check\n");
    };
    exit::print(&format!("{bound} events are as they were written, the newest with the hash {head}\n"));
    if *before > 0 {
        exit::print(&format!("{before} older events are from before events were bound together\n"));
    }
}

/// The events of an organization, as far as they have been read.
#[derive(Debug, Default)]
struct Chain {
    links: Vec<Link>,
    /// Which events have no link.
    before: HashSet<String>,
}

/// What an event says of its place in the chain; its hash was computed here.
#[derive(Debug, Deserialize, Eq, PartialEq)]
struct Link {
    uuid: String,
    sequence: u64,
    previous_hash: Option<String>,
    hash: Option<String>,
}

/// What was found to hold.
#[derive(Debug, Eq, PartialEq)]
struct Verdict {
    bound: u64,
    before: u64,
    head: Option<String>,
}

impl Chain {
    /// Takes in an event, in whatever order they come.
    fn take(&mut self, event: &RawValue) -> Result<(), String> {
        let no_event = |_| "the list is not what this API says".to_owned();
        let event: Value = serde_json::from_str(event.get()).map_err(no_event)?;
        let link: Link = serde_json::from_value(event.clone()).map_err(no_event)?;
        let Some(hash) = &link.hash else {
            self.before.insert(link.uuid);
            return Ok(());
        };
        if *hash != proto::audit::hash(&event) {
            return Err(format!(
                "event {} ({}) was changed: it does not have the hash that it says",
                link.sequence, link.uuid
            ));
        }
        self.links.push(link);
        Ok(())
    }

    /// Whether the events are one chain without a gap, and `head` is in it.
    fn verify(mut self, head: Option<&str>) -> Result<Verdict, String> {
        self.links.sort_by_key(|link| link.sequence);
        // Pages move on while events are added, so the same one may have been on two of them.
        self.links.dedup();
        let before = u64::try_from(self.before.len()).unwrap_or(u64::MAX);
        let mut previous: Option<&Link> = None;
        for link in &self.links {
            let Link { uuid, sequence, previous_hash, .. } = link;
            let (expected, hash) = match previous {
                Some(previous) => (previous.sequence + 1, previous.hash.as_ref()),
                None => (before + 1, None),
            };
            if *sequence != expected {
                return Err(format!("event {expected} is missing before event {sequence} ({uuid})"));
            }
            if previous_hash.as_ref() != hash {
                return Err(format!("event {sequence} ({uuid}) does not follow the event before it"));
            }
            previous = Some(link);
        }
        let is_head = |link: &Link| link.hash.as_deref() == head;
        if let Some(head) = head.filter(|_| !self.links.iter().any(is_head)) {
            return Err(format!("no event has the hash {head}"));
        }
        let bound = u64::try_from(self.links.len()).unwrap_or(u64::MAX);
        Ok(Verdict { bound, before, head: self.links.pop().and_then(|newest| newest.hash) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three events that follow each other, the newest first as the API lists them.
    fn events() -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        for sequence in 1..=3 {
            let previous = events.last().map(|event| event["hash"].clone());
            let mut event = json!({"uuid": format!("u{sequence}"), "type": "PORTAL_UPDATED", "data": {"n": sequence},
                "sequence": sequence, "previous_hash": previous});
            event["hash"] = proto::audit::hash(&event).into();
            events.push(event);
        }
        events.reverse();
        events
    }

    fn verify(events: &[Value], head: Option<&str>) -> Result<Verdict, String> {
        let mut chain = Chain::default();
        for event in events {
            chain.take(&serde_json::value::to_raw_value(event).unwrap())?;
        }
        chain.verify(head)
    }

    #[test]
    fn a_chain_holds_until_something_in_it_is_changed() {
        let whole = events();
        let newest = whole[0]["hash"].as_str().unwrap();
        let verdict = Verdict { bound: 3, before: 0, head: Some(newest.to_owned()) };
        assert_eq!(verify(&whole, None).as_ref(), Ok(&verdict));
        assert_eq!(verify(&whole, whole[2]["hash"].as_str()).as_ref(), Ok(&verdict));
        let twice: Vec<_> = whole.iter().chain(&whole[..2]).cloned().collect();
        assert_eq!(verify(&twice, None).as_ref(), Ok(&verdict));

        let mut changed = whole.clone();
        changed[1]["data"]["n"] = json!(7);
        assert!(verify(&changed, None).unwrap_err().starts_with("event 2 (u2) was changed"));
        changed[1]["hash"] = proto::audit::hash(&changed[1]).into();
        assert_eq!(verify(&changed, None).unwrap_err(), "event 3 (u3) does not follow the event before it");
    }

    #[test]
    fn an_event_that_is_missing_is_missed_wherever_it_was() {
        let whole = events();
        let newest = whole[0]["hash"].as_str();
        assert_eq!(
            verify(&[whole[0].clone(), whole[2].clone()], None).unwrap_err(),
            "event 2 is missing before event 3 (u3)"
        );
        assert_eq!(verify(&whole[..2], None).unwrap_err(), "event 1 is missing before event 2 (u2)");
        assert!(verify(&whole[1..], None).is_ok(), "what is cut off at the end only a kept hash can tell");
        assert!(verify(&whole[1..], newest).unwrap_err().starts_with("no event has the hash"));
        assert_eq!(verify(&[], None), Ok(Verdict { bound: 0, before: 0, head: None }));
    }

    #[test]
    fn events_from_before_the_chain_are_counted_and_must_be_there() {
        let old = json!({"uuid": "u0", "type": "X", "sequence": 0, "previous_hash": null, "hash": null});
        let mut first = json!({"uuid": "u1", "sequence": 2, "previous_hash": null});
        first["hash"] = proto::audit::hash(&first).into();
        let verdict = verify(&[first.clone(), old], None).unwrap();
        assert_eq!((verdict.bound, verdict.before), (1, 1));
        assert_eq!(verify(&[first], None).unwrap_err(), "event 1 is missing before event 2 (u1)");
    }
}
