//! A process that writes until it is killed, and what its acknowledgements bind the store to.
//!
//! Each writer has slots of its own. A slot is written together with its index entry, and when it is
//! revoked the entry goes in the same batch; a revoked slot stays so for ever.

use crate::fixture::{Dice, contents, open, open_and_scrub, runtime};
use registry::store::{Batch, Condition, Key, Store};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const FOLDER: &str = "PORTALS_TEST_CHILD_FOLDER";
const SEED: &str = "PORTALS_TEST_CHILD_SEED";
const WRITERS: u64 = 6;
const SLOTS: u8 = b's';
const INDEX: u8 = b'i';

/// What a slot holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Slot {
    turn: u64,
    revoked: bool,
}

type Slots = BTreeMap<(u64, u64), Slot>;

/// What the store is bound to: what was acknowledged, and what was seen after a crash.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    slots: Slots,
    pub(crate) acknowledged: usize,
    /// How often the store was opened, and how often it was verified while it was used.
    opened: usize,
    pub(crate) scrubbed: usize,
}

fn name(writer: u64, slot: u64) -> String {
    format!("{writer}-{slot:06}")
}

fn value(slot: Slot) -> Vec<u8> {
    let mut dice = Dice(slot.turn);
    let length = match dice.below(20) {
        0 => dice.index(40_000),
        1..4 => dice.index(9_000),
        _ => dice.index(600),
    };
    let mut value = format!("{} {}\n", slot.turn, slot.revoked).into_bytes();
    value.extend(dice.bytes(length));
    value
}

fn parse(value: &[u8]) -> Slot {
    let line = value.split(|byte| *byte == b'\n').next().unwrap();
    let (turn, revoked) = std::str::from_utf8(line).unwrap().split_once(' ').unwrap();
    let slot = Slot { turn: turn.parse().unwrap(), revoked: revoked.parse().unwrap() };
    assert!(crate::child::value(slot) == value, "the value of {slot:?} is another");
    slot
}

/// Reads all slots, and checks that each agrees with its index entry.
fn read(store: &dyn Store) -> Slots {
    let parsed = |key: &Key| {
        let (writer, slot) = std::str::from_utf8(key.name()).unwrap().split_once('-').unwrap();
        (writer.parse().unwrap(), slot.parse().unwrap())
    };
    let slots: Slots =
        contents(store, &[SLOTS]).into_iter().map(|(key, value, _)| (parsed(&key), parse(&value))).collect();
    let index: BTreeMap<_, u64> = contents(store, &[INDEX])
        .into_iter()
        .map(|(key, value, _)| (parsed(&key), std::str::from_utf8(&value).unwrap().parse().unwrap()))
        .collect();
    let live: BTreeMap<_, u64> =
        slots.iter().filter(|(_, slot)| !slot.revoked).map(|(at, slot)| (*at, slot.turn)).collect();
    assert_eq!(index, live, "half a batch");
    slots
}

#[test]
fn a_child_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let seed = crate::fixture::setting(SEED, 0);
    let store: Arc<dyn Store> = Arc::new(open(Path::new(&folder)));
    let slots = read(&*store);
    say("ready");
    runtime().block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(Arc::clone(&store), writer, slots.clone(), Dice(seed.wrapping_add(writer))));
        }
        writers.join_all().await;
    });
}

