//! All contenders of a run, started one beside the other; what waits costs nothing.

use crate::{
    Failure,
    contender::{Contender, Kind},
    nginx,
    options::Options,
    shapes::{Limits, Shapes},
    upstream::{Answer, CREDENTIAL},
};

/// Those who take part, in the order of the table.
pub(crate) struct Contenders {
    ours: Vec<Contender>,
    peers: Vec<Contender>,
}

impl Contenders {
    /// Starts those of `kinds` that are wanted, with what gives these answers, and all peers.
    pub(crate) async fn open(
        options: &Options,
        shapes: &Shapes<'_>,
        kinds: &[Kind],
        answers: &[Answer],
    ) -> Result<Self, Failure> {
        let mut all = Self { ours: Vec::new(), peers: Vec::new() };
        match all.start(options, shapes, kinds, answers).await {
            Ok(()) => Ok(all),
            Err(error) => {
                all.close().await?;
                Err(error)
            }
        }
    }

    async fn start(
        &mut self,
        options: &Options,
        shapes: &Shapes<'_>,
        kinds: &[Kind],
        answers: &[Answer],
    ) -> Result<(), Failure> {
        for kind in options.kinds(kinds) {
            let started = match kind {
                Kind::Direct => Some(direct(shapes)),
                Kind::Nginx | Kind::NginxLua => {
                    nginx::open(kind, shapes.folder, shapes.upstream.address).await?
                }
                Kind::Up | Kind::SplitTcp | Kind::SplitUnix => {
                    let mut house = shapes.open(kind, Limits::default()).await?;
                    if let Some(house) = &mut house {
                        shapes.furnish(house, answers).await?;
                    }
                    house
                }
            };
            self.ours.extend(started);
        }
        for peer in &options.peer {
            self.peers.push(peer.open(shapes.folder, shapes.upstream.address).await?);
        }
        Ok(())
    }

    /// Each once, in another order each round, so that nobody always runs behind the same one.
    pub(crate) fn in_round(&self, round: u32) -> Vec<&Contender> {
        let mut all: Vec<&Contender> = self.ours.iter().chain(&self.peers).collect();
        if round % 2 == 1 {
            all.reverse();
        }
        all
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        for contender in self.ours {
            contender.close().await;
        }
        for peer in self.peers {
            peer.end().await?;
        }
        Ok(())
    }
}

/// The upstream itself.
fn direct(shapes: &Shapes<'_>) -> Contender {
    let mut direct = Contender::new(Kind::Direct.name(), shapes.upstream.address, Vec::new());
    for answer in [Answer::Small, Answer::Large] {
        direct.has(answer, nginx::door(Kind::Direct, answer, CREDENTIAL));
    }
    direct
}
