//! `--stream`: answers of 30 MB, first byte and last, and what each costs in memory while it is read slowly.

use crate::{
    Failure, Findings,
    contender::{Contender, Kind},
    cost,
    figures::{mib, millis},
    options::Options,
    request,
    shapes::{Limits, Shapes},
    upstream::{self, Answer},
};
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

const KINDS: [Kind; 2] = [Kind::Up, Kind::SplitUnix];
/// How many answers are read at once.
const CALLS: [u32; 3] = [1, 4, 16];
/// A slow reader takes so much at a time, and then waits so long: about 6 MB a second.
const SLOWLY: (usize, Duration) = (64 * 1024, Duration::from_millis(10));
/// What the kernel keeps for a slow reader, so that it does not take in the answer in its place.
const RECEIVE_BUFFER: u32 = 128 * 1024;
const SAMPLE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(60);

/// When an answer came, from when it was asked for.
struct Arrival {
    first: Duration,
    last: Duration,
}

/// What so many answers at once did to one process.
struct Growth {
    calls: u32,
    role: &'static str,
    /// Resident before any large answer, and at most during these, in bytes.
    before: u64,
    most: u64,
}

struct Measure {
    contender: String,
    paced: Arrival,
    at_once: Arrival,
    growths: Vec<Growth>,
}

pub(crate) async fn measure(options: &Options, shapes: &Shapes<'_>) -> Result<Findings, Failure> {
    let mut measures = Vec::new();
    for kind in options.kinds(&KINDS) {
        let Some(mut house) = shapes.open(kind, Limits::default()).await? else { continue };
        shapes.furnish(&mut house, &[Answer::Small, Answer::Huge, Answer::Paced]).await?;
        eprintln!("streaming through {}", house.name);
        measures.push(one(&house, options.smoke).await?);
        house.close().await;
    }
    let mut text = String::new();
    for measure in &measures {
        // Writing to a string does not fail.
        let _written = section(&mut text, measure);
    }
    Ok(Findings { text, figures: measures.iter().map(json).collect(), failed: 0 })
}

async fn one(house: &Contender, smoke: bool) -> Result<Measure, Failure> {
    let small = Call::of(house, Answer::Small)?;
    for _ in 0..100 {
        small.read(None).await?;
    }
    let before = memory(house)?;
    let huge = Arc::new(Call::of(house, Answer::Huge)?);
    let mut growths = Vec::new();
    for calls in CALLS {
        let mut readers = JoinSet::new();
        for _ in 0..calls {
            let huge = Arc::clone(&huge);
            readers.spawn(async move { huge.read(Some(SLOWLY)).await });
        }
        let most = most(house, readers).await?;
        let pairs = before.iter().zip(most).zip(&house.parts);
        growths.extend(pairs.map(|((before, most), part)| Growth {
            calls,
            role: part.role,
            before: *before,
            most,
        }));
        if smoke {
            break;
        }
    }
    let paced = Call::of(house, Answer::Paced)?.read(None).await?;
    let at_once = huge.read(None).await?;
    Ok(Measure { contender: house.name.clone(), paced, at_once, growths })
}

/// The most that each process holds until all have read their answers.
async fn most(house: &Contender, mut readers: JoinSet<io::Result<Arrival>>) -> Result<Vec<u64>, Failure> {
    let mut most = memory(house)?;
    let mut tick = interval(SAMPLE);
    loop {
        tokio::select! {
            read = readers.join_next() => match read {
                Some(read) => {
                    read??;
                }
                None => return Ok(most),
            },
            _ = tick.tick() => {
                for (most, now) in most.iter_mut().zip(memory(house)?) {
                    *most = now.max(*most);
                }
            }
        }
    }
}

/// What each process holds.
fn memory(house: &Contender) -> io::Result<Vec<u64>> {
    house.parts.iter().map(|part| cost::memory(&[part.process.id()])).collect()
}

/// A request whose connection ends with its answer.
struct Call {
    address: SocketAddr,
    request: String,
    /// No answer is shorter.
    length: usize,
}

impl Call {
    fn of(house: &Contender, answer: Answer) -> Result<Self, Failure> {
        let requests = house.requests(answer).ok_or("the house was furnished with it")?;
        let first = requests.first().ok_or("there are requests")?;
        let request = String::from_utf8_lossy(first).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        Ok(Self { address: house.address, request, length: upstream::body(answer).len() })
    }

    /// Reads the answer to its end, resting behind each piece where it is to be read slowly.
    async fn read(&self, slowly: Option<(usize, Duration)>) -> io::Result<Arrival> {
        let socket = TcpSocket::new_v4()?;
        if slowly.is_some() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        let (size, rest) = slowly.unwrap_or((1 << 20, Duration::ZERO));
        let mut stream = socket.connect(self.address).await?;
        let mut piece = vec![0; size];
        let began = Instant::now();
        stream.write_all(self.request.as_bytes()).await?;
        let mut length = timeout(PATIENCE, stream.read(&mut piece)).await??;
        let first = began.elapsed();
        let status = request::status(&piece);
        loop {
            if !rest.is_zero() {
                sleep(rest).await;
            }
            match timeout(PATIENCE, stream.read(&mut piece)).await?? {
                0 => break,
                read => length += read,
            }
        }
        if status != 200 || length < self.length {
            return Err(io::Error::other(format!("{length} bytes came, with status {status}")));
        }
        Ok(Arrival { first, last: began.elapsed() })
    }
}

fn section(text: &mut String, measure: &Measure) -> fmt::Result {
    let Measure { contender, paced, at_once, growths } = measure;
    writeln!(text, "\n{contender}, answers of 30 MB")?;
    for (how, arrival) in [("sent over 3 s", paced), ("sent at once", at_once)] {
        let (first, last) = (millis(arrival.first), millis(arrival.last));
        writeln!(text, "{how:<14} first byte {first:>8.1} ms, last byte {last:>8.1} ms")?;
    }
    writeln!(
        text,
        "{:<6} {:<10} {:>10} {:>10} {:>17} {:>17}",
        "calls", "process", "before MiB", "most MiB", "more MiB per call", "MiB per further"
    )?;
    for Growth { calls, role, before, most } in growths {
        let each = (mib(*most) - mib(*before)) / f64::from(*calls);
        // The first large answer also brings what a process keeps for all later ones.
        let fewer = growths.iter().rev().find(|other| other.role == *role && other.calls < *calls);
        let further = fewer.map_or_else(String::new, |fewer| {
            let more = (mib(*most) - mib(fewer.most)) / f64::from(calls - fewer.calls);
            format!("{more:.2}")
        });
        let (before, most) = (mib(*before), mib(*most));
        writeln!(text, "{calls:<6} {role:<10} {before:>10.1} {most:>10.1} {each:>17.2} {further:>17}")?;
    }
    Ok(())
}

fn json(measure: &Measure) -> Value {
    let arrival = |arrival: &Arrival| json!({"first_byte_ms": millis(arrival.first), "last_byte_ms": millis(arrival.last)});
    let growth = |growth: &Growth| {
        json!({
            "calls": growth.calls, "process": growth.role, "resident_bytes_before": growth.before,
            "resident_bytes_most": growth.most,
        })
    };
    json!({
        "contender": measure.contender, "paced": arrival(&measure.paced), "at_once": arrival(&measure.at_once),
        "memory": measure.growths.iter().map(growth).collect::<Value>(),
    })
}
