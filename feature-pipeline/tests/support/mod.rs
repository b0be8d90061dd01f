//! Invented market history for the tests: deterministic, with the shapes that real data has.
#![allow(dead_code, clippy::unwrap_used)]

use chrono::{Duration, NaiveDate};
use moneta_feature_pipeline::{Bar, frame::bars_frame, polars::prelude::DataFrame};

/// The market reference of the invented history.
pub const MARKET: &str = "MKT";

/// A small congruential generator (Knuth's MMIX constants): the tests need the same numbers for ever, not good ones.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Close to standard normal: the sum of twelve uniforms less six.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Weekdays from 2015-01-01.
pub fn trading_days(count: usize) -> Vec<NaiveDate> {
    use chrono::Datelike;
    let start = date("2015-01-01");
    (0..)
        .map(|day| start + Duration::days(day))
        .filter(|day| day.weekday().number_from_monday() <= 5)
        .take(count)
        .collect()
}

/// `MKT` and `FULL` with open, high, low, close and volume; `CLOSE` with closes only, repeated as its range; `GAPS`, which begins
/// late, misses days and pays dividends (adj_close apart from close). 420 days.
pub fn history() -> Vec<(&'static str, Bar)> {
    let mut numbers = Numbers::new(7);
    let mut prices = [100.0, 20.0, 50.0, 10.0];
    let mut rows = Vec::new();
    for (index, day) in trading_days(420).into_iter().enumerate() {
        let market = 0.0003 + 0.01 * numbers.normal();
        for (slot, symbol) in ["MKT", "FULL", "CLOSE", "GAPS"].into_iter().enumerate() {
            let own = if slot == 0 { market } else { 0.8 * market + 0.012 * numbers.normal() };
            let open = prices[slot] * (0.002 * numbers.normal()).exp();
            prices[slot] *= own.exp();
            let close = prices[slot];
            let high = open.max(close) * (1.0 + 0.004 * numbers.uniform());
            let low = open.min(close) * (1.0 - 0.004 * numbers.uniform());
            let volume = (1e6 * (0.3 * numbers.normal()).exp()).round();
            let bar = match symbol {
                "CLOSE" => Bar {
                    date: day,
                    open: Some(close),
                    high: Some(close),
                    low: Some(close),
                    close,
                    adj_close: close,
                    volume: None,
                },
                "GAPS" if index < 60 || index % 37 == 0 => continue,
                "GAPS" => Bar {
                    date: day,
                    open: Some(open),
                    high: Some(high),
                    low: Some(low),
                    close,
                    adj_close: close * (1.0 - 0.02 * (420 - index) as f64 / 420.0),
                    volume: Some(volume),
                },
                _ => Bar {
                    date: day,
                    open: Some(open),
                    high: Some(high),
                    low: Some(low),
                    close,
                    adj_close: close,
                    volume: Some(volume),
                },
            };
            rows.push((symbol, bar));
        }
    }
    rows
}

pub fn history_frame() -> DataFrame {
    bars_frame(&history()).unwrap()
}

/// The bars of one symbol, oldest first.
pub fn bars_of(symbol: &str) -> Vec<Bar> {
    history().into_iter().filter(|(name, _)| *name == symbol).map(|(_, bar)| bar).collect()
}
