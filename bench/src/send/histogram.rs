//! Latencies in buckets that are at most 1 % wide, in bounded memory.

use std::time::Duration;

/// Each power of two is divided into so many buckets.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const POWERS: u64 = 40;

/// Counts of microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max_us: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; (STEPS * POWERS) as usize], total: 0, max_us: 0 }
    }

    /// Counts one latency, as that of so many records.
    pub(crate) fn add(&mut self, latency: Duration, records: u64) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.max_us = self.max_us.max(us);
        self.total += records;
        let bucket = bucket_of(us).min(self.counts.len() - 1);
        self.counts[bucket] += records;
    }

    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// The latency that this share of the records did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_end(bucket as u64).min(self.max_us));
            }
        }
        Duration::from_micros(self.max_us)
    }
}

fn bucket_of(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let power = us.ilog2() - STEP_BITS;
    (u64::from(power + 1) * STEPS + ((us >> power) - STEPS)) as usize
}

fn upper_end(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let (power, step) = (bucket / STEPS - 1, bucket % STEPS);
    ((STEPS + step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_percent() {
        let mut histogram = Histogram::new();
        for us in 1..=100_000 {
            histogram.add(Duration::from_micros(us), 1);
        }
        for share in [0.5, 0.99, 0.999] {
            let exact = 100_000.0 * share;
            let got = histogram.quantile(share).as_micros() as f64;
            assert!(got >= exact && got <= exact * 1.01, "{share}: {got}");
        }
        assert_eq!(histogram.quantile(1.0), Duration::from_millis(100));
        assert_eq!(Histogram::new().quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn every_value_is_in_its_bucket() {
        for us in (0..4_000).chain([1 << 20, (1 << 30) + 12_345, u64::from(u32::MAX)]) {
            let bucket = bucket_of(us) as u64;
            assert!(us <= upper_end(bucket) && (bucket == 0 || us > upper_end(bucket - 1)), "{us}");
        }
    }
}
