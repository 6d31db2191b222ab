//! What processes have cost so far, as the kernel counts it.

use std::{collections::BTreeSet, fs, io, time::Duration};

/// The kernel tells CPU time in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time, user and system, that these processes and all below them have used.
pub(crate) fn of(processes: &[u32]) -> io::Result<Duration> {
    let stats = stats()?;
    let mut family: BTreeSet<u32> = processes.iter().copied().collect();
    loop {
        let size = family.len();
        let children = stats.iter().filter(|stat| family.contains(&stat.parent)).map(|stat| stat.id);
        let children: Vec<u32> = children.collect();
        family.extend(children);
        if family.len() == size {
            break;
        }
    }
    let ticks: u32 = stats.iter().filter(|stat| family.contains(&stat.id)).map(|stat| stat.ticks).sum();
    Ok(TICK * ticks)
}

struct Stat {
    id: u32,
    parent: u32,
    ticks: u32,
}

fn stats() -> io::Result<Vec<Stat>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let id = name.to_str()?.parse().ok()?;
            // A process that has just ended has no file any more.
            read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
        })
        .collect())
}

/// Reads `/proc/PID/stat` (proc(5)): fields are counted behind the name, which may hold spaces.
fn read(id: u32, stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Stat { id, parent: number(1)?, ticks: number(11)? + number(12)? })
}
