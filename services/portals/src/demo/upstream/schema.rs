//! The schema: a part of Buildkite's, with its names, types and nullability.

use super::state::{self, Builds, NewBuild};
use async_graphql::{Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use jiff::Timestamp;

const WEB: &str = "https://buildkite.example";
/// Entries of a list where nothing is asked.
const PAGE: usize = 50;
/// The most entries of a list.
const MAX_PAGE: usize = 500;

/// The root of queries.
pub(super) struct Query;
/// The root of mutations.
pub(super) struct Mutation;

/// Where a build stands.
#[derive(Clone, Copy, Enum, Eq, PartialEq)]
pub(super) enum BuildStates {
    /// It has yet to start.
    Scheduled,
    /// It passed.
    Passed,
}

/// Where a list begins and ends.
#[derive(SimpleObject)]
struct PageInfo {
    start_cursor: Option<String>,
    end_cursor: Option<String>,
    has_next_page: bool,
    has_previous_page: bool,
}

/// The user that a token belongs to.
#[derive(SimpleObject)]
struct User {
    id: ID,
    uuid: String,
    name: String,
    email: String,
    bot: bool,
}

struct Viewer;
struct Organization(&'static str);
struct Pipeline(state::Pipeline);
struct Build {
    pipeline: state::Pipeline,
    build: state::Build,
}

#[derive(SimpleObject)]
struct BuildEdge {
    cursor: String,
    node: Option<Build>,
}

#[derive(SimpleObject)]
struct BuildConnection {
    count: i32,
    edges: Option<Vec<Option<BuildEdge>>>,
    page_info: Option<PageInfo>,
}

#[derive(SimpleObject)]
struct PipelineEdge {
    cursor: String,
    node: Option<Pipeline>,
}

#[derive(SimpleObject)]
struct PipelineConnection {
    count: i32,
    edges: Option<Vec<Option<PipelineEdge>>>,
    page_info: Option<PageInfo>,
}

/// What a new build is to be.
#[derive(InputObject)]
struct BuildCreateInput {
    client_mutation_id: Option<String>,
    #[graphql(name = "pipelineID")]
    pipeline_id: ID,
    branch: Option<String>,
    commit: Option<String>,
    message: Option<String>,
    env: Option<Vec<String>>,
}

#[derive(SimpleObject)]
struct BuildCreatePayload {
    client_mutation_id: Option<String>,
    build: Option<Build>,
}

#[Object]
impl Query {
    async fn viewer(&self) -> Option<Viewer> {
        Some(Viewer)
    }

    async fn organization(&self, context: &Context<'_>, slug: Option<ID>) -> Result<Option<Organization>> {
        let slug = slug.ok_or_else(|| Error::new("Expected a slug"))?;
        let pipelines = context.data::<Builds>()?.pipelines();
        let found = pipelines.iter().find(|pipeline| pipeline.organization == slug.as_str());
        Ok(found.map(|pipeline| Organization(pipeline.organization)))
    }

    async fn pipeline(&self, context: &Context<'_>, slug: Option<ID>) -> Result<Option<Pipeline>> {
        let slug = slug.ok_or_else(|| Error::new("Expected a slug"))?;
        Ok(context.data::<Builds>()?.pipeline(&slug).map(Pipeline))
    }

    async fn build(&self, context: &Context<'_>, slug: Option<ID>) -> Result<Option<Build>> {
        let slug = slug.ok_or_else(|| Error::new("Expected a slug"))?;
        Ok(context.data::<Builds>()?.build(&slug).map(|(pipeline, build)| Build { pipeline, build }))
    }
}

#[Object]
impl Mutation {
    async fn build_create(
        &self,
        context: &Context<'_>,
        input: BuildCreateInput,
    ) -> Result<Option<BuildCreatePayload>> {
        let new = NewBuild {
            branch: input.branch.unwrap_or_else(|| "main".to_owned()),
            commit: input.commit.unwrap_or_else(|| "HEAD".to_owned()),
            message: input.message.unwrap_or_default(),
            env: input.env.unwrap_or_default(),
        };
        let made = context.data::<Builds>()?.create(&input.pipeline_id, new);
        let (pipeline, build) = made.ok_or_else(|| Error::new("No pipeline found"))?;
        let build = Some(Build { pipeline, build });
        Ok(Some(BuildCreatePayload { client_mutation_id: input.client_mutation_id, build }))
    }
}

#[Object]
impl Viewer {
    async fn id(&self) -> ID {
        "viewer-id".into()
    }

    async fn user(&self) -> Option<User> {
        Some(User {
            id: "user-id".into(),
            uuid: "0190d3f2-0000-7000-8000-000000000001".to_owned(),
            name: "Demo user".to_owned(),
            email: "demo@example.com".to_owned(),
            bot: false,
        })
    }
}

#[Object]
impl Organization {
    async fn id(&self) -> ID {
        format!("{}-id", self.0).into()
    }

    async fn slug(&self) -> &str {
        self.0
    }

    async fn name(&self) -> &str {
        self.0
    }

    async fn public(&self) -> bool {
        false
    }

    async fn pipelines(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> Result<Option<PipelineConnection>> {
        let mut all = context.data::<Builds>()?.pipelines();
        all.retain(|pipeline| pipeline.organization == self.0);
        let count = all.len();
        let (kept, page_info) = page(all, first, last, |pipeline| pipeline.id.clone());
        let edges = kept.into_iter().map(|pipeline| {
            Some(PipelineEdge { cursor: pipeline.id.clone(), node: Some(Pipeline(pipeline)) })
        });
        Ok(Some(PipelineConnection {
            count: int(count),
            edges: Some(edges.collect()),
            page_info: Some(page_info),
        }))
    }
}

#[Object]
impl Pipeline {
    async fn id(&self) -> ID {
        self.0.id.clone().into()
    }

    async fn slug(&self) -> &str {
        self.0.slug
    }

    async fn name(&self) -> &str {
        self.0.name
    }

    async fn url(&self) -> String {
        format!("{WEB}/{}", self.0.full_slug())
    }

    async fn default_branch(&self) -> Option<&str> {
        Some("main")
    }

    async fn organization(&self) -> Organization {
        Organization(self.0.organization)
    }

    /// Newest first.
    async fn builds(
        &self,
        first: Option<i32>,
        last: Option<i32>,
        branch: Option<Vec<String>>,
        commit: Option<Vec<String>>,
        state: Option<Vec<BuildStates>>,
    ) -> Option<BuildConnection> {
        let mut all: Vec<_> = self.0.builds.iter().rev().cloned().collect();
        all.retain(|build| {
            branch.as_ref().is_none_or(|names| names.contains(&build.branch))
                && commit.as_ref().is_none_or(|names| names.contains(&build.commit))
                && state.as_ref().is_none_or(|states| states.contains(&state_of(build)))
        });
        let count = all.len();
        let (kept, page_info) = page(all, first, last, |build| build.number.to_string());
        let edges = kept.into_iter().map(|build| {
            let cursor = build.number.to_string();
            Some(BuildEdge { cursor, node: Some(Build { pipeline: self.0.clone(), build }) })
        });
        Some(BuildConnection { count: int(count), edges: Some(edges.collect()), page_info: Some(page_info) })
    }
}

#[Object]
impl Build {
    async fn id(&self) -> ID {
        format!("{}-build-{}", self.pipeline.id, self.build.number).into()
    }

    async fn number(&self) -> i32 {
        self.build.number
    }

    async fn url(&self) -> String {
        format!("{WEB}/{}/builds/{}", self.pipeline.full_slug(), self.build.number)
    }

    async fn branch(&self) -> &str {
        &self.build.branch
    }

    async fn commit(&self) -> &str {
        &self.build.commit
    }

    async fn message(&self) -> Option<&str> {
        Some(&self.build.message)
    }

    async fn env(&self) -> Option<&[String]> {
        Some(&self.build.env)
    }

    async fn state(&self) -> BuildStates {
        state_of(&self.build)
    }

    async fn created_at(&self) -> Option<String> {
        Some(time(self.build.created_at))
    }

    async fn started_at(&self) -> Option<String> {
        self.build.started_at.map(time)
    }

    async fn finished_at(&self) -> Option<String> {
        self.build.finished_at.map(time)
    }

    async fn pipeline(&self) -> Pipeline {
        Pipeline(self.pipeline.clone())
    }

    async fn organization(&self) -> Organization {
        Organization(self.pipeline.organization)
    }
}

fn state_of(build: &state::Build) -> BuildStates {
    if build.finished_at.is_some() { BuildStates::Passed } else { BuildStates::Scheduled }
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The first or last entries of a list, and where they stand in it.
fn page<T>(
    mut all: Vec<T>,
    first: Option<i32>,
    last: Option<i32>,
    cursor: fn(&T) -> String,
) -> (Vec<T>, PageInfo) {
    let limit = |asked: Option<i32>| asked.map(|asked| usize::try_from(asked).unwrap_or(0).min(MAX_PAGE));
    let count = all.len();
    let mut skipped = 0;
    match (limit(first), limit(last)) {
        (None, Some(last)) => {
            skipped = count.saturating_sub(last);
            all.drain(..skipped);
        }
        (first, _) => all.truncate(first.unwrap_or(PAGE)),
    }
    let page_info = PageInfo {
        start_cursor: all.first().map(cursor),
        end_cursor: all.last().map(cursor),
        has_next_page: skipped + all.len() < count,
        has_previous_page: skipped > 0,
    };
    (all, page_info)
}
