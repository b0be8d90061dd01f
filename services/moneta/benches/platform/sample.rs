//! Repeated measurements of one thing.

/// What was measured, in ascending order.
#[derive(Debug, Clone)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// A sample of finite numbers; others are left out.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// How many measurements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle measurement.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The measurement that the share `level` of all does not exceed (nearest rank); not a number when there is none.
    pub fn quantile(&self, level: f64) -> f64 {
        let rank = (level * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}
