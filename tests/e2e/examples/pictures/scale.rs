//! Numbers in the units of the dashboards, by Grafana's names for them.

/// A value with its unit, short enough for an axis.
pub fn label(value: f64, unit: &str) -> String {
    match unit {
        "s" if value >= 120.0 => format!("{:.0} min", value / 60.0),
        "s" if value != 0.0 && value < 1.0 => format!("{} ms", plain(value * 1e3)),
        "s" => format!("{} s", plain(value)),
        "percentunit" => format!("{} %", plain(value * 100.0)),
        "bool_yes_no" if value == 0.0 => "no".to_owned(),
        "bool_yes_no" => "yes".to_owned(),
        "decbytes" => bytes(value, "B"),
        "Bps" => bytes(value, "B/s"),
        "cps" => format!("{}/s", plain(value)),
        _ => plain(value),
    }
}

fn bytes(value: f64, unit: &str) -> String {
    match value {
        value if value >= 1e6 => format!("{} M{unit}", plain(value / 1e6)),
        value if value >= 1e3 => format!("{} k{unit}", plain(value / 1e3)),
        value => format!("{} {unit}", plain(value)),
    }
}

/// Three digits at most, where they matter.
fn plain(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 2,
        middle if middle < 10.0 && middle.fract().abs() > 1e-6 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// The next round number above; whole numbers for counts.
pub fn top(largest: f64, counts: bool) -> f64 {
    if counts {
        return largest.max(1.0).ceil() + 1.0;
    }
    let largest = if largest > 0.0 && largest.is_finite() { largest * 1.05 } else { 1.0 };
    let power = 10_f64.powf(largest.log10().floor());
    [1.0, 2.0, 3.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|top| *top >= largest).unwrap_or(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short() {
        for (value, unit, short) in [
            (0.0, "short", "0"),
            (3.0, "short", "3"),
            (1234.5, "cps", "1234/s"),
            (0.25, "s", "250 ms"),
            (2.5, "s", "2.5 s"),
            (0.995, "percentunit", "100 %"),
            (1_500_000.0, "Bps", "1.5 MB/s"),
        ] {
            assert_eq!(label(value, unit), short);
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (largest, counts, round) in [(1400.0, false, 2000.0), (0.0, false, 1.0), (4.0, true, 5.0)] {
            assert!((top(largest, counts) - round).abs() < 1e-6, "{largest}");
        }
    }
}
