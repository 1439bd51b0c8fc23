//! From the other system: page by page; where it goes on is written in the transaction of the page.
//!
//! A run asks for what has changed since the run before began, by the other system's clock and a little earlier. What
//! changes while it is under way comes with the next one; what comes twice is recognised by its content.

use chrono::{DateTime, TimeDelta, Utc};
use fairlane::{Context, Error, JobError, JobResult, Transaction};
use reqwest::Url;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::apply::{self, Taking};
use super::connection::{Direction, Entity};
use super::deletions;
use super::dialects::{EntitySpec, Page, Speaker};
use super::http::{Answer, Outgoing};
use super::job::{SyncExternalData, tell_end};
use super::pages::{Given, Place, Watch};
use super::session::{Session, Stop};
use crate::erp::Erp;
use crate::erp::store::now;
use crate::erp::store::sync::cursors::{self, Cursor};
use crate::erp::store::sync::logs::{self, Counts};
use crate::erp::store::sync::{Of, connections, refs};

/// Where a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The page.
    pub place: Place,
    /// Sees when the list goes in circles.
    pub watch: Watch,
    /// When the run began, by the other system's clock.
    pub began: Option<DateTime<Utc>>,
    /// Whether the list has been read to its end; then what is missing from it is looked at.
    pub read: bool,
    /// Whether what is missing may be made inactive: that was asked once, before the first was.
    pub sweeping: bool,
    /// The mark of the list, where its first page was its last.
    pub etag: Option<String>,
    /// What is to be said at the end.
    pub remark: Option<String>,
    /// The full run before this one.
    pub run_before: i64,
    /// Whether there was a record without an id: then nobody knows what is missing.
    pub nameless: bool,
    /// Records so far.
    pub records: u64,
}

/// A run from the other system.
pub(super) struct Pull<'a> {
    pub(super) ctx: &'a Context<Erp>,
    pub(super) session: Session<'a>,
    pub(super) spec: &'a EntitySpec,
    pub(super) of: Of,
    pub(super) run: i64,
    pub(super) is_full: bool,
    /// Who asked for it.
    pub(super) asked_by: Option<i64>,
    /// Whether a page was taken over since the worker began.
    pub(super) progressed: bool,
}

