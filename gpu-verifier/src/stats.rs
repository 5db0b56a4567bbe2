//! Exact bounds on a rate that was counted: `k` of `n` independent responses.
//!
//! Only the four operations of arithmetic are used, so that everybody gets the same figures.

/// Parts in a million, the unit in which rates are published.
pub const MILLION: u32 = 1_000_000;

/// `P(X <= k)` for `X` binomial with `n` trials of probability `p`.
///
/// Terms are summed relative to the likeliest one, outwards until they no longer matter, so nothing overflows and the cost
/// grows with `√n`.
pub fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let odds = p / (1.0 - p);
    let mode = (((n + 1) as f64 * p) as u64).min(n);
    let (mut below, mut all) = (0.0, 0.0);
    let mut add = |i: u64, term: f64| {
        all += term;
        if i <= k {
            below += term;
        }
    };
    add(mode, 1.0);
    let mut term = 1.0;
    for i in mode..n {
        term *= (n - i) as f64 / (i + 1) as f64 * odds;
        if term < 1e-18 {
            break;
        }
        add(i + 1, term);
    }
    term = 1.0;
    for i in (0..mode).rev() {
        term *= (i + 1) as f64 / (n - i) as f64 / odds;
        if term < 1e-18 {
            break;
        }
        add(i, term);
    }
    below / all
}

/// One-sided Clopper-Pearson bound: the rate is at most this, with probability `confidence` over the sample. 1 if nothing was
/// counted.
pub fn upper(k: u64, n: u64, confidence: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    let (mut low, mut high) = (k as f64 / n as f64, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if at_most(k, n, middle) > 1.0 - confidence { low = middle } else { high = middle }
    }
    high
}

/// One-sided Clopper-Pearson bound: the rate is at least this. 0 if nothing was counted.
pub fn lower(k: u64, n: u64, confidence: f64) -> f64 {
    if n == 0 { 0.0 } else { 1.0 - upper(n - k.min(n), n, confidence) }
}

/// Two-sided Clopper-Pearson interval.
pub fn interval(k: u64, n: u64, confidence: f64) -> (f64, f64) {
    let each = 1.0 - (1.0 - confidence) / 2.0;
    (lower(k, n, each), upper(k, n, each))
}

/// [`upper`] in parts in a million, rounded up.
pub fn upper_ppm(k: u64, n: u64, confidence: f64) -> u32 {
    ((upper(k, n, confidence) * f64::from(MILLION)).ceil() as u32).min(MILLION)
}

/// [`lower`] in parts in a million, rounded down.
pub fn lower_ppm(k: u64, n: u64, confidence: f64) -> u32 {
    (lower(k, n, confidence) * f64::from(MILLION)).floor().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The binomial tail solved for the rate with 40 decimal digits, by a program of its own.
    #[test]
    fn bounds_are_those_of_clopper_and_pearson() {
        for (k, n, confidence, expected) in [
            (0, 100, 0.95, 0.029_513_050),
            (1, 100, 0.95, 0.046_559_811),
            (0, 2_000, 0.95, 0.001_496_745),
            (5, 10, 0.95, 0.777_558_899),
            (3, 1_000, 0.975, 0.008_742_023),
        ] {
            let found = upper(k, n, confidence);
            assert!((found - expected).abs() < 1e-9, "{k} of {n}: {found}");
            assert!((lower(n - k, n, confidence) - (1.0 - found)).abs() < 1e-12);
        }
        assert_eq!((upper(0, 0, 0.95), lower(0, 0, 0.95), upper(7, 7, 0.95), lower(0, 7, 0.95)), (1.0, 0.0, 1.0, 0.0));
    }

    /// What an interval promises, by summing over all samples instead of drawing some.
    #[test]
    fn a_bound_holds_at_least_as_often_as_it_says() {
        for n in [1_u64, 7, 40, 300] {
            for p in [0.001, 0.02, 0.3, 0.5, 0.97] {
                let mass = |k: u64| at_most(k, n, p) - if k == 0 { 0.0 } else { at_most(k - 1, n, p) };
                let covered: f64 = (0..=n).filter(|&k| upper(k, n, 0.95) >= p).map(mass).sum();
                assert!(covered >= 0.95 - 1e-9, "n {n}, p {p}: {covered}");
            }
        }
    }

    #[test]
    fn tails_of_many_trials_neither_overflow_nor_vanish() {
        assert!((at_most(50_000, 100_000, 0.5) - 0.501_261_563).abs() < 1e-8);
        assert!(at_most(99_990, 100_000, 0.999_9) > 0.5 && at_most(10, 100_000, 0.5) < 1e-300);
    }
}