fn say(line: &str) {
    // The harness may have begun a line.
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

async fn write(store: Arc<dyn Store>, writer: u64, slots: Slots, mut dice: Dice) {
    let own = slots.into_iter().filter(|((of, _), _)| *of == writer);
    let own: BTreeMap<u64, Slot> = own.map(|((_, slot), content)| (slot, content)).collect();
    let mut turn = own.values().map(|slot| slot.turn).max().unwrap_or(0);
    let mut next = own.keys().last().map_or(0, |slot| slot + 1);
    let mut live: Vec<u64> =
        own.into_iter().filter(|(_, slot)| !slot.revoked).map(|(slot, _)| slot).collect();
    loop {
        turn += 1;
        let roll = dice.below(10);
        let (number, revoked) = if live.len() < 5 || (roll < 2 && live.len() < 40) {
            live.push(next);
            next += 1;
            (next - 1, false)
        } else if roll < 4 {
            (live.swap_remove(dice.index(live.len())), true)
        } else {
            (live[dice.index(live.len())], false)
        };
        let (slot, entry) = (Key::new(SLOTS, name(writer, number)), Key::new(INDEX, name(writer, number)));
        let found = store.get(&slot).unwrap().map(|entry| entry.revision);
        let condition = found
            .map_or(Condition::Absent(slot.clone()), |revision| Condition::Revision(slot.clone(), revision));
        let batch = Batch::new().require(condition).put(slot, value(Slot { turn, revoked }));
        let batch = if revoked { batch.delete(entry) } else { batch.put(entry, turn.to_string()) };
        if store.commit(batch).await.is_err() {
            return;
        }
        say(&format!("acknowledged {writer} {number} {turn} {revoked}"));
    }
}

/// A child at work.
#[derive(Debug)]
pub(crate) struct Writer {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Writer {
    /// Starts a child on `folder`; `arrange` may change its environment.
    pub(crate) fn start(folder: &Path, dice: &mut Dice, arrange: impl FnOnce(&mut Command)) -> Self {
        let mut command = this_test("child::a_child_writes_until_it_is_killed");
        command.env(FOLDER, folder).env(SEED, dice.below(u64::MAX).to_string());
        arrange(&mut command);
        let mut process = command.spawn().unwrap();
        let lines = lines(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// Kills it when `time` has passed since its first acknowledgement, and notes what it acknowledged.
    pub(crate) fn kill_in_the_midst(mut self, time: Duration, promised: &mut Promised) {
        let before = promised.acknowledged;
        let deadline = Instant::now() + crate::fixture::PATIENCE;
        while promised.acknowledged == before {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let Ok(line) = line else {
                panic!("the child acknowledged nothing: {:?}", self.process.try_wait())
            };
            promised.note(&line);
        }
        self.note_until(Instant::now() + time, promised);
        self.kill(promised);
    }

    /// Kills it when `time` has passed since it was started, whatever it is at.
    pub(crate) fn kill_early(mut self, time: Duration, promised: &mut Promised) {
        self.note_until(Instant::now() + time, promised);
        self.kill(promised);
    }

    fn note_until(&mut self, deadline: Instant, promised: &mut Promised) {
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            promised.note(&line);
        }
    }

    fn kill(mut self, promised: &mut Promised) {
        self.process.kill().unwrap();
        self.lines.iter().for_each(|line| {
            promised.note(&line);
        });
        self.process.wait().unwrap();
    }

    /// Waits until it ends by itself, and notes what it acknowledged.
    pub(crate) fn wait(mut self, promised: &mut Promised) -> ExitStatus {
        // sled may have to be given up on first.
        let deadline = Instant::now() + 2 * crate::fixture::PATIENCE;
        self.note_until(deadline, promised);
        // It has closed its output, or is late and must not outlive the test.
        if Instant::now() >= deadline {
            self.process.kill().unwrap();
        }
        self.process.wait().unwrap()
    }
}

/// The command that runs one test of this binary, with its output in a pipe.
pub(crate) fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The lines of a child, until it ends.
pub(crate) fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1_024);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Promised {
    /// Notes an acknowledgement, if `line` is one.
    fn note(&mut self, line: &str) -> bool {
        let words: Vec<_> = line.split(' ').collect();
        let ["acknowledged", writer, number, turn, revoked] = words[..] else { return false };
        let at = (writer.parse().unwrap(), number.parse().unwrap());
        self.slots.insert(at, Slot { turn: turn.parse().unwrap(), revoked: revoked.parse().unwrap() });
        self.acknowledged += 1;
        true
    }

    /// Opens the store in `folder` and checks that it holds all that was promised.
    pub(crate) fn verify(&mut self, folder: &Path) {
        // Every other time as a large store is opened.
        self.opened += 1;
        let (store, scrubbed) =
            if self.opened.is_multiple_of(2) { open_and_scrub(folder) } else { (open(folder), false) };
        self.scrubbed += usize::from(scrubbed);
        let found = read(&store);
        drop(store);
        for (at, promised) in &self.slots {
            let slot = found.get(at).unwrap_or_else(|| panic!("{at:?} is lost: {promised:?}"));
            assert!(slot.turn >= promised.turn, "{at:?} is {slot:?} again, which was {promised:?}");
            assert!(slot.revoked || !promised.revoked, "{at:?} is back: {slot:?} was {promised:?}");
        }
        self.slots = found;
    }
}
