//! Which fragment leads to which, and what an operation reaches through them.
//!
//! Nothing is ever expanded: each fragment is looked at once, after those that it spreads.

use super::outline::{Body, Name, Outline};
use std::collections::HashMap;

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

/// What a body reaches: itself and everything that it spreads.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// The fragments, by their place in the outline.
    pub(super) fragments: Bits,
    /// The variables, by their place in the graph.
    pub(super) variables: Bits,
    /// The selections with every spread replaced by its fragment.
    pub(super) selections: u64,
}

/// The fragments of a document and their spreads.
pub(super) struct Graph<'o, 's> {
    outline: &'o Outline<'s>,
    fragments: HashMap<&'s str, usize>,
    variables: HashMap<&'s str, usize>,
    reached: Vec<Reach>,
}

/// A spread that closes a circle.
pub(super) struct Cycle<'s> {
    pub(super) spread: Name<'s>,
    pub(super) within: Name<'s>,
}

/// How far the walk has come with a fragment.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

impl<'o, 's> Graph<'o, 's> {
    /// Looks at `outline`; of two fragments with one name the first counts.
    pub(super) fn new(outline: &'o Outline<'s>) -> (Self, Vec<Cycle<'s>>) {
        let mut fragments = HashMap::new();
        for (index, fragment) in outline.fragments.iter().enumerate() {
            fragments.entry(fragment.name.text).or_insert(index);
        }
        let mut variables = HashMap::new();
        let bodies = outline.operations.iter().map(|operation| &operation.body);
        for used in
            bodies.chain(outline.fragments.iter().map(|fragment| &fragment.body)).flat_map(|body| &body.uses)
        {
            let next = variables.len();
            variables.entry(used.text).or_insert(next);
        }
        let reached = vec![Reach::default(); outline.fragments.len()];
        let mut graph = Self { outline, fragments, variables, reached };
        let cycles = graph.close();
        (graph, cycles)
    }

    /// The place of the fragment `name`.
    pub(super) fn fragment(&self, name: &str) -> Option<usize> {
        self.fragments.get(name).copied()
    }

    /// Whether `reach` has the variable `name`.
    pub(super) fn uses(&self, reach: &Reach, name: &str) -> bool {
        self.variables.get(name).is_some_and(|index| reach.variables.contains(*index))
    }

    /// How many of the variables in `reach` are in `declared`.
    pub(super) fn variables<'a>(&self, declared: impl Iterator<Item = &'a str>) -> Bits {
        let mut bits = Bits::default();
        declared.filter_map(|name| self.variables.get(name)).for_each(|index| bits.insert(*index));
        bits
    }

    /// The place of the variable `name`, which some body uses.
    pub(super) fn variable(&self, name: &str) -> Option<usize> {
        self.variables.get(name).copied()
    }

    /// What `body` reaches.
    pub(super) fn reach(&self, body: &Body<'s>) -> Reach {
        let mut reach = Reach { selections: body.selections, ..Reach::default() };
        self.variables_of(body, &mut reach.variables);
        for index in body.spreads.iter().filter_map(|spread| self.fragment(spread.text)) {
            let Some(spread) = self.reached.get(index) else { continue };
            reach.fragments.insert(index);
            reach.fragments.join(&spread.fragments);
            reach.variables.join(&spread.variables);
            reach.selections = reach.selections.saturating_add(spread.selections);
        }
        reach
    }

    fn variables_of(&self, body: &Body<'s>, bits: &mut Bits) {
        for index in body.uses.iter().filter_map(|used| self.variable(used.text)) {
            bits.insert(index);
        }
    }

    /// Fills `reached`, depth first, and tells what closes a circle.
    fn close(&mut self) -> Vec<Cycle<'s>> {
        let outline = self.outline;
        let mut marks = vec![Mark::New; outline.fragments.len()];
        let mut cycles = Vec::new();
        // What is under way: a fragment, and how many of its spreads have been looked at.
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for start in 0..marks.len() {
            if marks.get(start) == Some(&Mark::New) {
                stack.push((start, 0));
            }
            while let Some((index, seen)) = stack.last_mut() {
                let (index, at) = (*index, *seen);
                *seen += 1;
                let Some(fragment) = outline.fragments.get(index) else { break };
                set(&mut marks, index, Mark::Open);
                let Some(spread) = fragment.body.spreads.get(at) else {
                    let reach = self.reach(&fragment.body);
                    if let Some(slot) = self.reached.get_mut(index) {
                        *slot = reach;
                    }
                    set(&mut marks, index, Mark::Done);
                    stack.pop();
                    continue;
                };
                let Some(next) = self.fragment(spread.text) else { continue };
                match marks.get(next) {
                    Some(Mark::New) => stack.push((next, 0)),
                    Some(Mark::Open) => cycles.push(Cycle { spread: *spread, within: fragment.name }),
                    Some(Mark::Done) | None => {}
                }
            }
        }
        cycles
    }
}

fn set(marks: &mut [Mark], index: usize, mark: Mark) {
    if let Some(slot) = marks.get_mut(index) {
        *slot = mark;
    }
}

impl Bits {
    pub(super) fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (number % 64);
        }
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|bits| bits >> (number % 64) & 1 == 1)
    }

    pub(super) fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(bits, more)| *bits |= more);
    }

    /// Whether there is anything here that `other` has not.
    pub(super) fn exceeds(&self, other: &Self) -> bool {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        self.0.iter().zip(others).any(|(bits, other)| bits & !other != 0)
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate().filter(|(_, bits)| **bits != 0);
        words.flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }
}
