//! Imports: what is read, what is refused and how it is named, and that nothing half-done stays.

use std::path::PathBuf;

use moneta_kit::store::sqlite_url;

use super::*;
use crate::MIGRATIONS;
use crate::history::History;
use crate::instrument::Kind;

const HEADER: &str = "date,open,high,low,close,adj_close,volume\n";

struct Fixture {
    dir: tempfile::TempDir,
    importer: Importer,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite_url(&dir.path().join("market-data.db"));
        let db = Db::open(&url, "market-data", MIGRATIONS).await.unwrap();
        let importer = Importer::open(db, dir.path()).unwrap();
        Fixture { dir, importer }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn import(&self, files: &[PathBuf]) -> Result<Report> {
        self.importer.import(files, Options::default()).await
    }

    async fn series(&self, symbol: &str) -> Series {
        let history = History::new(self.importer.store.clone(), self.importer.objects.clone());
        (*history.series(&symbol.parse().unwrap()).await.unwrap()).clone()
    }

    async fn objects(&self) -> Vec<String> {
        self.importer.objects.list().await.unwrap()
    }
}

#[tokio::test]
async fn a_long_file_and_a_file_a_symbol_give_the_same_series() {
    let (one, two) = (Fixture::new().await, Fixture::new().await);
    let long = one.write(
        "all.csv",
        "Ticker,Date,Open,High,Low,Close,Adj Close,Volume\n\
         AAA,2020-01-02,1,2,0.5,1.5,1.4,100\nBBB,2020-01-02,10,10,10,10,10,\nAAA,2020-01-03,1.5,2,1,1.8,1.7,200\n",
    );
    let report = one.import(&[long]).await.unwrap();
    assert_eq!(report.series.iter().map(|series| (series.read, series.added)).collect::<Vec<_>>(), [(2, 2), (1, 1)]);
    let files = [
        two.write("aaa.csv", &format!("{HEADER}2020-01-02,1,2,0.5,1.5,1.4,100\n2020-01-03,1.5,2,1,1.8,1.7,200\n")),
        two.write("BBB.csv", &format!("{HEADER}2020-01-02 00:00:00,10,10,10,10,10,\n")),
    ];
    two.import(&files).await.unwrap();
    for symbol in ["AAA", "BBB"] {
        assert_eq!(one.series(symbol).await, two.series(symbol).await);
        assert!(!one.series(symbol).await.all().is_empty());
    }
    let first = one.series("AAA").await.all()[0].clone();
    assert_eq!((first.close.to_string(), first.adj_close.to_string(), first.volume), ("1.5".into(), "1.4".into(), 100));
}

#[tokio::test]
async fn a_folder_is_its_files_and_parquet_says_what_csv_says() {
    use moneta_feature_pipeline::polars::prelude::*;
    let fixture = Fixture::new().await;
    let folder = fixture.dir.path().join("history");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("CSV.csv"), format!("{HEADER}2020-01-02,1.1,1.3,1.05,1.25,1.2,7\n")).unwrap();
    let dates: Vec<Date> = vec!["2020-01-02".parse().unwrap()];
    let mut frame = df!(
        "date" => dates, "open" => [1.1], "high" => [1.3], "low" => [1.05], "close" => [1.25], "adj_close" => [1.2],
        "volume" => [7_i64]
    )
    .unwrap();
    ParquetWriter::new(std::fs::File::create(folder.join("PQ.parquet")).unwrap()).finish(&mut frame).unwrap();
    fixture.import(&[folder]).await.unwrap();
    assert_eq!(fixture.series("PQ").await, fixture.series("CSV").await);
    assert_eq!(fixture.series("PQ").await.all().len(), 1);
}

#[tokio::test]
async fn a_malformed_row_is_named_by_file_line_column_and_value() {
    let cases = [
        ("2020-01-02,1,2,0.5,NaN,1,1", "close", "NaN"),
        ("2020-01-02,1,2,0.5,0,1,1", "close", "0"),
        ("2020-01-02,-1,2,0.5,1,1,1", "open", "-1"),
        ("2020-01-02,1,2,0.5,,1,1", "close", ""),
        ("2020-01-02,1,0.4,0.5,1,1,1", "high", "0.4"),
        ("2020-01-02,1,2,0.5,1,inf,1", "adj_close", "inf"),
        ("2020-01-02,1,2,0.5,1,1_0,1", "adj_close", "1_0"),
        ("2020-01-02,1,2,0.5,1,1,-7", "volume", "-7"),
        ("2020-01-02,1,2,0.5,1,1,many", "volume", "many"),
        ("02/01/2020,1,2,0.5,1,1,1", "date", "02/01/2020"),
        ("2020-02-30,1,2,0.5,1,1,1", "date", "2020-02-30"),
        (",1,2,0.5,1,1,1", "date", ""),
        ("2020-01-01,1,2,0.5,1,1,1", "date", "2020-01-01"),
    ];
    let fixture = Fixture::new().await;
    for (row, column, value) in cases {
        let file = fixture.write("AAA.csv", &format!("{HEADER}2020-01-01,1,2,0.5,1,1,1\n{row}\n"));
        let error = fixture.import(&[file]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("AAA.csv, line 3, column {column}: {value:?} is not valid: ")), "{row}: {text}");
        assert!(matches!(error, Error::Cell { .. }), "{row}");
    }
}

