//! Quantiles of everything that was measured, by nearest rank.

use std::time::Duration;

/// Times in any order, asked in milliseconds.
pub(super) struct Quantiles {
    ascending: Vec<Duration>,
}

impl Quantiles {
    pub fn of(mut times: Vec<Duration>) -> Quantiles {
        times.sort_unstable();
        Quantiles { ascending: times }
    }

    pub fn count(&self) -> usize {
        self.ascending.len()
    }

    /// The time that this share of all did not exceed; 0 where nothing was measured.
    pub fn ms(&self, share: f64) -> f64 {
        let rank = (self.ascending.len() as f64 * share).ceil() as usize;
        self.ascending.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let times = |count: u64| Quantiles::of((1..=count).rev().map(Duration::from_millis).collect());
        let of_hundred = times(100);
        assert_eq!([0.5, 0.9, 0.99, 1.0].map(|share| of_hundred.ms(share)), [50.0, 90.0, 99.0, 100.0]);
        assert_eq!([0.5, 0.99].map(|share| times(3).ms(share)), [2.0, 3.0]);
        assert_eq!(times(1).ms(0.0), 1.0);
        assert_eq!(times(0).ms(0.5), 0.0);
        assert_eq!(of_hundred.count(), 100);
    }
}
