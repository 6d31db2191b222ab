//! What processes have cost so far, as the kernel counts it.
//!
//! To a process belong those that it has started, and those of the group that it leads.

use std::{collections::BTreeSet, fs, io, time::Duration};

/// The kernel tells CPU time in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time, user and system, that these processes and all that belong to them have used.
pub(crate) fn of(processes: &[u32]) -> io::Result<Duration> {
    let ticks: u32 = family(processes)?.iter().map(|stat| stat.ticks).sum();
    Ok(TICK * ticks)
}

/// The same of this process alone, in which load and upstream run.
pub(crate) fn own() -> io::Result<Duration> {
    let stat = read(0, &fs::read_to_string("/proc/self/stat")?).ok_or(io::ErrorKind::InvalidData)?;
    Ok(TICK * stat.ticks)
}

/// The bytes that these processes and all that belong to them hold in memory (`VmRSS`); what they share counts for each.
pub(crate) fn memory(processes: &[u32]) -> io::Result<u64> {
    Ok(family(processes)?.iter().filter_map(|stat| resident(stat.id)).sum())
}

/// The ids of these processes and all that belong to them.
pub(crate) fn tree(processes: &[u32]) -> io::Result<Vec<u32>> {
    Ok(family(processes)?.iter().map(|stat| stat.id).collect())
}

struct Stat {
    id: u32,
    parent: u32,
    /// The first process of its group.
    leader: u32,
    ticks: u32,
}

fn family(processes: &[u32]) -> io::Result<Vec<Stat>> {
    let stats = stats()?;
    // 0 is none; below 1 are all.
    let mut family: BTreeSet<u32> = processes.iter().copied().filter(|id| *id > 1).collect();
    loop {
        let size = family.len();
        let belongs = |stat: &&Stat| family.contains(&stat.parent) || family.contains(&stat.leader);
        let more: Vec<u32> = stats.iter().filter(belongs).map(|stat| stat.id).collect();
        family.extend(more);
        if family.len() == size {
            break;
        }
    }
    Ok(stats.into_iter().filter(|stat| family.contains(&stat.id)).collect())
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
    Some(Stat { id, parent: number(1)?, leader: number(2)?, ticks: number(11)? + number(12)? })
}

/// Reads `VmRSS` in `/proc/PID/status` (proc(5)), which is told in KiB.
fn resident(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
