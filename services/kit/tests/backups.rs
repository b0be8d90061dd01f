//! Backups: each brings back its own instant and nothing later, little is stored twice, old ones go without harm to the others,
//! and what was changed or taken away is noticed.
#![allow(clippy::unwrap_used)]
mod common;

use common::directory::{copy, files, start, throw, worked_in};
use moneta_kit::{
    args,
    backup::{self, Error, Keep, Secret},
    erasures::{Erasure, FILE, Ledger},
    keys::KeyRing,
    runner::Running,
    store::Db,
};
use moneta_types::{Cause, Timestamp, UserId};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

fn passphrase() -> Secret {
    Secret::from_passphrase("correct horse battery staple".to_owned()).unwrap()
}

/// A key, which needs no stretching, for tests that open a repository often.
fn key(folder: &Path) -> Secret {
    let path = folder.join("backup.key");
    fs::write(&path, "5a".repeat(32)).unwrap();
    Secret::from_file(&path).unwrap()
}

/// How many balls a store has, the last one, and their sum.
async fn balls(db: &Db) -> (i64, i64, i64) {
    let sql = "SELECT COUNT(*) AS n, COALESCE(MAX(id), 0) AS last, COALESCE(SUM(id), 0) AS total FROM balls";
    let row = db.fetch_one(sql, args![]).await.unwrap();
    (row.int("n").unwrap(), row.int("last").unwrap(), row.int("total").unwrap())
}

/// The first ball of the load.
const FIRST: u32 = 10;

/// Throws balls from one service to the other until it is told to stop, and counts those that are in both stores.
async fn load(running: &Running, stop: &AtomicBool, done: &AtomicU32) {
    let mut ball = FIRST;
    while !stop.load(Ordering::SeqCst) {
        // In this order, so that a state in which trading has the ball and portfolio does not never existed.
        throw(running.db("portfolio").unwrap(), running, ball).await;
        throw(running.db("trading").unwrap(), running, ball).await;
        ball += 1;
        done.store(ball - FIRST, Ordering::SeqCst);
    }
}

/// Bytes of a file that stays the same.
const WEIGHTS: usize = 16 << 20;

