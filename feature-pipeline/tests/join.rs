//! The point-in-time join answers what was known, and nothing that came later.
#![allow(clippy::unwrap_used)]

mod support;

use chrono::{DateTime, NaiveDate};
use moneta_feature_pipeline::polars::prelude::*;
use moneta_feature_pipeline::{FeatureView, join_as_of};
use proptest::prelude::*;
use support::{MARKET, date, history_frame};

/// A frame of symbol, date, optionally a moment, optionally a value.
fn frame(moment_name: &str, rows: &[(&str, &str, Option<&str>)], values: Option<&[f64]>) -> DataFrame {
    let symbols: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let dates: Vec<NaiveDate> = rows.iter().map(|row| date(row.1)).collect();
    let mut columns = vec![Column::new("symbol".into(), symbols), Column::new("date".into(), dates)];
    if rows.iter().any(|row| row.2.is_some()) {
        let moments: Vec<Option<i64>> = rows
            .iter()
            .map(|row| row.2.map(|text| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()))
            .collect();
        let moments = Int64Chunked::new(moment_name.into(), moments).into_datetime(TimeUnit::Microseconds, None);
        columns.push(moments.into_column());
    }
    if let Some(values) = values {
        columns.push(Column::new("value".into(), values));
    }
    DataFrame::new(rows.len(), columns).unwrap()
}

fn joined(spine: &DataFrame, features: &DataFrame) -> Vec<Option<f64>> {
    join_as_of(spine, features).unwrap().column("value").unwrap().f64().unwrap().iter().collect()
}

#[test]
fn each_row_gets_the_newest_value_of_its_own_symbol() {
    let features = frame(
        "arrived_at",
        &[("A", "2020-01-03", None), ("B", "2020-01-02", None), ("A", "2020-01-02", None)],
        Some(&[2.0, 10.0, 1.0]),
    );
    let spine = frame(
        "known_at",
        &[
            ("A", "2020-01-05", None),
            ("A", "2020-01-02", None),
            ("A", "2020-01-01", None),
            ("B", "2020-01-03", None),
            ("C", "2020-01-03", None),
        ],
        None,
    );
    assert_eq!(joined(&spine, &features), [Some(2.0), Some(1.0), None, Some(10.0), None]);
    let answer = join_as_of(&spine, &features).unwrap();
    let dates = answer.column("feature_date").unwrap().date().unwrap().physical().get(0);
    assert_eq!(dates, Some(18_264), "2020-01-03");
}

#[test]
fn a_value_that_arrived_later_is_not_seen() {
    let features = frame(
        "arrived_at",
        &[("A", "2020-01-02", Some("2020-01-02T21:00:00Z")), ("A", "2020-01-03", Some("2020-01-06T09:00:00Z"))],
        Some(&[1.0, 2.0]),
    );
    let spine = frame(
        "known_at",
        &[
            ("A", "2020-01-03", Some("2020-01-03T22:00:00Z")),
            ("A", "2020-01-03", Some("2020-01-06T09:00:00Z")),
            ("A", "2020-01-02", Some("2020-01-02T20:59:59Z")),
        ],
        None,
    );
    assert_eq!(joined(&spine, &features), [Some(1.0), Some(2.0), None]);
}

#[test]
fn without_a_moment_the_end_of_the_day_bounds_what_is_known() {
    let features = frame(
        "arrived_at",
        &[("A", "2020-01-02", Some("2020-01-02T23:59:59Z")), ("A", "2020-01-03", Some("2020-01-04T00:00:00Z"))],
        Some(&[1.0, 2.0]),
    );
    let spine = frame("known_at", &[("A", "2020-01-03", None), ("A", "2020-01-04", None)], None);
    assert_eq!(joined(&spine, &features), [Some(1.0), Some(2.0)]);
}

#[test]
fn a_restatement_counts_from_when_it_arrived() {
    let features = frame(
        "arrived_at",
        &[("A", "2020-01-02", Some("2020-02-01T00:00:00Z")), ("A", "2020-01-02", Some("2020-01-02T21:00:00Z"))],
        Some(&[1.5, 1.0]),
    );
    let spine = frame(
        "known_at",
        &[("A", "2020-01-02", Some("2020-01-31T00:00:00Z")), ("A", "2020-01-02", Some("2020-02-01T00:00:00Z"))],
        None,
    );
    assert_eq!(joined(&spine, &features), [Some(1.0), Some(1.5)]);
}

