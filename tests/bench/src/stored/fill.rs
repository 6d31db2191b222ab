//! Fills a registry over the public API, with so many calls at once that what they write becomes durable together.

use crate::{
    Failure,
    contender::Contender,
    load::Connection,
    request,
    shapes::{ADMIN_TOKEN, DOCUMENT, organization},
    upstream::{Answer, Upstream},
};
use serde_json::{Value, json};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// Over how many organizations portals are spread. An organization makes one change at a time.
pub(crate) const ORGANIZATIONS: u32 = 100;
const CONNECTIONS: u32 = 200;
/// What a registry that cannot keep up asks for.
const RETRY: Duration = Duration::from_secs(1);
const MAX_TRIES: u32 = 60;

/// What has been filled in: the token of each portal, by number.
#[derive(Default)]
pub(crate) struct Filled {
    tokens: Vec<String>,
}

/// The slugs of a portal and of its organization.
pub(crate) fn slugs(number: u32) -> (String, String) {
    (format!("o-{}", number % ORGANIZATIONS), format!("p-{number}"))
}

impl Filled {
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn token(&self, number: u32) -> Option<&str> {
        self.tokens.get(usize::try_from(number).ok()?).map(String::as_str)
    }

    /// Adds portals until there are so many, or it is too late; tells how many it has added in a second.
    pub(crate) async fn fill(
        &mut self,
        house: &Contender,
        upstream: &Upstream,
        portals: u32,
        deadline: Instant,
    ) -> Result<f64, Failure> {
        let before = self.count();
        if before == 0 {
            organizations(house, upstream).await?;
        }
        let began = Instant::now();
        let next = Arc::new(AtomicU32::new(before));
        let mut makers = JoinSet::new();
        for _ in 0..CONNECTIONS.min(portals.saturating_sub(before)) {
            let connection = Connection::open(house.address).await?;
            makers.spawn(make(connection, house.address, Arc::clone(&next), portals, deadline));
        }
        let mut made = Vec::new();
        while let Some(ended) = makers.join_next().await {
            made.extend(ended??);
        }
        // Every number that was taken has been made, so that none is left out.
        made.sort_unstable();
        self.tokens.extend(made.into_iter().map(|(_, token)| token));
        Ok(f64::from(self.count() - before) / began.elapsed().as_secs_f64())
    }
}

async fn organizations(house: &Contender, upstream: &Upstream) -> Result<(), Failure> {
    let mut connection = Connection::open(house.address).await?;
    for number in 0..ORGANIZATIONS {
        let (slug, _) = slugs(number);
        let body = organization(&slug, upstream, Answer::Small);
        create(&mut connection, house.address, "/v2/organizations", &body).await?;
    }
    Ok(())
}

/// Makes one portal after the other, each with the next number that nobody has taken.
async fn make(
    mut connection: Connection,
    address: SocketAddr,
    next: Arc<AtomicU32>,
    portals: u32,
    deadline: Instant,
) -> io::Result<Vec<(u32, String)>> {
    let mut made = Vec::new();
    while Instant::now() < deadline {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= portals {
            break;
        }
        let (organization, slug) = slugs(number);
        let path = format!("/v2/organizations/{organization}/portals");
        let body = json!({"name": slug, "slug": slug, "query": DOCUMENT});
        let answer = create(&mut connection, address, &path, &body).await?;
        let token = answer.get("token").and_then(Value::as_str).unwrap_or_default();
        made.push((number, token.to_owned()));
    }
    Ok(made)
}

async fn create(
    connection: &mut Connection,
    address: SocketAddr,
    path: &str,
    body: &Value,
) -> io::Result<Value> {
    let request = request::write("POST", path, address, &request::bearer(ADMIN_TOKEN), &body.to_string());
    let mut tries = 0;
    loop {
        tries += 1;
        match connection.call(&request).await? {
            201 => break,
            // More wait to be written than the disk takes just now.
            503 if tries < MAX_TRIES => sleep(RETRY).await,
            _ => return Err(io::Error::other(String::from_utf8_lossy(&connection.last).into_owned())),
        }
    }
    serde_json::from_slice(&request::body(&connection.last).unwrap_or_default()).map_err(io::Error::other)
}
