//! The relay: takes a service's events from its outbox to the bus.
use super::{EventBus, Result};
use crate::{entropy, store::Db};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A commit of this process wakes the relay at once. Other processes (the command line) may write to the same database,
/// and nobody wakes the relay for them, so it also looks now and then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Published rows are removed with one statement for so many; until then they are only known to be published, and a relay
/// that starts again after a crash publishes them once more.
const SWEEP: usize = 200;

/// Publishes until `shutdown`, and once more after it, so that an orderly stop leaves nothing behind.
pub(crate) async fn relay(db: Db, bus: Arc<dyn EventBus>, shutdown: CancellationToken) {
    let mut relay = Relay::new(db, bus);
    let mut failures = 0_u32;
    loop {
        let stopping = shutdown.is_cancelled();
        match relay.publish_all().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                let service = relay.db.service();
                tracing::warn!(service, error = %crate::problem::chain(&error), "cannot publish events");
                if !stopping {
                    entropy::pause(Duration::from_millis(20 << failures.min(8))).await;
                    continue;
                }
            }
        }
        if stopping || relay.unswept >= SWEEP {
            relay.sweep().await;
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = relay.db.outbox_written() => {}
            () = shutdown.cancelled() => {}
            () = entropy::pause(LOOK_EVERY) => {
                relay.sweep().await;
                if let Err(error) = relay.db.outbox_reconcile(relay.published).await {
                    tracing::warn!(service = relay.db.service(), error = %error, "cannot count the outbox");
                }
            }
        }
    }
}

struct Relay {
    db: Db,
    bus: Arc<dyn EventBus>,
    /// The last row that is on the bus.
    published: i64,
    /// Rows up to there that are still in the table.
    unswept: usize,
}

impl Relay {
    const fn new(db: Db, bus: Arc<dyn EventBus>) -> Self {
        Self { db, bus, published: 0, unswept: 0 }
    }

    async fn publish_all(&mut self) -> Result<()> {
        loop {
            if self.db.outbox_doubtful()
                && let Err(error) = self.db.outbox_reconcile(self.published).await
            {
                self.db.outbox_doubts();
                return Err(error.into());
            }
            // The counter is raised before a commit, and whoever commits wakes the relay afterwards; so nothing can be
            // there when it is zero, and what comes after a short batch brings its own wake.
            if self.db.outbox_pending() == 0 {
                return Ok(());
            }
            let (last, batch) = self.db.outbox_batch(self.published).await?;
            if batch.is_empty() {
                return Ok(());
            }
            // A crash between publishing and sweeping publishes the batch again; the bus knows the events by their ids.
            self.bus.publish(&batch).await?;
            self.published = last;
            self.unswept += batch.len();
            self.db.outbox_published(batch.len());
            metrics::counter!("moneta_events_published_total", "service" => self.db.service().to_owned())
                .increment(batch.len() as u64);
        }
    }

    async fn remember_and_sweep(&self) -> Result<()> {
        self.bus.remember_source(self.db.service(), self.published).await?;
        Ok(self.db.outbox_sweep(self.published).await?)
    }

