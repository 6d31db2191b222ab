//! What is measured: something that calls the upstream for its callers.

use crate::{request, upstream::Answer};
use house::Process;
use rustix::process::{Pid, Signal, kill_process};
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;

/// So many different bodies that what is in flight at once is never the same.
const BODIES: u32 = 4096;
/// How long a stranger may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in a body where each request has a number of its own.
pub(crate) const NUMBER: &str = "{n}";

/// The kinds that the bench knows how to start.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Straight to the upstream.
    Direct,
    /// nginx as a bare reverse proxy.
    Nginx,
    /// A portal written by hand in nginx and Lua.
    NginxLua,
    /// `portals up`: one process.
    Up,
    /// Edge, registry and executor over TCP.
    SplitTcp,
    /// Edge, registry and executor over Unix sockets.
    SplitUnix,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Direct, Self::Nginx, Self::NginxLua, Self::Up, Self::SplitTcp, Self::SplitUnix];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::NginxLua => "nginx-lua",
            Self::Up => "up",
            Self::SplitTcp => "split-tcp",
            Self::SplitUnix => "split-unix",
        }
    }
}

/// Where an answer is had, and for what.
pub(crate) struct Door {
    pub(crate) path: String,
    /// Header fields, each with its end of line.
    pub(crate) headers: String,
    /// Has [`NUMBER`] where requests differ.
    pub(crate) body: String,
}

/// A process of a contender, and what it does there.
pub(crate) struct Part {
    pub(crate) role: &'static str,
    pub(crate) process: Process,
}

/// Something that calls the upstream for its callers.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) parts: Vec<Part>,
    doors: HashMap<&'static str, Door>,
}

impl Contender {
    pub(crate) fn new(name: &str, address: SocketAddr, parts: Vec<Part>) -> Self {
        Self { name: name.to_owned(), address, parts, doors: HashMap::new() }
    }

    /// Says where it gives this answer.
    pub(crate) fn has(&mut self, answer: Answer, door: Door) {
        self.doors.insert(answer.name(), door);
    }

    /// Whose CPU time and memory count, with all that they have started.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.parts.iter().map(|part| part.process.id()).collect()
    }

    /// Requests that bring this answer, no two alike; `None` where it does not give it.
    pub(crate) fn requests(&self, answer: Answer) -> Option<Arc<Vec<Vec<u8>>>> {
        let Door { path, headers, body } = self.doors.get(answer.name())?;
        let request = |number| {
            let body = body.replace(NUMBER, &format!("{number:06}"));
            request::write("POST", path, self.address, headers, &body)
        };
        Some(Arc::new((0..BODIES).map(request).collect()))
    }

    /// Stops its processes as one should, so that they stop what they have started.
    pub(crate) async fn close(self) {
        for Part { mut process, .. } in self.parts {
            process.signal(Signal::TERM);
            process.ended().await;
        }
    }

    /// Stops all processes of one that may not know that it should: by word, and if that does not help by force.
    pub(crate) async fn end(self) -> io::Result<()> {
        for Part { mut process, .. } in self.parts {
            let tree = crate::cost::tree(&[process.id()])?;
            send(&tree, Signal::TERM);
            if timeout(PATIENCE, process.ended()).await.is_err() {
                process.kill().await;
            }
            send(&tree, Signal::KILL);
        }
        Ok(())
    }
}

fn send(processes: &[u32], signal: Signal) {
    for id in processes.iter().filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?)) {
        // One that has ended meanwhile is what was wanted.
        let _sent = kill_process(id, signal);
    }
}
