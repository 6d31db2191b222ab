//! `--stored`: whether calls and management cost more the more portals there are.

mod fill;

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    cost,
    figures::{self, Latencies, mib, micros, millis},
    load::{self, Connection, Target},
    options::Options,
    request,
    shapes::{ADMIN_TOKEN, Limits, Shapes, VARIABLES},
};
use fill::Filled;
use house::Client;
use http::Method;
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How many portals are called all the time, at most, and of how many organizations: each calls its own upstream, and
/// more of these would cost more whatever is stored.
const HOT: usize = 100;
const HOT_ORGANIZATIONS: u32 = 5;
/// How many portals of others are called once.
const COLD: usize = 500;
const CONNECTIONS: u32 = 16;
/// How many portals are saved, and how many pages are read, one after the other.
const MANAGED: u32 = 200;
/// What tells how many records are still to be verified.
const UNVERIFIED: &str = "portals_registry_unverified_records ";
/// How long a million portals may take to be verified, and how often that is asked.
const VERIFYING: Duration = Duration::from_secs(1_800);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A house with so many portals.
struct Stored {
    house: Contender,
    /// What it stores lies here.
    folder: PathBuf,
    filled: Filled,
    created_per_second: f64,
    /// From start to ready: right after all that was written, which is read again, and another time.
    ready_first: Duration,
    ready: Duration,
    memory_started: u64,
    /// While records were still being verified in the background; `None` where all were before it was ready.
    unverified: Option<Figures>,
    /// How long after it was ready all of them were.
    verified: Duration,
    /// When all of them were, of each round.
    rounds: Vec<Figures>,
    memory: u64,
}

/// What it costs to call and to manage.
struct Figures {
    hot: Latencies,
    hot_cost: Duration,
    /// As the system's cache of files happens to be, and with all that is stored in it.
    cold: Latencies,
    cold_cached: Latencies,
    saved: Latencies,
    first_page: Latencies,
    last_page: Latencies,
}

pub(crate) async fn measure(
    options: &Options,
    wanted: &[u32],
    shapes: &Shapes<'_>,
) -> Result<Findings, Failure> {
    let deadline = Instant::now() + options.fill_limit();
    let mut all = Vec::new();
    for portals in wanted {
        let folder = shapes.folder.join(portals.to_string());
        fs::create_dir_all(&folder)?;
        let stored =
            Stored::open(options, &Shapes { folder: &folder, ..*shapes }, *portals, deadline).await?;
        let stands = stored.filled.count();
        eprintln!("{stands} portals, {:.0} created a second", stored.created_per_second);
        all.push(stored);
        if stands < *portals {
            eprintln!("the time for filling is over, before there were {portals} portals");
            break;
        }
    }
    for round in 1..=options.rounds() {
        let mut order: Vec<&mut Stored> = all.iter_mut().collect();
        if round % 2 == 0 {
            order.reverse();
        }
        for stored in order {
            stored.measure(options, round).await?;
        }
    }
    // Writing to a string does not fail.
    let mut text = String::new();
    let _written = table(&mut text, &all);
    let figures = all.iter().map(json).collect();
    for Stored { house, .. } in all {
        house.close().await;
    }
    Ok(Findings { text, figures, failed: 0 })
}

async fn open(shapes: &Shapes<'_>) -> Result<Contender, Failure> {
    Ok(shapes.open(Kind::Up, Limits::default()).await?.ok_or("`up` is a house")?)
}

impl Stored {
    /// Fills a store, and starts a house over it, which is left with all records verified.
    async fn open(
        options: &Options,
        shapes: &Shapes<'_>,
        portals: u32,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let house = open(shapes).await?;
        let mut filled = Filled::default();
        let created_per_second = filled.fill(&house, shapes.upstream, portals, deadline).await?;
        house.close().await;
        let began = Instant::now();
        let house = open(shapes).await?;
        let ready_first = began.elapsed();
        house.close().await;
        let began = Instant::now();
        let house = open(shapes).await?;
        let ready = began.elapsed();
        let memory_started = cost::memory(&house.processes())?;
        let unverified = match left(&house).await? {
            0 => None,
            _ => Some(figures(options, &house, shapes.folder, &filled, 0).await?),
        };
        let verified = verified(&house, began + ready).await?;
        Ok(Self {
            house,
            folder: shapes.folder.to_owned(),
            filled,
            created_per_second,
            ready_first,
            ready,
            memory_started,
            unverified,
            verified,
            rounds: Vec::new(),
            memory: memory_started,
        })
    }

