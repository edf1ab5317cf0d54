//! Integers to integers: shares, means, quantiles.

/// A quotient, half to even. The divisor is positive.
pub(super) fn rounded(dividend: i64, divisor: i64) -> i64 {
    let (whole, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let is_up = 2 * rest > divisor || (2 * rest == divisor && whole % 2 != 0);
    whole + i64::from(is_up)
}

/// A share in hundredths of a percent; `None` of nothing.
pub(super) fn basis_points(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| rounded(part * 10_000, whole))
}

/// The mean; `None` of nothing.
pub(super) fn mean(values: &[i64]) -> Option<i64> {
    (!values.is_empty()).then(|| rounded(values.iter().sum(), values.len() as i64))
}

/// The smallest value that at least so many percent of the values do not exceed; `None` of nothing.
pub(super) fn quantile(values: &[i64], percent: usize) -> Option<i64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.iter().enumerate().find(|(i, _)| (i + 1) * 100 >= percent * values.len()).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (dividend, divisor, expected) in [
            (1, 2, 0),
            (3, 2, 2),
            (5, 2, 2),
            (-1, 2, 0),
            (-3, 2, -2),
            (1499, 1000, 1),
            (2501, 1000, 3),
            (7, 3, 2),
        ] {
            assert_eq!(rounded(dividend, divisor), expected, "{dividend} / {divisor}");
        }
        assert_eq!(basis_points(1, 3), Some(3333));
        assert_eq!(basis_points(2, 3), Some(6667));
        // An eighth of a hundredth of a percent and so on: 0.5, 1.5, 2.5 basis points.
        assert_eq!([1, 3, 5].map(|part| basis_points(part, 20_000)), [Some(0), Some(2), Some(2)]);
        assert_eq!((basis_points(0, 0), mean(&[]), quantile(&[], 50)), (None, None, None));
        assert_eq!((mean(&[1, 2]), mean(&[2, 3]), mean(&[-1, -2])), (Some(2), Some(2), Some(-2)));
    }

    #[test]
    fn quantiles_are_values_that_are_there() {
        let ten: Vec<i64> = (1..=10).rev().collect();
        assert_eq!(
            [1, 10, 11, 50, 90, 91, 99, 100].map(|p| quantile(&ten, p).unwrap()),
            [1, 1, 2, 5, 9, 10, 10, 10]
        );
        assert_eq!([50, 90, 99].map(|p| quantile(&[7], p)), [Some(7); 3]);
        assert_eq!((quantile(&[1, 2], 50), quantile(&[1, 2, 3], 50)), (Some(1), Some(2)));
    }
}
