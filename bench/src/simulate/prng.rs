//! A small deterministic generator (SplitMix64), so that a seed means the same fleet in every build.
//!
//! Everything in the simulator that looks random is a hash of what it is about ("truck 7, day 20458, at
//! second 3,600"), never the next value of a shared stream: that is what makes any time window producible
//! on its own.

/// SplitMix64's finaliser of `state`: every input bit moves about half of the output bits.
#[must_use]
pub fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A key for a thing within another thing: `key(key(seed, truck), day)`.
#[must_use]
pub fn key(outer: u64, inner: u64) -> u64 {
    mix(outer ^ inner.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// A hash as a number in `[0, 1)`.
#[must_use]
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Sixteen bits of a hash, from bit `shift` on, as a number in `[-1, 1)`.
#[must_use]
pub fn signed16(hash: u64, shift: u32) -> f64 {
    ((hash >> shift) & 0xffff) as f64 / 32_768.0 - 1.0
}

/// A stream of numbers, where one thing needs several.
#[derive(Clone, Debug)]
pub struct Prng {
    state: u64,
}

impl Prng {
    /// The stream of a key.
    #[must_use]
    pub fn new(seed: u64) -> Prng {
        Prng { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let value = mix(self.state);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        value
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// A number in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// An integer in `[low, high)`; `low` where the range is empty.
    pub fn below(&mut self, low: u32, high: u32) -> u32 {
        let width = u64::from(high.saturating_sub(low));
        low + ((u128::from(self.next_u64()) * u128::from(width)) >> 64) as u32
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // The first values of the reference implementation with seed 1234567.
        let mut prng = Prng::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| prng.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn ranges_are_kept() {
        let mut prng = Prng::new(7);
        for _ in 0..10_000 {
            assert!((3..9).contains(&prng.below(3, 9)));
            assert!((0.0..1.0).contains(&prng.unit()));
            assert!((-1.0..1.0).contains(&signed16(prng.next_u64(), 16)));
        }
        assert_eq!(prng.below(4, 4), 4);
    }
}
