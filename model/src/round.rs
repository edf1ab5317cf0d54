//! Whole numbers out of finer ones, as derived tables have them.

/// A quotient as a whole number, half to even. The divisor is positive.
#[must_use]
pub fn half_even(dividend: i64, divisor: i64) -> i64 {
    let (whole, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let to_next = divisor - rest;
    let is_up = rest > to_next || (rest == to_next && whole % 2 != 0);
    whole + i64::from(is_up)
}

#[cfg(test)]
mod tests {
    use super::half_even;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (thousandths, whole) in
            [(499, 0), (500, 0), (501, 1), (1500, 2), (2500, 2), (-500, 0), (-501, -1), (-1500, -2)]
        {
            assert_eq!(half_even(thousandths, 1000), whole, "{thousandths}");
        }
        assert_eq!([1, 2, 3, 4].map(|thirds| half_even(thirds, 3)), [0, 1, 1, 1]);
        assert_eq!(half_even(i64::MAX, i64::MAX - 1), 1);
    }
}