/// Bytes that nothing repeats.
fn noise(count: usize, mut state: u32) -> Vec<u8> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_backup_under_load_brings_back_its_own_instant_everything_before_and_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe) = (folder.path().join("data"), folder.path().join("safe"));
    let running = Arc::new(start(&data).await.unwrap());
    fs::create_dir_all(data.join("models/artifacts")).unwrap();
    fs::write(data.join("models/artifacts/weights"), noise(WEIGHTS, 7)).unwrap();

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (thrower, until, counted) = (Arc::clone(&running), Arc::clone(&stop), Arc::clone(&done));
    let throwing = tokio::spawn(async move { load(&thrower, &until, &counted).await });
    let mut taken = Vec::new();
    for _ in 0..4 {
        let before = done.load(Ordering::SeqCst);
        let one = backup::take(&data, &safe, passphrase(), false).await.unwrap();
        // One may be on its way beyond those that are counted.
        taken.push((one, i64::from(before), i64::from(done.load(Ordering::SeqCst)) + 1));
    }
    stop.store(true, Ordering::SeqCst);
    throwing.await.unwrap();
    assert!(taken[1].0.new_bytes < taken[0].0.new_bytes / 2, "what did not change is not stored twice: {taken:?}");
    let (verified, unused) = backup::verify(&safe, passphrase(), None, None).await.unwrap();
    assert_eq!((verified.len(), unused), (4, 0));

    let mut seen = 0;
    for (nth, (one, least, most)) in taken.iter().enumerate() {
        let target = folder.path().join(format!("restored {nth}"));
        // A time between two backups is that of the one before.
        let next = taken.get(nth + 1).map_or(one.taken_at.micros() + 2, |(next, ..)| next.taken_at.micros());
        let between = Timestamp::from_micros(one.taken_at.micros() + (next - one.taken_at.micros()) / 2);
        let restored = backup::restore(&safe, passphrase(), None, Some(between), &target).await.unwrap();
        assert_eq!((&restored.id, restored.taken_at), (&one.id, one.taken_at), "the newest that is not after the time");
        assert!(restored.needs_master_key.is_some() && !target.join("keys").exists(), "the keys stay at home");
        assert_eq!(restored.keys_to_come, ["keys/identity.key"]);
        let refused = start(&target).await.unwrap_err().to_string();
        assert!(refused.contains("master.key"), "without its key nothing is made anew: {refused}");
        copy(&data.join("keys"), &target.join("keys"));
        let back = start(&target).await.unwrap();
        back.quiet().wait().await;
        let (first, last, total) = balls(back.db("portfolio").unwrap()).await;
        let (second, ..) = balls(back.db("trading").unwrap()).await;
        assert!(first == second || first == second + 1, "one instant: {first} and {second}");
        assert!((*least..=*most).contains(&first), "{first} balls, of which {least} were done before, {most} after");
        let start = i64::from(FIRST);
        assert_eq!(last, start + first - 1, "everything before the last one");
        assert_eq!(total, (start..start + first).sum::<i64>(), "and each once");
        assert!(first >= seen, "a later backup has no less");
        seen = first;
        // Every event of every store is on the log, and none of which its store knows nothing.
        let mut log = Vec::new();
        loop {
            let page = back.bus().read(log.last().copied().unwrap_or(0), 1_000).await.unwrap();
            if page.is_empty() {
                break;
            }
            log.extend(page.iter().map(|event| event.sequence));
        }
        assert_eq!(i64::try_from(log.len()).unwrap(), first + second, "the log is that of the stores");
        assert_eq!(fs::read(target.join("models/artifacts/weights")).unwrap().len(), WEIGHTS);
        back.shutdown().await;
    }
    let Ok(running) = Arc::try_unwrap(running) else { panic!("somebody still runs") };
    running.shutdown().await;
}

/// Rows of a store that is large for what changes in it.
const ROWS: u32 = 4_000;

/// How many of a database's pages are in an earlier copy of it, in per cent: what an incremental backup can know again.
fn known_pages(before: &Path, after: &Path) -> f64 {
    let (before, after) = (fs::read(before).unwrap(), fs::read(after).unwrap());
    let known: std::collections::HashSet<&[u8]> = before.chunks(4096).collect();
    let found = after.chunks(4096).filter(|page| known.contains(page)).count();
    100.0 * found as f64 / after.chunks(4096).count() as f64
}

