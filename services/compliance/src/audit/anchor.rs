//! Anchors: the head of the log, told where whoever controls the data directory does not reach. Each is chained to the one
//! before, and the log tells of each, so that neither can be cut or put back without the other showing it.
use super::{GENESIS, canonical_json};
use crate::{Error, Result, config, store::Store};
use moneta_contracts::events::AuditAnchored;
use moneta_kit::entropy;
use moneta_types::{Cause, Clock, Timestamp, WallClock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Longest line of a file of anchors, bytes; ours have some 350.
const LONGEST_LINE: u64 = 4_096;

/// How long a webhook may take to answer, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;

/// One line of the file of anchors, and the body of a webhook's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// From 1, without gaps.
    pub anchor: u64,
    /// Entries of the log.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
    /// When it was made, real time.
    pub at: Timestamp,
    /// The digest of the anchor before; 64 zeros for the first.
    pub previous: String,
    /// SHA-256 of the canonical JSON of the other members.
    pub digest: String,
}

impl Anchor {
    /// The anchor after another, for a head.
    pub fn following(last: Option<&Self>, entries: u64, head: String, at: Timestamp) -> Self {
        let (number, previous) = last.map_or((0, GENESIS.to_owned()), |last| (last.anchor, last.digest.clone()));
        let mut anchor = Self { anchor: number + 1, entries, head, at, previous, digest: String::new() };
        anchor.digest = anchor.computed_digest();
        anchor
    }

    fn computed_digest(&self) -> String {
        let text = canonical_json(&json!({
            "anchor": self.anchor, "at": self.at, "entries": self.entries, "head": self.head, "previous": self.previous,
        }));
        hex::encode(Sha256::digest(text))
    }

    fn follows(&self, last: Option<&Self>) -> bool {
        let (number, previous) = last.map_or((0, GENESIS), |last| (last.anchor, last.digest.as_str()));
        self.anchor == number + 1 && self.previous == previous && self.digest == self.computed_digest()
    }
}

/// Reads a file of anchors; a line that is not one, or does not follow the one before, is an error that names it.
pub fn read_anchors(path: &Path) -> Result<Vec<Anchor>> {
    let wrong = |line: usize, problem: &'static str| Error::Anchors { path: path.to_owned(), line, problem };
    let failed = |source| Error::AnchorFile { path: path.to_owned(), source };
    let mut reader = BufReader::new(fs::File::open(path).map_err(failed)?);
    let mut anchors: Vec<Anchor> = Vec::new();
    loop {
        let (number, mut line) = (anchors.len() + 1, Vec::new());
        if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(anchors);
        }
        let anchor: Anchor =
            serde_json::from_slice(&line).map_err(|_| wrong(number, "is not an anchor: it was changed or cut off"))?;
        // A webhook may be told twice when the process dies between its answer and our note of it.
        if anchors.last() == Some(&anchor) {
            continue;
        }
        if !anchor.follows(anchors.last()) {
            return Err(wrong(number, "does not follow the one before: it was changed, or lines were removed"));
        }
        anchors.push(anchor);
    }
}

/// Makes anchors at start, on a timer and at shutdown.
pub struct Anchoring {
    store: Store,
    config: config::Anchor,
    clock: Clock,
    wall: Arc<dyn WallClock>,
    /// The file may have a line, or part of one, of which the log does not tell.
    doubtful: AtomicBool,
}

impl Anchoring {
    /// Anchors of a log, as configured; without a file and a webhook nothing is done.
    pub const fn new(store: Store, config: config::Anchor, clock: Clock, wall: Arc<dyn WallClock>) -> Self {
        Self { store, config, clock, wall, doubtful: AtomicBool::new(false) }
    }

    /// How long to wait between anchors; none when nowhere is configured.
    pub fn every(&self) -> Option<Duration> {
        let wanted = self.config.file.is_some() || self.config.webhook.is_some();
        wanted.then(|| Duration::from_secs(self.config.every_seconds.max(1)))
    }