#[tokio::test]
async fn a_repeated_date_names_the_first() {
    let fixture = Fixture::new().await;
    let file = fixture
        .write("AAA.csv", &format!("{HEADER}2020-01-02,1,1,1,1,1,\n2020-01-03,1,1,1,1,1,\n2020-01-02,1,1,1,1,1,\n"));
    let text = fixture.import(&[file]).await.unwrap_err().to_string();
    assert!(text.contains("line 4, column date") && text.contains("AAA.csv, line 2"), "{text}");
}

#[tokio::test]
async fn files_of_the_wrong_shape_are_refused() {
    let fixture = Fixture::new().await;
    let refused = async |name: &str, text: &str| {
        let file = fixture.write(name, text);
        fixture.import(&[file]).await.unwrap_err().to_string()
    };
    let text = refused("AAA.csv", "date,open\n2020-01-02,1\n").await;
    assert!(text.contains("lacks the column close") && text.contains("date, open"), "{text}");
    let text = refused("AAA.csv", "date,close\n2020-01-02,1\n2020-01-03,1,2\n").await;
    assert!(text.contains("line 3: the row has 3 cells, the header has 2"), "{text}");
    let text = refused("AAA.csv", "date,close\n").await;
    assert!(text.contains("no rows"), "{text}");
    let text = refused("AAA.csv", "").await;
    assert!(text.contains("no rows"), "{text}");
    let text = refused("AAA.txt", "date,close\n2020-01-02,1\n").await;
    assert!(text.contains("allowed: .csv, .parquet"), "{text}");
    let text = refused("not a symbol.csv", "date,close\n2020-01-02,1\n").await;
    assert!(text.contains("\"NOT A SYMBOL\" is no symbol"), "{text}");
    let text = refused("all.csv", "symbol,date,close\naapl,2020-01-02,1\n").await;
    assert!(text.contains("line 2, column symbol: \"aapl\""), "{text}");
    let text = refused("AAA.csv", "date,close,Close\n2020-01-02,1,1\n").await;
    assert!(text.contains("both mean close"), "{text}");
    let text = refused("AAA.parquet", "this is no Parquet file").await;
    assert!(text.contains("AAA.parquet"), "{text}");
    let missing = fixture.dir.path().join("MISSING.csv");
    assert!(matches!(fixture.import(&[missing]).await.unwrap_err(), Error::Io { .. }));
    let file = fixture.dir.path().join("LATIN.csv");
    std::fs::write(&file, b"date,close\n2020-01-02,1\xe9\n").unwrap();
    assert!(matches!(fixture.import(&[file]).await.unwrap_err(), Error::Csv { .. }));
}

#[tokio::test]
async fn one_bad_file_keeps_all_of_them_out() {
    let fixture = Fixture::new().await;
    let good = fixture.write("AAA.csv", "date,close\n2020-01-02,1\n");
    let bad = fixture.write("BBB.csv", "date,close\n2020-01-02,1\n2020-01-03,x\n");
    fixture.import(&[good, bad]).await.unwrap_err();
    assert_eq!(fixture.series("AAA").await, Series::default());
    assert_eq!(fixture.importer.store.instruments().await.unwrap(), []);
    assert_eq!(fixture.objects().await, Vec::<String>::new());
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let file = fixture.write("AAA.csv", "date,close\n2020-01-03,2\n2020-01-02,1\n");
    fixture.import(std::slice::from_ref(&file)).await.unwrap();
    let (stored, objects) = (fixture.importer.store.series().await.unwrap(), fixture.objects().await);
    let report = fixture.import(&[file]).await.unwrap();
    assert_eq!((report.instruments, report.series[0].added, report.series[0].changed), (0, 0, 0));
    assert_eq!(fixture.importer.store.series().await.unwrap(), stored);
    assert_eq!(fixture.objects().await, objects);
}

