//! `--stored`: whether calls and management cost more the more portals there are.

mod fill;

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    cost,
    figures::{Latencies, mib, micros, millis},
    load::{self, Connection, Target},
    options::Options,
    request,
    shapes::{ADMIN_TOKEN, Limits, Shapes, VARIABLES},
};
use fill::Filled;
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

/// How many portals are called all the time, and how many once after each start.
const HOT: u32 = 100;
const COLD: u32 = 500;
const CONNECTIONS: u32 = 16;
/// How many portals are saved, and how many pages are read, one after the other.
const MANAGED: u32 = 200;

struct Measure {
    portals: u32,
    /// Portals created a second on the way here; zero where there was none to create.
    created_per_second: f64,
    ready: Duration,
    memory_started: u64,
    hot: Latencies,
    hot_cost: Duration,
    cold: Latencies,
    saved: Latencies,
    first_page: Latencies,
    last_page: Latencies,
    memory: u64,
}

pub(crate) async fn measure(
    options: &Options,
    wanted: &[u32],
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let deadline = Instant::now() + options.fill_limit();
    let mut filled = Filled::default();
    let mut measures = Vec::new();
    for portals in wanted {
        let house = open(shapes).await?;
        let created_per_second = filled.fill(&house, shapes.upstream, *portals, deadline).await?;
        house.close().await;
        let stands = filled.count();
        eprintln!("{stands} portals, {created_per_second:.0} created a second");
        measures.push(one(options, shapes, &filled, created_per_second).await?);
        if stands < *portals {
            eprintln!("the time for filling is over, before there were {portals} portals");
            break;
        }
    }
    // Writing to a string does not fail.
    let mut text = String::new();
    let _written = table(&mut text, &measures);
    Ok(Findings { text, figures: measures.iter().map(json).collect(), failed: 0 })
}

async fn open(shapes: &Shapes<'_>) -> Result<Contender, Failure> {
    Ok(shapes.open(Kind::Up, Limits::default()).await?.ok_or("`up` is a house")?)
}

/// Starts a house over what is stored, and measures it.
async fn one(
    options: &Options,
    shapes: &Shapes<'_>,
    filled: &Filled,
    created_per_second: f64,
) -> Result<Measure, Failure> {
    let began = Instant::now();
    let house = open(shapes).await?;
    let ready = began.elapsed();
    let processes = house.processes();
    let memory_started = cost::memory(&processes)?;
    let portals = filled.count();
    let hot = HOT.min(portals / 2).max(1);
    let cold: Vec<u32> = (0..COLD.min(portals - hot)).map(|at| spread(at, hot, portals)).collect();
    let cold =
        calls(&house, cold.into_iter().filter_map(|number| call(&house, filled, number, 0)), 200).await?;

    let requests = Arc::new((0..4096).filter_map(|at| call(&house, filled, at % hot, at)).collect());
    let target = Target { address: house.address, requests };
    load::closed(&target, CONNECTIONS, options.duration() / 5).await?;
    let before = cost::of(&processes)?;
    let run = load::closed(&target, CONNECTIONS, options.duration()).await?;
    let spent = cost::of(&processes)?.saturating_sub(before);
    let hot = Latencies::from(run.latencies);

    let saved = calls(&house, (0..MANAGED).map(|at| save(&house, at % portals, at)), 200).await?;
    let page = |number: u32| (0..MANAGED).map(|_| read_page(&house, number)).collect::<Vec<_>>();
    let last = portals.div_ceil(fill::ORGANIZATIONS).div_ceil(30);
    let first_page = calls(&house, page(1), 200).await?;
    let last_page = calls(&house, page(last), 200).await?;
    let memory = cost::memory(&processes)?;
    house.close().await;
    Ok(Measure {
        portals,
        created_per_second,
        ready,
        memory_started,
        hot_cost: (spent * 1000).checked_div(hot.count()).unwrap_or_default(),
        hot,
        cold,
        saved,
        first_page,
        last_page,
        memory,
    })
}

