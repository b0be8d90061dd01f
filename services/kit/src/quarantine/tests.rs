//! What operators ask for at the same time, in both orders, and what comes while a unit is being repaired.
use super::{
    requests::{answer, asked, keep_asked},
    *,
};
use crate::store::sqlite_url;
use moneta_contracts::events::SessionClosed;
use moneta_types::Date;

fn unit() -> Unit {
    Unit::new("order", "7")
}

fn event(day: u32) -> Envelope {
    let closed = SessionClosed { date: Date::from_ymd_opt(2020, 1, day).unwrap() };
    Envelope::of(&closed, Cause::named(&format!("day {day}")), 0, "market-data", "", Timestamp::EPOCH).unwrap()
}

/// A database with a unit that missed one event.
async fn held(folder: &tempfile::TempDir) -> Db {
    let db = Db::open(&sqlite_url(&folder.path().join("trading.db")), "trading", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, &unit(), &event(1), &(), "it overflows", &clock()).await.unwrap();
    tx.commit().await.unwrap();
    db
}

fn clock() -> Clock {
    Clock::replay(Timestamp::EPOCH)
}

/// Redoes everything; while it does the first event, somebody asks for the release, and a second event is missed.
struct Interrupted;

#[async_trait]
impl Repair for Interrupted {
    async fn redo(&self, tx: &mut Tx, unit: &Unit, missed: &Missed) -> std::result::Result<(), HandlerError> {
        if missed.envelope == event(1) {
            miss(tx, unit, &event(2), &()).await?;
            let mut asked = asked(tx, unit).await?.unwrap();
            asked.push(("release".to_owned(), "grace".to_owned()));
            keep_asked(tx, unit, &asked).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_comes_while_a_unit_is_repaired_is_done_too_and_a_release_asked_for_meanwhile_follows() {
    let folder = tempfile::tempdir().unwrap();
    let db = held(&folder).await;
    assert!(request(&db, &unit(), &Request::Retry, "ada").await.unwrap());
    answer(&db, &Interrupted, &clock()).await.unwrap();
    let kept = list(&db).await.unwrap();
    assert_eq!((kept[0].missed, kept[0].requested.as_str()), (0, "release"), "{kept:?}");
    assert_eq!(kept[0].error, "what was missed is done; it can be released");
    answer(&db, &Interrupted, &clock()).await.unwrap();
    assert!(list(&db).await.unwrap().is_empty(), "the release that was asked for meanwhile is not lost");
    db.close().await;
}

#[tokio::test]
async fn a_retry_and_a_release_that_are_asked_for_at_once_are_done_in_the_order_of_asking() {
    for (first, second, left) in [(&Request::Retry, &Request::Release, 0), (&Request::Release, &Request::Retry, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let db = held(&folder).await;
        for (asked, by) in [(first, "ada"), (second, "grace"), (first, "ada")] {
            assert!(request(&db, &unit(), asked, by).await.unwrap());
        }
        answer(&db, &NothingToRedo, &clock()).await.unwrap();
        let kept = list(&db).await.unwrap();
        // A release before the repair is refused; the repair is then done all the same.
        assert_eq!(kept.len(), left, "{kept:?}");
        assert!(kept.iter().all(|entry| entry.missed == 0 && entry.requested.is_empty()), "{kept:?}");
        let told = db.fetch_all("SELECT envelope FROM outbox ORDER BY sequence", args![]).await.unwrap();
        let told: Vec<Envelope> = told.iter().map(|row| row.json("envelope").unwrap()).collect();
        let told: Vec<(String, String)> = told
            .iter()
            .map(|event| (event.decode::<QuarantineChanged>().unwrap().change, event.actor.clone()))
            .filter(|(change, _)| change != "quarantined")
            .collect();
        let expected: &[(&str, &str)] =
            if left == 0 { &[("repaired", "ada"), ("released", "grace")] } else { &[("repaired", "grace")] };
        assert_eq!(told.iter().map(|(change, by)| (change.as_str(), by.as_str())).collect::<Vec<_>>(), expected);
        db.close().await;
    }
}