impl Pull<'_> {
    /// Goes on with the run to its end.
    pub(super) async fn run(&mut self) -> Result<JobResult, Stop> {
        let (mut cursor, mut position) = self.begin().await?;
        while !position.read {
            position = self.page(&mut cursor, position).await?;
            self.progressed = true;
            if self.ctx.should_yield() {
                return Err(Stop::Interrupted);
            }
        }
        if self.is_full && matches!(self.of.entity, Entity::Products | Entity::Customers) {
            position = deletions::sweep(self, &mut cursor, position).await?;
        }
        Ok(self.finish(cursor, position).await)
    }

    /// Where it goes on, or begins.
    async fn begin(&self) -> Result<(Cursor, Position), Stop> {
        let mut tx = self.ctx.begin().await?;
        let cursor = cursors::find(&mut tx.conn(), self.of).await?;
        if let Some((run, position)) = &cursor.under_way
            && *run == self.run
        {
            let position = position.clone();
            return Ok((cursor, position));
        }
        let run_before = refs::run_before(&mut tx.conn(), self.of, self.run).await?;
        Ok((cursor, Position { run_before, ..Position::default() }))
    }

    /// Who asks in the system's language.
    pub(super) fn speaker(&self) -> Speaker<'_> {
        Speaker {
            connection: self.session.connection,
            endpoint: &self.session.endpoint,
            spec: self.spec,
            secret: &self.session.secret,
        }
    }

    /// Reads a page and takes it over.
    async fn page(&mut self, cursor: &mut Cursor, position: Position) -> Result<Position, Stop> {
        let since = if self.is_full { None } else { cursor.since };
        let mut request = self.speaker().list(&position.place, since)?;
        let is_first = position.place == Place::Start;
        if is_first && !self.is_full {
            ask_for_news(&mut request, cursor.etag.as_deref());
        }
        let answer = self.session.ask(&request).await?;
        match answer.status {
            304 if is_first => return Ok(Position { read: true, etag: cursor.etag.clone(), ..position }),
            200..=299 => {}
            _ => {
                let code = if answer.status == 404 { "list_not_found" } else { "remote_refused" };
                return Err(Stop::GiveUp(code, self.session.told(&answer)));
            }
        }
        let page = self.read(&answer).await?;
        self.session.understood().await?;
        let given = Given {
            answer: &answer,
            body: &page.body,
            asked: &request.url,
            ids: &page.ids,
            count: page.count,
            page_size: self.speaker().asked_size(),
        };
        let next = self.spec.paging.next(&position.place, &given, &self.session.endpoint)?;
        let mut after = position;
        after.watch.note(&page.ids, next.as_ref(), self.session.connection.settings.max_pages)?;
        after.records += page.records.len() as u64;
        after.nameless |= page.records.iter().any(|record| matches!(record, Err((id, _)) if id.is_empty()));
        if is_first {
            after.began = answer.date();
            after.etag = next.is_none().then(|| mark(&request.url, &answer)).flatten();
        }
        match next {
            Some(next) => after.place = next,
            None => after.read = true,
        }
        self.write(cursor, after, page.records).await
    }

    /// What a page says, with the lines that are a list of their own.
    async fn read(&mut self, answer: &Answer) -> Result<Page, Stop> {
        let mut body = self.body(answer).await?;
        if let Some(request) = self.speaker().lines(&body)? {
            let answer = self.session.ask(&request).await?;
            if !(200..=299).contains(&answer.status) {
                return Err(Stop::GiveUp("remote_refused", self.session.told(&answer)));
            }
            let lines = self.body(&answer).await?;
            body = self.speaker().with_lines(body, &lines);
        }
        match self.speaker().page(body) {
            Ok(page) => Ok(page),
            Err(error) => Err(self.session.failed(error.into()).await),
        }
    }

    async fn body(&mut self, answer: &Answer) -> Result<Value, Stop> {
        match self.speaker().body(answer) {
            Ok(body) => Ok(body),
            Err(error) => Err(self.session.failed(error.into()).await),
        }
    }

    /// The page's records, and where it goes on: one commit.
    async fn write(
        &mut self,
        cursor: &mut Cursor,
        mut after: Position,
        records: Vec<Result<super::record::Record, (String, String)>>,
    ) -> Result<Position, Stop> {
        let mut tx = self.ctx.begin().await?;
        if after.began.is_none() {
            after.began = Some(now(&mut tx.conn()).await?);
        }
        let tenant = self.ctx.tenant();
        let taking = Taking {
            tenant: &tenant,
            connection: self.session.connection,
            of: self.of,
            run: self.run,
            is_full: self.is_full,
            adds_up: self.spec.adds_up,
        };
        let counts = apply::take(&mut tx, taking, records).await.map_err(Stop::Database)?;
        self.store(tx, cursor, &after, counts).await?;
        Ok(after)
    }

    /// Commits what a step has come to, with where it goes on.
    pub(super) async fn store(
        &mut self,
        mut tx: Transaction,
        cursor: &mut Cursor,
        after: &Position,
        counts: Counts,
    ) -> Result<(), Stop> {
        cursor.under_way = Some((self.run, after.clone()));
        let conn = &mut tx.conn();
        cursors::save(conn, self.of, cursor).await?;
        logs::add(conn, self.of.tenant, self.run, &Counts { requests: self.session.requests, ..counts })
            .await?;
        tx.checkpoint(after)?;
        tx.progress(after.records, None);
        tx.commit().await?;
        self.session.requests = 0;
        Ok(())
    }

    /// Changes up to the run's beginning are known now, and it is done: one commit.
    async fn finish(&mut self, cursor: Cursor, position: Position) -> JobResult {
        let overlap =
            i64::try_from(self.session.connection.settings.overlap_seconds).unwrap_or(i64::MAX / 1000);
        let overlap = TimeDelta::try_seconds(overlap).unwrap_or_default();
        let mut tx = self.ctx.begin().await?;
        let since = position.began.and_then(|began| began.checked_sub_signed(overlap));
        let done = Cursor { since: since.or(cursor.since), etag: position.etag, under_way: None };
        cursors::save(&mut tx.conn(), self.of, &done).await?;
        let requests = Counts { requests: self.session.requests, ..Counts::default() };
        logs::add(&mut tx.conn(), self.of.tenant, self.run, &requests).await?;
        logs::complete(&mut tx.conn(), self.of.tenant, self.run, position.remark.as_deref()).await?;
        let asked = (self.session.connection.name.as_str(), self.asked_by);
        tell_end(&mut tx, &self.ctx.tenant(), self.run, asked).await?;
        self.ctx.complete_in(tx).await
    }
}

