//! A caller beside the load, on a thread of its own, so that what he waits for is not the load's own turn.

use super::{Connection, Run, Target};
use crate::Failure;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

/// From one answer to the next call.
const REST: Duration = Duration::from_millis(5);

/// Calls now and then, over a new connection each time, until it is asked what came of it.
pub(crate) struct Probe {
    over: Arc<AtomicBool>,
    calling: JoinHandle<io::Result<Run>>,
}

impl Probe {
    pub(crate) fn begin(target: &Target) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (address, requests, end) = (target.address, Arc::clone(&target.requests), Arc::clone(&over));
        let calling = spawn_blocking(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(calls(address, &requests, &end))
        });
        Self { over, calling }
    }

    /// What came of it; times are from sending.
    pub(crate) async fn end(self) -> Result<Run, Failure> {
        self.over.store(true, Ordering::Relaxed);
        Ok(self.calling.await??)
    }
}

async fn calls(address: SocketAddr, requests: &[Vec<u8>], over: &AtomicBool) -> io::Result<Run> {
    let mut run = Run::default();
    for request in requests.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut connection = Connection::open(address).await?;
        let sent = Instant::now();
        match connection.call(request).await {
            Ok(200) => run.from_sending.push(sent.elapsed()),
            Ok(503) => run.refused.push(sent.elapsed()),
            _ => run.failed += 1,
        }
        sleep(REST).await;
    }
    Ok(run)
}