/// A text whose bytes nothing repeats, longer than a page can hold.
fn text(nth: u32) -> String {
    noise(3_000, nth).iter().map(|byte| char::from(b'a' + byte % 26)).collect::<String>().repeat(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_changed_a_little_is_stored_again_a_little_and_shows_nothing_that_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe) = (folder.path().join("data"), folder.path().join("safe"));
    let running = start(&data).await.unwrap();
    let db = running.db("portfolio").unwrap().clone();
    let mut tx = db.begin().await.unwrap();
    for nth in 0..ROWS {
        tx.execute("INSERT INTO texts (id, text) VALUES ($1, $2)", args![nth, text(nth)]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let secret = key(folder.path());
    let first = backup::take(&data, &safe, secret.clone(), false).await.unwrap();
    // As backups were copied before: from the beginning, with pages numbered anew.
    let anew = async |name: &str| {
        let path = folder.path().join(name);
        db.fetch_all("VACUUM INTO $1", args![path.to_str().unwrap()]).await.unwrap();
        path
    };
    let anew_before = anew("anew before").await;

    // One in a hundred goes, as many come, and some of those that stay become longer.
    let mut tx = db.begin().await.unwrap();
    for nth in 0..ROWS / 100 {
        tx.execute("DELETE FROM texts WHERE id = $1", args![nth * 17]).await.unwrap();
        let added = args![ROWS + nth, text(ROWS + nth)];
        tx.execute("INSERT INTO texts (id, text) VALUES ($1, $2)", added).await.unwrap();
    }
    tx.execute("UPDATE texts SET text = text || 'zephyrine' WHERE id BETWEEN 900 AND 905", args![]).await.unwrap();
    tx.commit().await.unwrap();
    let second = backup::take(&data, &safe, secret.clone(), false).await.unwrap();
    let anew_after = anew("anew after").await;
    let share = 100.0 * second.new_bytes as f64 / first.new_bytes as f64;
    println!("of {} bytes {} were stored again: {share:.1} %", first.new_bytes, second.new_bytes);
    assert!(share < 35.0, "{share:.1} % were stored again");

    // A copy of pages has free ones too: what was deleted is not in them.
    tx = db.begin().await.unwrap();
    tx.execute("DELETE FROM texts WHERE id BETWEEN 800 AND 1000", args![]).await.unwrap();
    tx.commit().await.unwrap();
    let third = backup::take(&data, &safe, secret.clone(), false).await.unwrap();
    running.shutdown().await;
    let mut copies = Vec::new();
    for one in [&first, &second] {
        let target = folder.path().join(format!("copy of {}", one.id));
        backup::restore(&safe, secret.clone(), Some(one.id.clone()), None, &target).await.unwrap();
        copies.push(target.join("portfolio/portfolio.db"));
    }
    let (vacuumed, copied) = (known_pages(&anew_before, &anew_after), known_pages(&copies[0], &copies[1]));
    println!("pages known again: {vacuumed:.1} % of a copy that is written anew, {copied:.1} % of one page by page");
    assert!(copied > 90.0 && copied > vacuumed, "{copied:.1} % and {vacuumed:.1} %");
    for (backup, there) in [(second, true), (third, false)] {
        let target = folder.path().join(&backup.id);
        backup::restore(&safe, secret.clone(), Some(backup.id), None, &target).await.unwrap();
        let bytes = fs::read(target.join("portfolio/portfolio.db")).unwrap();
        let shown = bytes.windows(9).any(|window| window == b"zephyrine");
        assert_eq!(shown, there, "what was deleted is in no page of the backup");
        let half = &text(850).into_bytes()[..1_000];
        assert_eq!(bytes.windows(half.len()).any(|window| window == half), there);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_changed_cut_off_or_is_anothers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe) = (folder.path().join("data"), folder.path().join("safe"));
    worked_in(&data).await;
    let taken = backup::take(&data, &safe, passphrase(), true).await.unwrap();
    let wrong = Secret::from_passphrase("another horse altogether".to_owned()).unwrap();
    assert!(matches!(backup::verify(&safe, wrong, None, None).await, Err(Error::WrongKey { .. })));
    assert!(Secret::from_passphrase("short".to_owned()).is_err());

    let sealed: Vec<PathBuf> = files(&safe)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "sealed") || path.starts_with(safe.join("chunks")))
        .collect();
    assert!(sealed.len() > 3, "{sealed:?}");
    let master = fs::read_to_string(data.join("keys/master.key")).unwrap();
    for path in &sealed {
        let whole = fs::read(path).unwrap();
        let plain =
            whole.windows(16).any(|window| window == b"SQLite format 3\0" || window == &master.as_bytes()[..16]);
        assert!(!plain, "{} is not encrypted", path.display());
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for damage in [changed, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            fs::write(path, &damage).unwrap();
            let found = backup::verify(&safe, passphrase(), None, None).await.unwrap_err();
            assert!(matches!(found, Error::Damaged { .. }), "{found:?}");
            let target = folder.path().join("never");
            assert!(backup::restore(&safe, passphrase(), None, None, &target).await.is_err());
            assert!(!target.exists(), "nothing is there until everything is");
        }
        fs::write(path, &whole).unwrap();
    }
    fs::remove_file(&sealed[0]).unwrap();
    assert!(backup::verify(&safe, passphrase(), None, None).await.is_err());

    let (other, mixed) = (folder.path().join("other"), folder.path().join("mixed"));
    worked_in(&other).await;
    backup::take(&data, &mixed, passphrase(), false).await.unwrap();
    let refused = backup::take(&other, &mixed, passphrase(), false).await.unwrap_err();
    assert!(matches!(refused, Error::OtherPlatform { .. }), "{refused:?}");
    let before = Some(Timestamp::from_micros(taken.taken_at.micros() - 1));
    let none = backup::restore(&mixed, passphrase(), None, before, &folder.path().join("none")).await.unwrap_err();
    assert!(matches!(none, Error::NotFound { .. }), "{none:?}");
    let occupied = backup::restore(&mixed, passphrase(), None, None, &data).await.unwrap_err();
    assert!(matches!(occupied, Error::Occupied { .. }), "{occupied:?}");
}