/// Runs one entity in one direction.
pub(super) async fn run(job: &SyncExternalData, ctx: &Context<Erp>) -> JobResult {
    let tenant = ctx.job().tenant_id;
    let wait = ctx.state.sync.wait;
    let mut tx = ctx.begin().await?;
    let connection = connections::by_id(&mut tx.conn(), tenant, job.connection_id).await?;
    let Some(connection) = connection else {
        let why = format!("connection {} does not exist", job.connection_id);
        return Err(JobError::discard(why).code("connection_missing"));
    };
    if !logs::start(&mut tx.conn(), tenant, job.run, ctx.job().id).await? {
        let why = format!("sync run {} does not exist, or is done", job.run);
        return Err(JobError::discard(why).code("run_missing"));
    }
    tx.commit().await?;
    let off = || Stop::GiveUp("connection_off", format!("connection {} is switched off", connection.name));
    let description = match connection.active {
        true => connection.description().map_err(Stop::from),
        false => Err(off()),
    };
    let opened =
        description.and_then(|all| Ok((all.entity(job.entity)?.clone(), Session::open(ctx, &connection)?)));
    let (spec, session) = match opened {
        Ok(opened) => opened,
        Err(stop) => return Err(stop.decide(false, wait)),
    };
    let of = Of { tenant, connection: connection.id, entity: job.entity };
    let (is_full, asked_by) = (job.full, job.asked_by);
    let mut run = Pull { ctx, session, spec: &spec, of, run: job.run, is_full, asked_by, progressed: false };
    let ended = match job.direction {
        Direction::Pull => run.run().await,
        Direction::Push => super::push::run(&mut run).await,
    };
    match ended {
        Ok(result) => result,
        Err(stop) => {
            count_requests(&mut run, &stop).await?;
            Err(stop.decide(run.progressed, wait))
        }
    }
}

/// Requests that came to nothing count too.
async fn count_requests(run: &mut Pull<'_>, stop: &Stop) -> Result<(), Error> {
    let requests = Counts { requests: run.session.requests, ..Counts::default() };
    if requests.requests == 0 || matches!(stop, Stop::Database(_)) {
        return Ok(());
    }
    let mut tx = run.ctx.begin().await?;
    logs::add(&mut tx.conn(), run.of.tenant, run.run, &requests).await?;
    tx.commit().await
}

/// Asks only for what is new, where the same list had one page and this mark.
fn ask_for_news(request: &mut Outgoing, etag: Option<&str>) {
    let Some((address, etag)) = etag.and_then(|etag| etag.split_once(' ')) else { return };
    if address == print(&request.url)
        && let Ok(value) = HeaderValue::from_str(etag)
    {
        request.headers.insert(IF_NONE_MATCH, value);
    }
}

fn mark(url: &Url, answer: &Answer) -> Option<String> {
    answer.header(ETAG.as_str()).map(|etag| format!("{} {etag}", print(url)))
}

fn print(url: &Url) -> String {
    Sha256::digest(url.as_str().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
