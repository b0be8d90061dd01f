//! Bad bars are refused with the symbol, the date, the column and the value.
#![allow(clippy::unwrap_used)]

mod support;

use moneta_feature_pipeline::polars::prelude::*;
use moneta_feature_pipeline::{Bar, Error, FeatureView, frame::bars_frame};
use support::{MARKET, date, history_frame};

fn bar(day: &str) -> Bar {
    Bar {
        date: date(day),
        open: Some(10.0),
        high: Some(11.0),
        low: Some(9.0),
        close: 10.5,
        adj_close: 10.5,
        volume: Some(100.0),
    }
}

#[test]
fn values_that_no_market_prints_are_refused() {
    let good = bar("2020-01-02");
    let cases = [
        (Bar { close: 0.0, ..good }, "close is 0"),
        (Bar { close: f64::NAN, ..good }, "close is NaN"),
        (Bar { adj_close: -1.0, ..good }, "adj_close is -1"),
        (Bar { open: Some(f64::INFINITY), ..good }, "open is inf"),
        (Bar { high: Some(8.0), ..good }, "high is 8"),
        (Bar { volume: Some(-5.0), ..good }, "volume is -5"),
    ];
    for (bad, expected) in cases {
        for error in
            [FeatureView::all(None).online().push("A", &bad).unwrap_err(), bars_frame(&[("A", bad)]).unwrap_err()]
        {
            let text = error.to_string();
            assert!(text.contains("A on 2020-01-02") && text.contains(expected) && text.contains("allowed"), "{text}");
        }
    }
}

#[test]
fn a_frame_is_checked_as_single_bars_are() {
    let frame =
        df!("symbol" => ["A"], "date" => [date("2020-01-02")], "close" => [1.0], "adj_close" => [f64::NAN]).unwrap();
    let error = FeatureView::all(None).build_history(&frame).unwrap_err();
    assert!(matches!(error, Error::InvalidBar { column: "adj_close", .. }), "{error}");
}

#[test]
fn missing_null_and_wrongly_typed_columns_are_named() {
    let build = |frame: DataFrame| FeatureView::all(None).build_history(&frame).unwrap_err();
    let error = build(df!("symbol" => ["A"], "date" => [date("2020-01-02")], "close" => [1.0]).unwrap());
    assert!(matches!(error, Error::MissingColumn { column: "adj_close", .. }), "{error}");
    let error = build(
        df!("symbol" => ["A"], "date" => [date("2020-01-02")], "close" => ["1.0"], "adj_close" => [1.0]).unwrap(),
    );
    assert!(matches!(&error, Error::ColumnType { column, .. } if column == "close"), "{error}");
    let error = build(
        df!("symbol" => ["A"], "date" => [date("2020-01-02")], "close" => [None::<f64>], "adj_close" => [1.0]).unwrap(),
    );
    assert!(matches!(error, Error::NullCell { column: "close", row: 0 }), "{error}");
}

#[test]
fn two_bars_on_one_day_are_refused() {
    let frame = bars_frame(&[("A", bar("2020-01-02")), ("A", bar("2020-01-03")), ("A", bar("2020-01-02"))]).unwrap();
    let error = FeatureView::all(None).build_history(&frame).unwrap_err();
    assert!(matches!(error, Error::DuplicateBar { .. }), "{error}");
}

#[test]
fn an_online_bar_must_follow_the_newest() {
    let mut state = FeatureView::all(None).online();
    state.push("A", &bar("2020-01-03")).unwrap();
    for day in ["2020-01-03", "2020-01-02"] {
        let error = state.push("A", &bar(day)).unwrap_err();
        assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
    }
    assert_eq!(state.vector("A").unwrap().date, date("2020-01-03"));
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let error = FeatureView::select(&["log_return_2d"], None).unwrap_err().to_string();
    assert!(error.contains("log_return_2d") && error.contains("log_return_1d"), "{error}");
    assert!(matches!(FeatureView::select(&["rsi_14", "rsi_14"], None), Err(Error::RepeatedFeature { .. })));
    let error = FeatureView::all(Some("NONE")).build_history(&history_frame()).unwrap_err();
    assert!(matches!(error, Error::MarketMissing { .. }), "{error}");
    let state = FeatureView::all(Some(MARKET)).online_from(&history_frame()).unwrap();
    assert!(matches!(state.vector("NONE"), Err(Error::UnknownSymbol { .. })));
}

#[test]
fn an_empty_frame_has_an_empty_history() {
    let empty = history_frame().head(Some(0));
    let history = FeatureView::all(None).build_history(&empty).unwrap();
    assert_eq!(history.height(), 0);
    assert_eq!(history.width(), 2 + FeatureView::all(None).features().len());
}