    /// Measures it in its turn.
    async fn measure(&mut self, options: &Options, round: u32) -> Result<(), Failure> {
        self.rounds.push(figures(options, &self.house, &self.folder, &self.filled, round).await?);
        self.memory = cost::memory(&self.house.processes())?;
        Ok(())
    }

    /// The median of the rounds.
    fn median(&self, say: Say) -> f64 {
        figures::median(self.rounds.iter().map(say).collect())
    }
}

/// How many records are still to be verified.
async fn left(house: &Contender) -> Result<u64, Failure> {
    let ops = house.parts.first().ok_or("a house has a process")?.process.address("ops").await;
    let url = format!("http://{ops}/metrics");
    let metrics = Client::default().send(Method::GET, &url, &[], "").await?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let gauge = metrics.lines().find_map(|line| line.strip_prefix(UNVERIFIED)?.trim().parse().ok());
    // One that has nothing to verify does not tell of it.
    Ok(gauge.unwrap_or_default())
}

/// Waits until all records are verified; tells how long that took.
async fn verified(house: &Contender, since: Instant) -> Result<Duration, Failure> {
    while left(house).await? > 0 {
        if since.elapsed() > VERIFYING {
            return Err("the registry did not verify its records in time".into());
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(since.elapsed())
}

/// Calls and manages; in each round, of which one while records are verified is the first, other portals are called for
/// the first time.
async fn figures(
    options: &Options,
    house: &Contender,
    folder: &Path,
    filled: &Filled,
    round: u32,
) -> Result<Figures, Failure> {
    let portals = filled.count();
    // Twice in each round.
    let (turn, turns) = (usize::try_from(2 * round)?, usize::try_from(2 * (options.rounds() + 1))?);
    let (hot, others): (Vec<u32>, Vec<u32>) =
        (0..portals).partition(|number| number % fill::ORGANIZATIONS < HOT_ORGANIZATIONS);
    // Each a little further on in its chunk, so that they belong to all organizations.
    let chunks = others.chunks(others.len().div_ceil(COLD * turns).max(1)).enumerate();
    let cold: Vec<u32> = chunks.filter_map(|(at, chunk)| chunk.get(at % chunk.len()).copied()).collect();
    let of_turn = |turn| cold.iter().skip(turn).step_by(turns);
    let first_calls = |turn| of_turn(turn).filter_map(|number| call(house, filled, *number, 0));
    let cold = calls(house, first_calls(turn), 200).await?;
    read_all(folder)?;
    let cold_cached = calls(house, first_calls(turn + 1), 200).await?;

    let hot = hot.iter().take(HOT).cycle().zip(0..4096);
    let requests = Arc::new(hot.filter_map(|(number, at)| call(house, filled, *number, at)).collect());
    let target = Target { address: house.address, requests };
    load::closed(&target, CONNECTIONS, options.duration() / 5).await?;
    let processes = house.processes();
    let before = cost::of(&processes)?;
    let run = load::closed(&target, CONNECTIONS, options.duration()).await?;
    let spent = cost::of(&processes)?.saturating_sub(before);
    let hot = Latencies::from(run.latencies);

    let saved = calls(house, (0..MANAGED).map(|at| save(house, at % portals, at)), 200).await?;
    let page = |number: u32| (0..MANAGED).map(|_| read_page(house, number)).collect::<Vec<_>>();
    let last = portals.div_ceil(fill::ORGANIZATIONS).div_ceil(30);
    let first_page = calls(house, page(1), 200).await?;
    let last_page = calls(house, page(last), 200).await?;
    let hot_cost = (spent * 1000).checked_div(hot.count()).unwrap_or_default();
    Ok(Figures { hot, hot_cost, cold, cold_cached, saved, first_page, last_page })
}

/// Reads all files below a folder, so that they lie in the system's cache.
fn read_all(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => read_all(&entry.path())?,
            kind if kind.is_file() => match File::open(entry.path()) {
                Ok(mut file) => drop(io::copy(&mut file, &mut io::sink())?),
                // A house at work replaces some.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            },
            _ => {}
        }
    }
    Ok(())
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

fn table(text: &mut String, all: &[Stored]) -> fmt::Result {
    let organizations = fill::ORGANIZATIONS;
    writeln!(
        text,
        "\nup, portals in {organizations} organizations; hot ones in a closed loop of {CONNECTIONS}, the rest one by one"
    )?;
    let mut row = |name: &str, cell: &dyn Fn(&Stored) -> String| {
        let cells: String = all.iter().map(|stored| format!("{:>12}", cell(stored))).collect();
        writeln!(text, "{name:<38}{cells}")
    };
    row("portals stored", &|stored| stored.filled.count().to_string())?;
    row("created a second", &|stored| format!("{:.0}", stored.created_per_second))?;
    row("start to ready after filling, ms", &|stored| format!("{:.0}", millis(stored.ready_first)))?;
    row("start to ready again, ms", &|stored| format!("{:.0}", millis(stored.ready)))?;
    row("MiB when ready", &|stored| format!("{:.1}", mib(stored.memory_started)))?;
    row("ready to all verified, s", &|stored| match stored.unverified {
        Some(_) => format!("{:.0}", stored.verified.as_secs_f64()),
        None => String::from("-"),
    })?;
    if all.iter().any(|stored| stored.unverified.is_some()) {
        row("while they are verified:", &|_| String::new())?;
        for (name, decimals, say) in FIGURES {
            row(name, &|stored| {
                stored
                    .unverified
                    .as_ref()
                    .map_or_else(|| String::from("-"), |figures| cell(say(figures), decimals))
            })?;
        }
        row("when all are verified, in turns:", &|_| String::new())?;
    }
    for (name, decimals, say) in FIGURES {
        row(name, &|stored| cell(stored.median(say), decimals))?;
    }
    row("MiB at the end", &|stored| format!("{:.1}", mib(stored.memory)))
}

/// A figure; there is none where there were too few portals to call.
fn cell(figure: f64, decimals: usize) -> String {
    if figure > 0.0 { format!("{figure:.decimals$}") } else { String::from("-") }
}

/// Says a figure.
type Say = fn(&Figures) -> f64;

/// What is shown of [`Figures`], and with how many decimals.
const FIGURES: [(&str, usize, Say); 7] = [
    ("hot invocation, p50 µs", 0, |figures| micros(figures.hot.p50())),
    ("hot invocation, CPU s/1000", 4, |figures| figures.hot_cost.as_secs_f64()),
    ("first invocation of a portal, p50 µs", 0, |figures| micros(figures.cold.p50())),
    ("  with the store in the system's cache", 0, |figures| micros(figures.cold_cached.p50())),
    ("saving a portal, p50 µs", 0, |figures| micros(figures.saved.p50())),
    ("first page of a list, p50 µs", 0, |figures| micros(figures.first_page.p50())),
    ("last page of a list, p50 µs", 0, |figures| micros(figures.last_page.p50())),
];

fn json(stored: &Stored) -> Value {
    let figures = |figures: &Figures| {
        json!({
            "hot": figures.hot.json(), "hot_cpu_seconds_per_1000": figures.hot_cost.as_secs_f64(),
            "cold": figures.cold.json(), "cold_cached": figures.cold_cached.json(), "saved": figures.saved.json(),
            "first_page": figures.first_page.json(), "last_page": figures.last_page.json(),
        })
    };
    json!({
        "portals": stored.filled.count(), "created_per_second": stored.created_per_second,
        "ready_after_filling_ms": millis(stored.ready_first), "ready_ms": millis(stored.ready),
        "resident_bytes_when_ready": stored.memory_started,
        "verified_after_seconds": stored.verified.as_secs_f64(),
        "while_verifying": stored.unverified.as_ref().map(figures),
        "verified": stored.rounds.iter().map(figures).collect::<Vec<_>>(),
        "resident_bytes": stored.memory,
    })
}