#[tokio::test]
async fn a_later_file_adds_and_corrects_days_and_the_old_object_goes() {
    let fixture = Fixture::new().await;
    let first = fixture.write("AAA.csv", "date,close\n2020-01-03,2\n2020-01-02,1\n");
    fixture.import(&[first]).await.unwrap();
    let second = fixture.write("AAA.csv", "date,close\n2020-01-03,2.5\n2020-01-06,3\n");
    let report = fixture.import(&[second]).await.unwrap();
    assert_eq!((report.series[0].added, report.series[0].changed), (1, 1));
    let closes: Vec<String> = fixture.series("AAA").await.all().iter().map(|bar| bar.close.to_string()).collect();
    assert_eq!(closes, ["1", "2.5", "3"]);
    assert_eq!(fixture.objects().await.len(), 1);
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_the_old_history_and_the_next_import_cleans_up() {
    let fixture = Fixture::new().await;
    let first = fixture.write("AAA.csv", "date,close\n2020-01-02,1\n");
    fixture.import(&[first]).await.unwrap();
    let before = fixture.series("AAA").await;

    let second = fixture.write("AAA.csv", "date,close\n2020-01-03,2\n");
    let contents = read(std::slice::from_ref(&second), Options::default().today).unwrap();
    let (tx, _) = fixture.importer.stage(contents, Options::default()).await.unwrap();
    drop(tx);
    assert_eq!(fixture.series("AAA").await, before);
    assert_eq!(fixture.objects().await.len(), 2, "the object that nothing refers to");

    fixture.import(&[second]).await.unwrap();
    assert_eq!(fixture.series("AAA").await.all().len(), 2);
    assert_eq!(fixture.objects().await.len(), 1);
}

#[tokio::test]
async fn a_damaged_object_is_noticed() {
    let fixture = Fixture::new().await;
    let file = fixture.write("AAA.csv", "date,close\n2020-01-02,1\n");
    fixture.import(&[file]).await.unwrap();
    let object = fixture.dir.path().join("objects").join(&fixture.objects().await[0]);
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let history = History::new(fixture.importer.store.clone(), fixture.importer.objects.clone());
    assert!(matches!(history.all().await, Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn a_list_of_instruments_says_what_a_symbol_is() {
    let fixture = Fixture::new().await;
    let list = fixture.write(
        "instruments.csv",
        "symbol,name,kind,currency,aliases\nFFF,\"A fund, large\",etf,GBP,big fund| Fund \nIII,An index,index,USD,\n",
    );
    let bars = fixture.write("all.csv", "symbol,date,close\nFFF,2020-01-02,1\nSSS,2020-01-02,1\n");
    let report = fixture.import(&[bars, list]).await.unwrap();
    assert_eq!(report.instruments, 3);
    let instruments = fixture.importer.store.instruments().await.unwrap();
    let kinds: Vec<_> = instruments.iter().map(|known| (known.symbol.as_str(), known.kind)).collect();
    assert_eq!(kinds, [("FFF", Kind::Fund), ("III", Kind::Index), ("SSS", Kind::Share)]);
    assert_eq!(instruments[0].aliases, ["big fund", "fund"]);
    assert_eq!((instruments[0].name.as_str(), instruments[0].currency), ("A fund, large", Currency::Gbp));

    for (text, expected) in [
        ("symbol,name,kind,currency\nAAA,A,bond,USD\n", "line 2, column kind: \"bond\""),
        ("symbol,name,kind,currency\nAAA,A,share,XXX\n", "line 2, column currency: \"XXX\""),
        ("symbol,name,kind,currency\nAAA,,share,USD\n", "line 2, column name: \"\""),
        ("symbol,name,kind,currency\nAAA,A,share,USD\nAAA,B,share,USD\n", "line 3, column symbol: \"AAA\""),
        ("symbol,name,kind\nAAA,A,share\n", "lacks the column currency"),
    ] {
        let file = fixture.write("instruments.csv", text);
        let error = fixture.import(&[file]).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn close_only_history_repeats_the_close_and_unknown_columns_are_reported() {
    let fixture = Fixture::new().await;
    let file = fixture.write("AAA.csv", "Date,Close,Dividends\n2020-01-02,0.1234567891,0\n");
    let report = fixture.import(&[file]).await.unwrap();
    assert_eq!(report.ignored_columns.len(), 1);
    assert!(report.ignored_columns[0].ends_with("AAA.csv: Dividends"));
    let bar = fixture.series("AAA").await.all()[0].clone();
    assert_eq!(bar.close.to_string(), "0.12345679", "eight decimals, half to even");
    assert_eq!([bar.open, bar.high, bar.low, bar.adj_close], [bar.close; 4]);
    assert_eq!(bar.volume, 0);
}

#[tokio::test]
async fn a_bar_that_cannot_be_is_named_with_what_is_allowed() {
    let fixture = Fixture::new().await;
    for (row, column, value, allowed) in [
        ("2999-01-04,1,2,0.5,1,1,1", "date", "2999-01-04", "from 1900-01-01 to today"),
        ("1899-12-29,1,2,0.5,1,1,1", "date", "1899-12-29", "from 1900-01-01 to today"),
        ("2020-01-02,3,2,0.5,1,1,1", "open", "3", "within the day's range, 0.5 to 2"),
        ("2020-01-02,1,2,0.5,0.4,1,1", "close", "0.4", "within the day's range, 0.5 to 2"),
        ("2020-01-02,1,2000,0.5,1500,1500,1", "close", "1500", "within 20 times of the one before, 1 on 2020-01-01"),
        ("2020-01-02,1,2,0.5,1,0.001,1", "adj_close", "0.001", "--allow-jumps AAA:2020-01-02"),
        ("2020-01-02,1,99999999,0.5,1,1,1", "high", "99999999", "a decimal number above zero"),
    ] {
        let file = fixture.write("AAA.csv", &format!("{HEADER}2020-01-01,1,2,0.5,1,1,1\n{row}\n"));
        let text = fixture.import(&[file]).await.unwrap_err().to_string();
        assert!(text.contains(&format!("AAA.csv, line 3, column {column}: {value:?} is not valid: ")), "{row}: {text}");
        assert!(text.contains(allowed), "{row}: {text}");
    }
    assert_eq!(fixture.series("AAA").await, Series::default());
}

#[tokio::test]
async fn a_leap_is_found_where_a_file_meets_what_is_stored_and_is_let_through_by_name() {
    let fixture = Fixture::new().await;
    let first = fixture.write("AAA.csv", "date,close\n2020-01-02,1\n2020-01-03,1\n");
    fixture.import(&[first]).await.unwrap();
    let file = fixture.write("AAA.csv", "date,close\n2020-01-06,1000\n2020-01-07,1000\n");
    let text = fixture.import(std::slice::from_ref(&file)).await.unwrap_err().to_string();
    assert!(text.contains("AAA.csv, line 2, column close: \"1000\"") && text.contains("1 on 2020-01-03"), "{text}");
    let genuine = ("AAA".parse().unwrap(), "2020-01-06".parse().unwrap());
    let options = Options { allow_jumps: BTreeSet::from([genuine]), ..Options::default() };
    fixture.importer.import(std::slice::from_ref(&file), options).await.unwrap();
    assert_eq!(fixture.series("AAA").await.all().len(), 4);
    // It was said once, and holds for the next import.
    fixture.import(&[file]).await.unwrap();
}

#[tokio::test]
async fn dates_to_and_fro_and_another_currency_are_refused_and_a_probable_split_is_told() {
    let fixture = Fixture::new().await;
    let refused = async |text: &str| {
        let file = fixture.write("all.csv", text);
        fixture.import(&[file]).await.unwrap_err().to_string()
    };
    let text = refused("symbol,date,close\nAAA,2020-01-02,1\nAAA,2020-01-06,1\nAAA,2020-01-03,1\n").await;
    assert!(text.contains("line 4, column date") && text.contains("the row before is of 2020-01-06"), "{text}");
    let text = refused("symbol,date,close,currency\nAAA,2020-01-02,1,USD\nAAA,2020-01-03,1,GBP\n").await;
    assert!(text.contains("line 3, column currency: \"GBP\"") && text.contains("USD, as in"), "{text}");

    let file = fixture.write("all.csv", "symbol,date,close,currency\nAAA,2020-01-02,100,GBP\nAAA,2020-01-03,50,GBP\n");
    let report = fixture.import(&[file]).await.unwrap();
    assert_eq!(report.probable_splits.len(), 1, "{report:?}");
    assert!(report.probable_splits[0].contains("AAA 2020-01-03") && report.probable_splits[0].contains("2:1"));
    assert_eq!(fixture.importer.store.instruments().await.unwrap()[0].currency, Currency::Gbp);

    let text = refused("symbol,date,close,currency\nAAA,2020-01-06,50,USD\n").await;
    assert!(text.contains("column currency: \"USD\"") && text.contains("GBP, the currency of AAA"), "{text}");
    let list = fixture.write("instruments.csv", "symbol,name,kind,currency\nAAA,A,share,USD\n");
    let error = fixture.import(&[list]).await.unwrap_err();
    assert!(matches!(error, Error::CurrencyChange { .. }), "{error}");
}
