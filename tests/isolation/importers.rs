//! Files of prices and of settings that somebody else wrote: whatever they hold, an import is whole or not there, and a
//! setting that is not understood is refused.
use crate::{again, number};
use moneta_kit::{
    args, entropy,
    store::{Db, sqlite_url},
};
use moneta_market_data::import::{Importer, Options};
use moneta_tests::{Fixture, outcome};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Files of the short form.
const FILES: u32 = 200;
/// Settings of the short form; each is a process of its own.
const SETTINGS: u32 = 12;
const CSV: &str =
    "symbol,date,open,high,low,close,volume\nAAA,2020-01-02,10,11,9,10,100\nAAA,2020-01-03,10,11,9,10.5,100\n";
const TOML: &str =
    "log = \"warn\"\n\n[clock]\nmode = \"replay\"\nfrom = \"2020-01-06\"\n\n[gateway]\nbody_limit_bytes = 65536\n";
/// What stands in the way of parsers.
const PIECES: &[&str] = &[
    "\"",
    "'",
    ",",
    "\n",
    "\r",
    "\u{0}",
    "\u{feff}",
    "[[",
    "]]",
    "{",
    "=",
    "1e999",
    "NaN",
    "-",
    "9999-12-31",
    "\u{661}",
    "=cmd|' /C calc'!A0",
];

/// Some bytes of a file changed, cut off, doubled, or replaced by what stands in a parser's way.
fn mutated(bytes: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..dice.random_range(1..6) {
        let place = dice.random_range(0..=bytes.len());
        match dice.random_range(0..5_u32) {
            0 => bytes.truncate(place),
            1 => bytes.extend_from_within(place.min(bytes.len())..),
            2 => {
                let piece = PIECES.choose(dice).unwrap().repeat(dice.random_range(1..200));
                bytes.splice(place..place, piece.into_bytes());
            }
            3 => bytes.extend((0..dice.random_range(0..64)).map(|_| dice.random::<u8>())),
            _ => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = dice.random();
                }
            }
        }
    }
    bytes
}

fn parquet(path: &Path) -> Vec<u8> {
    use moneta_feature_pipeline::polars::prelude::*;
    let mut frame: DataFrame =
        df!("date" => ["2020-01-02", "2020-01-03"], "close" => [10.0, 10.5], "volume" => [100_i64, 100]).unwrap();
    ParquetWriter::new(std::fs::File::create(path).unwrap()).finish(&mut frame).unwrap();
    std::fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzz_files_of_prices_are_imported_whole_or_not_at_all() {
    let fixture = Fixture::new();
    let folder = fixture.data();
    std::fs::create_dir_all(&folder).unwrap();
    let service = moneta_market_data::SERVICE;
    let db = Db::open(&sqlite_url(&folder.join("market-data.db")), service.name, service.migrations).await.unwrap();
    let importer = Importer::open(db.clone(), &folder).unwrap();
    let sound = parquet(&fixture.path("sound.parquet"));
    let stored = async || db.fetch_all("SELECT * FROM series ORDER BY symbol", args![]).await.unwrap().len();
    let (started, time) = (Instant::now(), number("MONETA_FUZZ_SECONDS").map(Duration::from_secs));
    let mut seed = number("MONETA_FUZZ_SEED").unwrap_or(1);
    loop {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        for nth in 0..FILES {
            let csv = dice.random_bool(0.6);
            let (name, bytes) = if csv { ("AAA.csv", CSV.as_bytes()) } else { ("BBB.parquet", sound.as_slice()) };
            let path = fixture.path(name);
            std::fs::write(&path, mutated(bytes, &mut dice)).unwrap();
            let before = stored().await;
            let taken = importer.import(&[path], Options::default()).await;
            if let Err(error) = taken {
                assert!(
                    error.to_string().len() < 4_000,
                    "file {nth}: {} bytes; {}",
                    error.to_string().len(),
                    again(seed)
                );
                assert_eq!(stored().await, before, "file {nth}: {error}; {}", again(seed));
            }
        }
        if time.is_none_or(|time| started.elapsed() >= time) {
            break;
        }
        seed = entropy::fresh_uuid().as_u128() as u64 >> 16;
    }
    let path = fixture.path("CCC.csv");
    std::fs::write(&path, "date,close\n2020-01-02,10\n").unwrap();
    importer.import(&[path], Options::default()).await.unwrap();
    db.close().await;
}

#[test]
fn fuzz_settings_are_understood_or_refused() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.data()).unwrap();
    let mut dice = ChaCha8Rng::seed_from_u64(number("MONETA_FUZZ_SEED").unwrap_or(1));
    for nth in 0..SETTINGS {
        std::fs::write(fixture.data().join("moneta.toml"), mutated(TOML.as_bytes(), &mut dice)).unwrap();
        let shown = outcome(&fixture.data(), &["config", "print"]);
        assert!([0, 1, 2].contains(&shown.code), "file {nth}: {}\n{}", shown.status, shown.err);
        assert!(!shown.err.contains("panicked"), "file {nth}: {}", shown.err);
    }
}
