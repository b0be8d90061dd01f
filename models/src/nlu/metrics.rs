//! Figures of a classifier with rejection.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::dataset::{Example, is_out_of_scope_label};
use super::head::Intent;

/// How well predictions agree with the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Utterances measured.
    pub count: usize,
    /// Share of all utterances whose label is right, out of scope included.
    pub accuracy: f64,
    /// Mean over the labels of the harmonic mean of precision and recall.
    pub macro_f1: f64,
    /// Share of in-scope utterances whose label is right; a rejected one is wrong.
    pub in_scope_accuracy: f64,
    /// Share of in-scope utterances whose first alternative is right, rejected or not.
    pub in_scope_accuracy_before_rejection: f64,
    /// Share of out-of-scope utterances that were rejected; none when there were none.
    pub out_of_scope_recall: Option<f64>,
    /// Area under the receiver operating curve of the in-scope score; none when one side is empty.
    pub auroc: Option<f64>,
    /// Expected calibration error of the confidence over ten bins, in-scope predictions only.
    pub calibration_error: f64,
}

impl Figures {
    /// Compares predictions with examples, pairwise.
    pub fn of(examples: &[Example], intents: &[Intent]) -> Self {
        let rows: Vec<(&Example, &Intent)> = examples.iter().zip(intents).collect();
        let same =
            |truth: &str, label: &str| truth == label || (is_out_of_scope_label(truth) && is_out_of_scope_label(label));
        let right = |(example, intent): &&(&Example, &Intent)| same(&example.category, &intent.label);
        let (outside, inside): (Vec<_>, Vec<_>) = rows.iter().partition(|(e, _)| is_out_of_scope_label(&e.category));
        let first = |intent: &Intent| intent.alternatives.first().map(|best| best.label.clone());
        let first_right = inside.iter().filter(|(e, i)| first(i).as_ref() == Some(&e.category)).count();
        let rejected = outside.iter().filter(|(_, i)| i.is_out_of_scope()).count();
        Self {
            count: rows.len(),
            accuracy: ratio(rows.iter().filter(right).count(), rows.len()),
            macro_f1: macro_f1(&rows),
            in_scope_accuracy: ratio(inside.iter().filter(right).count(), inside.len()),
            in_scope_accuracy_before_rejection: ratio(first_right, inside.len()),
            out_of_scope_recall: (!outside.is_empty()).then(|| ratio(rejected, outside.len())),
            auroc: auroc(&inside, &outside),
            calibration_error: calibration_error(&rows),
        }
    }
}

/// How often each wrong label stands for each true one, most frequent first.
pub fn confusions(examples: &[Example], intents: &[Intent]) -> Vec<(String, String, usize)> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (example, intent) in examples.iter().zip(intents).filter(|(e, i)| e.category != i.label) {
        *counts.entry((example.category.clone(), intent.label.clone())).or_default() += 1;
    }
    let mut rows: Vec<_> = counts.into_iter().map(|((truth, label), count)| (truth, label, count)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.2));
    rows
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn macro_f1(rows: &[(&Example, &Intent)]) -> f64 {
    let labels: BTreeSet<&str> = rows.iter().map(|(example, _)| example.category.as_str()).collect();
    let score = |label: &str| {
        let hits = rows.iter().filter(|(e, i)| e.category == label && i.label == label).count();
        let truths = rows.iter().filter(|(e, _)| e.category == label).count();
        let guesses = rows.iter().filter(|(_, i)| i.label == label).count();
        ratio(2 * hits, truths + guesses)
    };
    labels.iter().map(|label| score(label)).sum::<f64>() / labels.len().max(1) as f64
}

/// Mann–Whitney: the chance that an in-scope text scores above an out-of-scope one, ties counted half.
fn auroc(inside: &[(&Example, &Intent)], outside: &[(&Example, &Intent)]) -> Option<f64> {
    if inside.is_empty() || outside.is_empty() {
        return None;
    }
    let mut low: Vec<f32> = outside.iter().map(|(_, intent)| intent.in_scope_score).collect();
    low.sort_by(f32::total_cmp);
    let wins: f64 = inside
        .iter()
        .map(|(_, intent)| {
            let below = low.partition_point(|score| *score < intent.in_scope_score);
            let not_above = low.partition_point(|score| *score <= intent.in_scope_score);
            (below + not_above) as f64 / 2.0
        })
        .sum();
    Some(wins / (inside.len() * outside.len()) as f64)
}

fn calibration_error(rows: &[(&Example, &Intent)]) -> f64 {
    let mut bins = [(0_usize, 0.0_f64, 0_usize); 10];
    let kept: Vec<_> = rows.iter().filter(|(_, intent)| !intent.is_out_of_scope()).collect();
    for (example, intent) in &kept {
        let bin = &mut bins[((intent.confidence * 10.0) as usize).min(9)];
        bin.0 += 1;
        bin.1 += f64::from(intent.confidence);
        bin.2 += usize::from(example.category == intent.label);
    }
    bins.iter().map(|(_, confidence, right)| (confidence - *right as f64).abs()).sum::<f64>() / kept.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nlu::head::Alternative;

    fn row(truth: &str, label: &str, score: f32) -> (Example, Intent) {
        let alternatives = vec![Alternative { label: truth.into(), probability: 0.9 }];
        let intent = Intent { label: label.into(), confidence: 0.9, in_scope_score: score, alternatives };
        (Example { text: "t".into(), category: truth.into() }, intent)
    }

    #[test]
    fn figures_of_a_known_table() {
        let rows =
            [row("a", "a", 0.9), row("a", "out_of_scope", 0.1), row("b", "b", 0.8), row("oos", "out_of_scope", 0.2)];
        let (examples, intents): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let figures = Figures::of(&examples, &intents);
        assert_eq!(figures.accuracy, 0.75);
        assert_eq!(figures.out_of_scope_recall, Some(1.0));
        assert!((figures.auroc.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!((figures.in_scope_accuracy - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(figures.in_scope_accuracy_before_rejection, 1.0);
        assert!((figures.calibration_error - 0.1).abs() < 1e-6);
    }

    #[test]
    fn without_out_of_scope_texts_there_is_no_recall_and_no_curve() {
        let (example, intent) = row("a", "a", 0.9);
        let figures = Figures::of(&[example], &[intent]);
        assert_eq!((figures.out_of_scope_recall, figures.auroc), (None, None));
    }
}