/// Spreads cold portals evenly over all that are not hot.
fn spread(at: u32, hot: u32, portals: u32) -> u32 {
    let behind = u64::from(at) * u64::from(portals - hot) / u64::from(COLD.min(portals - hot));
    hot + u32::try_from(behind).unwrap_or_default()
}

/// Makes these requests one after the other.
async fn calls(
    house: &Contender,
    requests: impl IntoIterator<Item = Vec<u8>>,
    expected: u16,
) -> Result<Latencies, Failure> {
    let mut connection = Connection::open(house.address).await?;
    let mut latencies = Vec::new();
    for request in requests {
        let began = Instant::now();
        let status = connection.call(&request).await?;
        latencies.push(began.elapsed());
        if status != expected {
            let said = String::from_utf8_lossy(&connection.last);
            return Err(format!("{expected} was expected: {said}").into());
        }
    }
    Ok(latencies.into())
}

fn call(house: &Contender, filled: &Filled, number: u32, at: u32) -> Option<Vec<u8>> {
    let (organization, portal) = fill::slugs(number);
    let path = format!("/organizations/{organization}/portals/{portal}");
    let variables = VARIABLES.replace("{n}", &at.to_string());
    let bearer = request::bearer(filled.token(number)?);
    Some(request::write("POST", &path, house.address, &bearer, &variables))
}

fn save(house: &Contender, number: u32, at: u32) -> Vec<u8> {
    let (organization, portal) = fill::slugs(number);
    let path = format!("/v2/organizations/{organization}/portals/{portal}");
    // Another text each time: what changes nothing is not saved.
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let change = json!({"description": format!("saved {at} {nanos}")}).to_string();
    request::write("PUT", &path, house.address, &request::bearer(ADMIN_TOKEN), &change)
}

fn read_page(house: &Contender, number: u32) -> Vec<u8> {
    let (organization, _) = fill::slugs(0);
    let path = format!("/v2/organizations/{organization}/portals?page={number}");
    request::write("GET", &path, house.address, &request::bearer(ADMIN_TOKEN), "")
}

fn table(text: &mut String, measures: &[Measure]) -> fmt::Result {
    let organizations = fill::ORGANIZATIONS;
    writeln!(
        text,
        "\nup, portals in {organizations} organizations; hot ones in a closed loop of {CONNECTIONS}, the rest one by one"
    )?;
    let mut row = |name: &str, figure: fn(&Measure) -> String| {
        let cells: String = measures.iter().map(|measure| format!("{:>12}", figure(measure))).collect();
        writeln!(text, "{name:<38}{cells}")
    };
    row("portals stored", |measure| measure.portals.to_string())?;
    row("created a second", |measure| format!("{:.0}", measure.created_per_second))?;
    row("start to ready, ms", |measure| format!("{:.0}", millis(measure.ready)))?;
    row("MiB when ready", |measure| format!("{:.1}", mib(measure.memory_started)))?;
    row("hot invocation, p50 µs", |measure| format!("{:.0}", micros(measure.hot.p50())))?;
    row("hot invocation, CPU s/1000", |measure| format!("{:.4}", measure.hot_cost.as_secs_f64()))?;
    row("first invocation of a portal, p50 µs", |measure| format!("{:.0}", micros(measure.cold.p50())))?;
    row("saving a portal, p50 µs", |measure| format!("{:.0}", micros(measure.saved.p50())))?;
    row("first page of a list, p50 µs", |measure| format!("{:.0}", micros(measure.first_page.p50())))?;
    row("last page of a list, p50 µs", |measure| format!("{:.0}", micros(measure.last_page.p50())))?;
    row("MiB at the end", |measure| format!("{:.1}", mib(measure.memory)))
}

fn json(measure: &Measure) -> Value {
    json!({
        "portals": measure.portals, "created_per_second": measure.created_per_second,
        "ready_ms": millis(measure.ready), "resident_bytes_when_ready": measure.memory_started,
        "hot": measure.hot.json(), "hot_cpu_seconds_per_1000": measure.hot_cost.as_secs_f64(),
        "cold": measure.cold.json(), "saved": measure.saved.json(), "first_page": measure.first_page.json(),
        "last_page": measure.last_page.json(), "resident_bytes": measure.memory,
    })
}
