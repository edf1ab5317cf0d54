//! Values whose mean and quantiles are asked for.

use std::collections::BTreeMap;

use model::half_even;

/// Whole numbers, each with how often it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Samples {
    counts: BTreeMap<i64, i64>,
    count: i64,
    sum: i64,
}

impl Samples {
    /// Adds a value so many times; a negative number takes it out.
    pub fn add(&mut self, value: i64, amount: i64) {
        self.count += amount;
        self.sum += value * amount;
        let count = self.counts.entry(value).or_default();
        *count += amount;
        if *count == 0 {
            self.counts.remove(&value);
        }
    }

    /// How many there are; `None` of nothing.
    pub fn count(&self) -> Option<i64> {
        (self.count > 0).then_some(self.count)
    }

    pub fn mean(&self) -> Option<i64> {
        (self.count > 0).then(|| half_even(self.sum, self.count))
    }

    /// The smallest value that at least so many percent of the values do not exceed; `None` of nothing.
    pub fn quantile(&self, percent: i64) -> Option<i64> {
        let rank = (percent * self.count + 99).div_euclid(100).max(1);
        if 2 * rank <= self.count {
            return nth(rank, self.counts.iter());
        }
        nth(self.count - rank + 1, self.counts.iter().rev())
    }
}

/// The value of that rank, from 1.
fn nth<'a>(rank: i64, counts: impl Iterator<Item = (&'a i64, &'a i64)>) -> Option<i64> {
    let mut counts = counts.scan(0, |seen, (value, count)| {
        *seen += count;
        Some((*value, *seen))
    });
    counts.find(|(_, seen)| *seen >= rank).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(
            values in prop::collection::vec(-5_i64..20, 0..40),
            taken_out in prop::collection::vec(0_i64..20, 0..10),
            percent in 1_i64..=100,
        ) {
            let mut samples = Samples::default();
            values.iter().chain(&taken_out).for_each(|&value| samples.add(value, 1));
            taken_out.iter().for_each(|&value| samples.add(value, -1));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let count = sorted.len() as i64;
            let expected = (1..).zip(&sorted).find(|(rank, _)| rank * 100 >= percent * count);
            prop_assert_eq!(samples.quantile(percent), expected.map(|(_, &value)| value));
            prop_assert_eq!(samples.count().unwrap_or(0), count);
            let mean = (count > 0).then(|| half_even(sorted.iter().sum(), count));
            prop_assert_eq!(samples.mean(), mean);
        }
    }
}
