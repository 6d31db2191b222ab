//! Pipelines and their builds, in memory; the oldest builds make room for new ones.

use jiff::{SignedDuration, Timestamp};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Builds that a pipeline keeps.
const KEPT_BUILDS: usize = 500;
/// The most bytes of a text that a build keeps.
const MAX_TEXT_BYTES: usize = 1_024;

/// All there is.
#[derive(Clone)]
pub(super) struct Builds(Arc<Mutex<Vec<Pipeline>>>);

/// A pipeline.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) organization: &'static str,
    pub(super) slug: &'static str,
    pub(super) name: &'static str,
    /// Oldest first.
    pub(super) builds: VecDeque<Build>,
    next_number: i32,
}

/// A build.
#[derive(Clone)]
pub(super) struct Build {
    pub(super) number: i32,
    pub(super) branch: String,
    pub(super) commit: String,
    pub(super) message: String,
    pub(super) env: Vec<String>,
    pub(super) created_at: Timestamp,
    /// `None` while it waits for an agent.
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
}

/// What a new build is asked to be.
pub(super) struct NewBuild {
    pub(super) branch: String,
    pub(super) commit: String,
    pub(super) message: String,
    pub(super) env: Vec<String>,
}

impl Builds {
    /// The pipelines that the documentation speaks of, each with some builds.
    pub(super) fn example() -> Self {
        let mut pipelines = vec![
            pipeline("pipeline-id", "my-organization", "my-pipeline", "My pipeline"),
            pipeline("other-pipeline-id", "organization-slug", "pipeline-slug", "Pipeline slug"),
        ];
        for pipeline in &mut pipelines {
            for minutes in (1..=3).rev() {
                let start = Timestamp::now().checked_sub(SignedDuration::from_mins(10 * minutes));
                let start = start.unwrap_or(Timestamp::UNIX_EPOCH);
                let build = NewBuild {
                    branch: "main".to_owned(),
                    commit: "HEAD".to_owned(),
                    message: "Try portals".to_owned(),
                    env: Vec::new(),
                };
                pipeline.add(build, start, true);
            }
        }
        Self(Arc::new(Mutex::new(pipelines)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pipeline>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every pipeline.
    pub(super) fn pipelines(&self) -> Vec<Pipeline> {
        self.lock().clone()
    }

    /// The pipeline with this slug, its organization's before it.
    pub(super) fn pipeline(&self, slug: &str) -> Option<Pipeline> {
        self.lock().iter().find(|pipeline| pipeline.full_slug() == slug).cloned()
    }

    /// A build by its slug; `build-number`, as the documentation writes it, is the first that is kept.
    pub(super) fn build(&self, slug: &str) -> Option<(Pipeline, Build)> {
        let (pipeline, number) = slug.rsplit_once('/')?;
        let pipeline = self.pipeline(pipeline)?;
        let build = match number {
            "build-number" => pipeline.builds.front(),
            _ => {
                let number: i32 = number.parse().ok()?;
                pipeline.builds.iter().find(|build| build.number == number)
            }
        };
        build.cloned().map(|build| (pipeline.clone(), build))
    }

    /// Adds a build to the pipeline with this id.
    pub(super) fn create(&self, pipeline_id: &str, new: NewBuild) -> Option<(Pipeline, Build)> {
        let mut pipelines = self.lock();
        let pipeline = pipelines.iter_mut().find(|pipeline| pipeline.id == pipeline_id)?;
        let build = pipeline.add(new, Timestamp::now(), false);
        Some((pipeline.clone(), build))
    }
}

fn pipeline(id: &str, organization: &'static str, slug: &'static str, name: &'static str) -> Pipeline {
    Pipeline { id: id.to_owned(), organization, slug, name, builds: VecDeque::new(), next_number: 1 }
}

impl Pipeline {
    /// Its slug with its organization's before it.
    pub(super) fn full_slug(&self) -> String {
        format!("{}/{}", self.organization, self.slug)
    }

    fn add(&mut self, new: NewBuild, created_at: Timestamp, finished: bool) -> Build {
        let after = |seconds| created_at.checked_add(SignedDuration::from_secs(seconds)).ok();
        let build = Build {
            number: self.next_number,
            branch: short(new.branch),
            commit: short(new.commit),
            message: short(new.message),
            env: new.env.into_iter().take(50).map(short).collect(),
            created_at,
            started_at: after(3).filter(|_| finished),
            finished_at: after(187).filter(|_| finished),
        };
        self.next_number = self.next_number.saturating_add(1);
        if self.builds.len() == KEPT_BUILDS {
            self.builds.pop_front();
        }
        self.builds.push_back(build.clone());
        build
    }
}

fn short(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        let end = (0..=MAX_TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    text
}