/// A repository of so many backups of a directory that changes between them; their ids.
async fn backups(folder: &Path, count: usize) -> (PathBuf, Secret, Vec<String>) {
    let (data, safe, secret) = (folder.join("data"), folder.join("safe"), key(folder));
    let mut ids = Vec::new();
    worked_in(&data).await;
    fs::create_dir_all(data.join("models")).unwrap();
    for nth in 0..count {
        let own = noise(200_000, u32::try_from(nth).unwrap());
        fs::write(data.join("models/artifact"), own).unwrap();
        ids.push(backup::take(&data, &safe, secret.clone(), false).await.unwrap().id);
    }
    (safe, secret, ids)
}

fn list(safe: &Path, id: &str) -> PathBuf {
    safe.join("backups").join(format!("{id}.sealed"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_that_were_taken_away_exchanged_or_put_back_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (safe, secret, ids) = backups(folder.path(), 2).await;
    let old = folder.path().join("old");
    copy(&safe, &old);
    let data = folder.path().join("data");
    let newest = backup::take(&data, &safe, secret.clone(), false).await.unwrap().id;
    let verify = async |at: &Path, expected: Option<&String>| {
        backup::verify(at, secret.clone(), None, expected.cloned()).await.map(|(verified, _)| verified.len())
    };
    assert_eq!(verify(&safe, None).await.unwrap(), 3);
    assert_eq!(verify(&safe, Some(&newest)).await.unwrap(), 3);
    assert_eq!(verify(&safe, Some(&ids[0])).await.unwrap(), 3, "a later one than was known is as good");

    // Taken away: the newest, one in the middle, all.
    let tried = folder.path().join("tried");
    let fresh = || {
        let _ = fs::remove_dir_all(&tried);
        copy(&safe, &tried);
    };
    for gone in [vec![&newest], vec![&ids[1]], vec![&ids[0], &ids[1], &newest]] {
        fresh();
        gone.iter().for_each(|id| fs::remove_file(list(&tried, id)).unwrap());
        let found = verify(&tried, None).await.unwrap_err();
        assert!(matches!(&found, Error::Removed { ids, .. } if ids.contains(gone[0].as_str())), "{found:?}");
        let target = folder.path().join("never");
        let refused = backup::restore(&tried, secret.clone(), None, None, &target).await.unwrap_err();
        assert!(matches!(refused, Error::Removed { .. }), "an older one is not taken for the newest: {refused:?}");
    }
    // The next backup does not hide it, and a backup can be had by its name all the same.
    fresh();
    fs::remove_file(list(&tried, &ids[1])).unwrap();
    backup::take(&data, &tried, secret.clone(), false).await.unwrap();
    assert!(matches!(verify(&tried, None).await, Err(Error::Removed { .. })));
    let refused = backup::prune(&tried, secret.clone(), keep(1), false).await.unwrap_err();
    assert!(matches!(refused, Error::Removed { .. }), "{refused:?}");
    let named = folder.path().join("named");
    backup::restore(&tried, secret.clone(), Some(ids[0].clone()), None, &named).await.unwrap();

    backup::prune(&tried, secret.clone(), keep(9), true).await.unwrap();
    assert_eq!(verify(&tried, None).await.unwrap(), 3, "whoever took it away himself says so");

    // What makes a key of a passphrase is not made anew over backups.
    fresh();
    fs::remove_file(tried.join("backup.json")).unwrap();
    assert!(matches!(backup::take(&data, &tried, secret.clone(), false).await, Err(Error::Damaged { .. })));

    // The register too: without one, or with an older one, the backups say that there was another.
    fresh();
    fs::remove_file(tried.join("register.sealed")).unwrap();
    assert!(matches!(verify(&tried, None).await, Err(Error::Damaged { .. })));
    assert!(backup::take(&data, &tried, secret.clone(), false).await.is_err(), "nothing is made anew over it");

    // Exchanged: the lists of two backups, and two pieces.
    fresh();
    fs::rename(list(&tried, &ids[0]), tried.join("aside")).unwrap();
    fs::rename(list(&tried, &ids[1]), list(&tried, &ids[0])).unwrap();
    fs::rename(tried.join("aside"), list(&tried, &ids[1])).unwrap();
    assert!(matches!(verify(&tried, None).await, Err(Error::Damaged { .. })));
    fresh();
    let pieces: Vec<PathBuf> = files(&tried.join("chunks"));
    let (one, other) = (fs::read(&pieces[0]).unwrap(), fs::read(&pieces[1]).unwrap());
    fs::write(&pieces[0], other).unwrap();
    fs::write(&pieces[1], one).unwrap();
    assert!(matches!(verify(&tried, None).await, Err(Error::Damaged { .. })));

    // An older copy of the whole folder is sound by itself; who knows of a later backup sees it.
    assert_eq!(verify(&old, None).await.unwrap(), 2);
    let found = verify(&old, Some(&newest)).await.unwrap_err();
    assert!(matches!(found, Error::Rolled { .. }) && found.to_string().contains(&newest), "{found}");
}

fn keep(last: usize) -> Keep {
    Keep { last: NonZeroUsize::new(last).unwrap(), days: 0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_backups_go_with_what_only_they_had_and_the_others_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (safe, secret, ids) = backups(folder.path(), 5).await;
    let size = |folder: &Path| files(folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let before = size(&safe.join("chunks"));
    let pruned = backup::prune(&safe, secret.clone(), keep(2), false).await.unwrap();
    assert_eq!((pruned.removed.as_slice(), pruned.kept.as_slice()), (&ids[..3], &ids[3..]));
    assert!(pruned.pieces > 0);
    assert_eq!(size(&safe.join("chunks")), before - pruned.bytes);
    let (verified, unused) = backup::verify(&safe, secret.clone(), None, Some(ids[4].clone())).await.unwrap();
    assert_eq!((verified.len(), unused), (2, 0));
    let again = backup::prune(&safe, secret.clone(), keep(2), false).await.unwrap();
    assert_eq!((again.removed.len(), again.pieces), (0, 0));
    // All of one day: the newest of it is the newest of all.
    let day = Keep { last: NonZeroUsize::MIN, days: 30 };
    assert!(backup::prune(&safe, secret.clone(), day, false).await.unwrap().kept.contains(&ids[4]));

    // A list that cannot be read keeps pieces that nobody knows: nothing goes then.
    let other = tempfile::tempdir().unwrap();
    let (broken, secret, ids) = backups(other.path(), 3).await;
    fs::write(list(&broken, &ids[2]), "no list").unwrap();
    let pieces = || files(&broken.join("chunks")).len();
    let there = pieces();
    assert!(backup::prune(&broken, secret, keep(1), false).await.is_err());
    assert_eq!(pieces(), there);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_that_dies_at_any_point_leaves_every_backup_that_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (safe, secret, ids) = backups(folder.path(), 4).await;
    let pruned = folder.path().join("pruned");
    copy(&safe, &pruned);
    backup::prune(&pruned, secret.clone(), keep(2), false).await.unwrap();
    // What it does, in its order: the register is replaced, lists go, and then pieces.
    let mut gone: Vec<PathBuf> = files(&safe)
        .into_iter()
        .map(|path| path.strip_prefix(&safe).unwrap().to_path_buf())
        .filter(|path| !pruned.join(path).exists())
        .collect();
    gone.sort();
    gone.sort_by_key(|path| path.starts_with("chunks"));
    let lists = gone.iter().filter(|path| path.starts_with("backups")).count();
    assert!(lists == 2 && gone.len() > 4, "{gone:?}");
    for steps in 0..=gone.len() {
        let dead = folder.path().join(format!("dead {steps}"));
        copy(&safe, &dead);
        fs::copy(pruned.join("register.sealed"), dead.join("register.sealed")).unwrap();
        gone.iter().take(steps).for_each(|path| fs::remove_file(dead.join(path)).unwrap());
        for id in &ids[2..] {
            backup::verify(&dead, secret.clone(), Some(id.clone()), None).await.unwrap();
        }
        let again = backup::prune(&dead, secret.clone(), keep(2), false).await.unwrap();
        assert_eq!(again.kept, ids[2..], "after {steps} steps");
        let (verified, unused) = backup::verify(&dead, secret.clone(), None, None).await.unwrap();
        assert_eq!((verified.len(), unused), (2, 0), "after {steps} steps");
        fs::remove_dir_all(&dead).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_removed_while_a_backup_is_read_or_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (safe, secret, _) = backups(folder.path(), 2).await;
    let lock = |name: &str| fs::OpenOptions::new().create(true).append(true).open(safe.join(name)).unwrap();
    let reader = lock("READING");
    reader.lock_shared().unwrap();
    let refused = backup::prune(&safe, secret.clone(), keep(1), false).await.unwrap_err();
    assert!(matches!(refused, Error::BeingRead { .. }), "{refused:?}");
    drop(reader);
    let taker = lock("LOCK");
    taker.lock().unwrap();
    let refused = backup::prune(&safe, secret.clone(), keep(1), false).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused:?}");
    drop(taker);
    assert_eq!(backup::prune(&safe, secret, keep(1), false).await.unwrap().kept.len(), 1);
}

#[tokio::test]
async fn whoever_was_erased_after_a_backup_has_no_keys_in_what_is_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, safe, target) = (folder.path().join("data"), folder.path().join("safe"), folder.path().join("back"));
    start(&data).await.unwrap().shutdown().await;
    let ring = KeyRing::load(&data, None).unwrap();
    let [ada, bob] = ["ada", "bob"].map(|name| UserId::from_uuid(Cause::named(name).uuid()));
    for user in [ada, bob] {
        ring.user_key(user, "user").unwrap();
    }
    backup::take(&data, &safe, passphrase(), true).await.unwrap();
    let erased = [Erasure { user_id: ada, erased: "2026-11-28T01:00:00Z".parse().unwrap() }];
    backup::restore_without(&safe, passphrase(), None, None, &target, &erased).await.unwrap();
    let back = KeyRing::load(&target, None).unwrap();
    assert!(back.is_destroyed(ada) && back.find_user_key(ada, "user").unwrap().is_none());
    assert!(back.find_user_key(bob, "user").unwrap().is_some());
    assert_eq!(Ledger::at(target.join(FILE)).read().unwrap(), erased);
    // A ledger is not in a backup: it must be newer.
    fs::remove_dir_all(&target).unwrap();
    fs::write(data.join(FILE), "").unwrap();
    backup::take(&data, &safe, passphrase(), true).await.unwrap();
    backup::restore(&safe, passphrase(), None, None, &target).await.unwrap();
    assert!(!target.join(FILE).exists());
}