    /// The anchors of the file, brought in line with those that the store knows: a line that was written just before a
    /// crash is taken over, a file that is not there is begun with all of them. What is wrong otherwise.
    pub async fn settle(&self) -> Result<Result<Vec<Anchor>, String>> {
        let Some(path) = &self.config.file else { return Ok(Ok(Vec::new())) };
        let known = self.store.anchors().await?;
        if !path.exists() {
            if !known.is_empty() {
                tracing::warn!(path = %path.display(), "the file of anchors is not there; it is written again");
            }
            for anchor in &known {
                append(path.clone(), anchor.clone()).await?;
            }
            return Ok(Ok(known));
        }
        let unfinished = fs::OpenOptions::new().read(true).write(true).open(path);
        unfinished
            .and_then(|mut file| cut_unfinished(&mut file))
            .map_err(|source| Error::AnchorFile { path: path.clone(), source })?;
        let outside = match read_anchors(path) {
            Ok(outside) => outside,
            Err(error @ Error::Anchors { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        if let Some(lacking) = known.get(outside.len()) {
            let path = path.display();
            return Ok(Err(format!("anchor {} is no longer in {path}: lines were removed from it", lacking.anchor)));
        }
        if outside.get(..known.len()) != Some(known.as_slice()) {
            return Ok(Err(format!("the anchors in {} are not those of this log", path.display())));
        }
        if outside.len() > known.len() + 1 {
            let (more, path) = (outside.len() - known.len(), path.display());
            return Ok(Err(format!(
                "{path} has {more} anchors that this log does not know: an old copy of it was put back"
            )));
        }
        if let [unfinished] = outside.get(known.len()..).unwrap_or_default() {
            // Taken over only when it is of this log; otherwise the verification against it says so.
            let entry = self.store.entries_after(unfinished.entries.saturating_sub(1), 1).await?.pop();
            if entry.is_some_and(|entry| entry.sequence == unfinished.entries && entry.hash == unfinished.head) {
                self.tell(unfinished).await?;
            }
        }
        Ok(Ok(outside))
    }

    /// Tells the head where it is configured, unless nothing new is in the log.
    pub async fn anchor(&self) -> Result<()> {
        if self.doubtful.load(Ordering::SeqCst) {
            if let Err(problem) = self.settle().await? {
                tracing::warn!(problem, "the file of anchors is not as it was left");
            }
            self.doubtful.store(false, Ordering::SeqCst);
        }
        let last = self.store.anchors().await?.pop();
        let Some(head) = self.store.sealed_head().await?.filter(|head| head.sequence > 0) else { return Ok(()) };
        if self.store.news_after(last.as_ref().map_or(0, |last| last.entries)).await? == 0 {
            return Ok(());
        }
        let anchor = Anchor::following(last.as_ref(), head.sequence, head.hash, self.wall.now());
        if let Some(path) = &self.config.file {
            self.doubtful.store(true, Ordering::SeqCst);
            append(path.clone(), anchor.clone()).await?;
        }
        self.tell(&anchor).await?;
        self.doubtful.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the webhook every anchor that it has not taken, in their order: what it missed while it was down follows.
    pub async fn deliver(&self) -> Result<()> {
        let Some(url) = &self.config.webhook else { return Ok(()) };
        for anchor in self.store.anchors_to_post().await? {
            post(url, &anchor).await?;
            self.store.posted(anchor.anchor).await?;
        }
        Ok(())
    }

    /// Remembers an anchor and tells of it in the log.
    async fn tell(&self, anchor: &Anchor) -> Result<()> {
        let mut tx = self.store.begin().await?;
        self.store.add_anchor(&mut tx, anchor).await?;
        let event = AuditAnchored {
            anchor: anchor.anchor,
            entries: anchor.entries,
            head: anchor.head.clone(),
            digest: anchor.digest.clone(),
        };
        tx.publish(&event, Cause::named(&format!("audit anchor {}", anchor.digest)), &self.clock).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Cuts off what follows the last end of a line: a line whose writing a full disk or a crash has ended half-way. Nobody
/// was told of its anchor yet.
fn cut_unfinished(file: &mut fs::File) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    (&*file).take(LONGEST_LINE).read_to_end(&mut end)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    if from + whole < length && (whole > 0 || from == 0) {
        file.set_len(from + whole)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Adds a line and waits for the disk.
async fn append(path: PathBuf, anchor: Anchor) -> Result<()> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::AnchorFile { path, source }
    };
    let line = format!("{}\n", serde_json::to_string(&anchor)?);
    let work = move || {
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(failed(&path))?;
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&path))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}

async fn post(url: &str, anchor: &Anchor) -> Result<()> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(Error::Webhook)?;
    for attempt in 1.. {
        let answer = client.post(url).json(anchor).send().await.and_then(reqwest::Response::error_for_status);
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if attempt >= ATTEMPTS => return Err(Error::Webhook(error)),
            Err(_) => entropy::pause(Duration::from_millis(250 << attempt)).await,
        }
    }
    Ok(())
}