#[test]
fn a_built_history_joins_onto_its_own_dates_unchanged() {
    let history = FeatureView::all(Some(MARKET)).build_history(&history_frame()).unwrap();
    let spine = history.select(["symbol", "date"]).unwrap();
    let answer = join_as_of(&spine, &history).unwrap();
    let left = answer.column("realised_volatility_21d").unwrap();
    assert!(left.equals_missing(history.column("realised_volatility_21d").unwrap()));
}

#[test]
fn late_bars_make_late_features() {
    let bars = history_frame();
    let dates = bars.column("date").unwrap().date().unwrap().physical().clone();
    // Every bar arrives at the end of its day, but one of FULL three days later.
    let symbols = bars.column("symbol").unwrap().str().unwrap().clone();
    let late = (0..bars.height()).filter(|row| symbols.get(*row) == Some("FULL")).nth(300).unwrap();
    let day = 86_400_000_000_i64;
    let arrivals: Vec<i64> = dates
        .iter()
        .enumerate()
        .map(|(row, date)| (i64::from(date.unwrap()) + 1) * day + if row == late { 3 * day } else { 0 })
        .collect();
    let arrived = Int64Chunked::from_vec("arrived_at".into(), arrivals).into_datetime(TimeUnit::Microseconds, None);
    let bars = bars.hstack(&[arrived.into_column()]).unwrap();
    let view = FeatureView::select(&["log_return_1d", "log_return_5d"], None).unwrap();
    let history = view.build_history(&bars).unwrap();
    let known: Vec<i64> =
        history.column("arrived_at").unwrap().datetime().unwrap().physical().iter().flatten().collect();
    let names = history.column("symbol").unwrap().str().unwrap();
    let begin = (0..history.height()).find(|row| names.get(*row) == Some("FULL")).unwrap();
    let late_arrival = (i64::from(dates.get(late).unwrap()) + 4) * day;
    assert_eq!(known[begin + 300], late_arrival);
    assert!(known[begin + 301] >= late_arrival, "the next day's features use the late bar");
    assert!(known[begin + 299] < late_arrival);
}

#[test]
fn a_spine_of_the_wrong_shape_is_refused_by_column() {
    let features = frame("arrived_at", &[("A", "2020-01-02", None)], Some(&[1.0]));
    let spine = features.drop("date").unwrap();
    let error = join_as_of(&spine, &features).unwrap_err().to_string();
    assert!(error.contains("`date` is missing") && error.contains("symbol, value"), "{error}");
    let spine = df!("symbol" => ["A"], "date" => ["2020-01-02"]).unwrap();
    let error = join_as_of(&spine, &features).unwrap_err().to_string();
    assert!(error.contains("`date`") && error.contains("Date column"), "{error}");
}

proptest! {
    #[test]
    fn the_join_is_the_best_row_of_a_plain_search(
        features in prop::collection::vec((0..3_u8, 0..20_i32, 0..30_i64), 1..60),
        spine in prop::collection::vec((0..3_u8, 0..20_i32, 0..30_i64), 1..20),
    ) {
        let day = 86_400_000_000_i64;
        let build = |rows: &[(u8, i32, i64)], moment: &str| {
            let names: Vec<String> = rows.iter().map(|row| row.0.to_string()).collect();
            let dates = Int32Chunked::from_vec("date".into(), rows.iter().map(|row| row.1).collect()).into_date();
            let moments = Int64Chunked::from_vec(moment.into(), rows.iter().map(|row| row.2 * day).collect())
                .into_datetime(TimeUnit::Microseconds, None);
            let values: Vec<f64> = (0..rows.len()).map(|row| row as f64).collect();
            DataFrame::new(rows.len(), vec![
                Column::new("symbol".into(), names), dates.into_column(), moments.into_column(), Column::new("value".into(), values),
            ]).unwrap()
        };
        let left = build(&spine, "known_at").drop("value").unwrap();
        let answer = joined(&left, &build(&features, "arrived_at"));
        for (row, found) in spine.iter().zip(answer) {
            // Later rows win ties, as a restatement that arrives in the same microsecond is written after.
            let best = features
                .iter()
                .enumerate()
                .filter(|(_, known)| known.0 == row.0 && known.1 <= row.1 && known.2 <= row.2)
                .max_by_key(|(index, known)| (known.1, known.2, *index));
            prop_assert_eq!(found, best.map(|(index, _)| index as f64));
        }
    }
}