    /// Removes what is published; a failure is tried again with the next one.
    async fn sweep(&mut self) {
        if self.unswept == 0 {
            return;
        }
        match self.remember_and_sweep().await {
            Ok(()) => self.unswept = 0,
            Err(error) => {
                let error = crate::problem::chain(&error);
                tracing::warn!(service = self.db.service(), %error, "cannot remove published events");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every step from a command to its neighbour's effect, with a crash after each: the effect happens once.
    use super::*;
    use crate::{
        args,
        bus::{EmbeddedBus, EmbeddedOptions, Envelope, Handler, HandlerError},
        entropy::SystemClock,
        store::{Durability, Migration, sqlite_url},
    };
    use async_trait::async_trait;
    use moneta_contracts::events::Event;
    use moneta_types::{Cause, Clock};
    use serde::{Deserialize, Serialize};
    use std::path::Path;

    const MIGRATIONS: &[Migration] = &[Migration {
        version: 1,
        name: "0001_ledger",
        sqlite: "CREATE TABLE entries (id TEXT PRIMARY KEY);\nCREATE TABLE balance (total BIGINT NOT NULL);\n\
                 INSERT INTO balance (total) VALUES (0);\n",
        postgres: "",
    }];

    #[derive(Debug, Serialize, Deserialize)]
    struct Paid {
        amount: i64,
    }

    impl Event for Paid {
        const TYPE: &'static str = "payments.paid.v1";
        fn subject(&self) -> String {
            "account".to_owned()
        }
    }

    /// Where the power goes.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Crash {
        BeforeCommit,
        BeforePublish,
        BeforeMark,
        BeforeSweep,
        InHandler,
        BeforeCursor,
        Never,
    }

    struct World {
        payer: Db,
        ledger: Db,
        bus: Arc<EmbeddedBus>,
    }

    impl World {
        async fn open(folder: &Path) -> Self {
            let db = |name: &'static str| {
                let url = sqlite_url(&folder.join(format!("{name}.db")));
                async move { Db::open_with(&url, name, MIGRATIONS, Durability::Process).await.unwrap() }
            };
            let options = EmbeddedOptions { durability: Durability::Process, ..EmbeddedOptions::default() };
            let bus = Arc::new(EmbeddedBus::open(&folder.join("bus"), options).await.unwrap());
            bus.subscribe("ledger", &[Paid::TYPE]).await.unwrap();
            Self { payer: db("payer").await, ledger: db("ledger").await, bus }
        }

        /// The command: idempotent by its cause, as every command is.
        async fn pay(&self, cause: Cause, crash: Crash) {
            let mut tx = self.payer.begin().await.unwrap();
            let id = cause.derive("entry");
            let new = "INSERT INTO entries (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
            if tx.execute(new, args![id]).await.unwrap() == 0 {
                return;
            }
            tx.publish(&Paid { amount: 10 }, cause, &Clock::wall(Arc::new(SystemClock))).await.unwrap();
            if crash != Crash::BeforeCommit {
                tx.commit().await.unwrap();
            }
        }

        async fn relay(&self, crash: Crash) {
            if crash == Crash::BeforeMark {
                let (_, batch) = self.payer.outbox_batch(0).await.unwrap();
                self.bus.publish(&batch).await.unwrap();
                return;
            }
            let mut relay = Relay::new(self.payer.clone(), self.bus.clone());
            relay.publish_all().await.unwrap();
            if crash != Crash::BeforeSweep {
                relay.sweep().await;
            }
        }

        async fn consume(&self, crash: Crash) {
            let (done, mut finished) = tokio::sync::mpsc::channel(8);
            let handler = Arc::new(Ledger { db: self.ledger.clone(), crash, done });
            let bus = Arc::clone(&self.bus);
            let consumer = tokio::spawn(async move { bus.consume("ledger", handler, CancellationToken::new()).await });
            if crash == Crash::Never {
                Quiet::new(self.bus.clone(), Vec::new()).wait().await;
            } else {
                finished.recv().await;
            }
            consumer.abort();
        }
    }

    use crate::bus::Quiet;

    struct Ledger {
        db: Db,
        crash: Crash,
        done: tokio::sync::mpsc::Sender<()>,
    }

    #[async_trait]
    impl Handler for Ledger {
        async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
            let paid: Paid = event.decode()?;
            let mut tx = self.db.begin().await?;
            if tx.first_time("ledger", event.id).await? {
                tx.execute("UPDATE balance SET total = total + $1", args![paid.amount]).await?;
                if self.crash != Crash::InHandler {
                    tx.commit().await?;
                }
            }
            if self.crash != Crash::Never {
                self.done.send(()).await.unwrap();
                // The process dies here: the handler never returns.
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crash_between_any_two_steps_leaves_one_effect() {
        use Crash::{BeforeCommit, BeforeCursor, BeforeMark, BeforePublish, BeforeSweep, InHandler, Never};
        for crash in [BeforeCommit, BeforePublish, BeforeMark, BeforeSweep, InHandler, BeforeCursor, Never] {
            let folder = tempfile::tempdir().unwrap();
            let cause = Cause::named("payment");
            {
                let world = World::open(folder.path()).await;
                world.pay(cause, crash).await;
                if !matches!(crash, BeforeCommit | BeforePublish) {
                    world.relay(crash).await;
                }
                if matches!(crash, InHandler | BeforeCursor | Never) {
                    world.consume(crash).await;
                }
            }
            // The client did not hear of success, so it asks again; then everything runs to its end.
            let world = World::open(folder.path()).await;
            world.pay(cause, Never).await;
            world.relay(Never).await;
            world.consume(Never).await;
            let total = world.ledger.fetch_one("SELECT total FROM balance", args![]).await.unwrap();
            assert_eq!(total.int("total").unwrap(), 10, "{crash:?}");
            assert_eq!(world.bus.read(0, 10).await.unwrap().len(), 1, "{crash:?}");
            assert_eq!(world.payer.outbox_pending(), 0, "{crash:?}");
        }
    }

    #[tokio::test]
    async fn what_another_process_wrote_is_counted_and_published() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (World::open(folder.path()).await, World::open(folder.path()).await);
        two.pay(Cause::named("from elsewhere"), Crash::Never).await;
        assert_eq!(one.payer.outbox_pending(), 0, "this process was not told");
        assert_eq!(one.payer.outbox_reconcile(0).await.unwrap(), 1);
        assert_eq!(one.payer.outbox_pending(), 1);
        one.relay(Crash::Never).await;
        assert_eq!(one.payer.outbox_pending(), 0);
        assert_eq!(one.bus.read(0, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_commit_that_is_cut_off_leaves_no_false_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let world = World::open(folder.path()).await;
        let mut relay = Relay::new(world.payer.clone(), world.bus.clone());
        for nth in 0..50 {
            let payment = world.pay(Cause::named(&format!("payment {nth}")), Crash::Never);
            // Cut off at a different point each time.
            let _ = tokio::time::timeout(Duration::from_micros(20 * nth), payment).await;
            relay.publish_all().await.unwrap();
            let left = "SELECT COUNT(*) AS n FROM outbox WHERE sequence > $1";
            let left = world.payer.fetch_one(left, args![relay.published]).await.unwrap();
            assert!(world.payer.outbox_pending() >= left.get::<u64>("n").unwrap());
        }
        world.payer.outbox_reconcile(relay.published).await.unwrap();
        relay.publish_all().await.unwrap();
        assert_eq!(world.payer.outbox_pending(), 0);
        relay.sweep().await;
        let rows = world.payer.fetch_one("SELECT COUNT(*) AS n FROM outbox", args![]).await.unwrap();
        assert_eq!(rows.int("n").unwrap(), 0);
    }
}
