use super::*;

#[test]
fn medians() {
    for (values, expected) in [(&[][..], 0.0), (&[3.0], 3.0), (&[9.0, 1.0, 5.0], 5.0), (&[4.0, 1.0, 3.0, 2.0], 2.5)] {
        assert!((median(values) - expected).abs() < f64::EPSILON, "{values:?}");
    }
}

#[test]
fn percentiles_by_nearest_rank() {
    let hundred: Vec<u32> = (1..=100).collect();
    for (values, share, expected) in [
        (&[][..], 0.5, 0),
        (&[7], 0.99, 7),
        (&[1, 2], 0.5, 1),
        (&[1, 2], 0.51, 2),
        (&hundred, 0.0, 1),
        (&hundred, 0.5, 50),
        (&hundred, 0.99, 99),
        (&hundred, 0.991, 100),
        (&hundred, 1.0, 100),
    ] {
        assert_eq!(percentile(values, share), expected, "{share} of {} values", values.len());
    }
}

#[test]
fn numbers_are_readable() {
    for (value, whole, few) in [
        (0.0, "0", "0.00"),
        (4.256, "4", "4.26"),
        (42.56, "43", "42.6"),
        (999.4, "999", "999"),
        (1000.0, "1,000", "1,000"),
        (1_234_567.0, "1,234,567", "1,234,567"),
    ] {
        assert_eq!((thousands(value).as_str(), short(value).as_str()), (whole, few));
    }
}
