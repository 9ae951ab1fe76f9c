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
        "bytes" => binary(value, "B"),
        "binBps" => binary(value, "B/s"),
        "cps" => format!("{}/s", plain(value)),
        _ => plain(value),
    }
}

fn binary(value: f64, unit: &str) -> String {
    match value {
        value if value >= 1_048_576.0 => format!("{} Mi{unit}", plain(value / 1_048_576.0)),
        value if value >= 1024.0 => format!("{} Ki{unit}", plain(value / 1024.0)),
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

/// The next round number above in this unit; whole numbers for counts.
pub fn top(largest: f64, unit: &str, counts: bool) -> f64 {
    if counts {
        return largest.max(1.0).ceil() + 1.0;
    }
    let largest = if largest > 0.0 && largest.is_finite() { largest * 1.05 } else { 1.0 };
    let prefix = if matches!(unit, "bytes" | "binBps") { 1024_f64.powf(largest.log(1024.0).floor()) } else { 1.0 };
    let power = 10_f64.powf((largest / prefix).log10().floor()) * prefix;
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
            (1_572_864.0, "binBps", "1.5 MiB/s"),
        ] {
            assert_eq!(label(value, unit), short);
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (largest, unit, counts, round) in [
            (1400.0, "cps", false, 2000.0),
            (0.0, "s", false, 1.0),
            (4.0, "short", true, 5.0),
            (45.0 * 1_048_576.0, "bytes", false, 50.0 * 1_048_576.0),
        ] {
            assert!((top(largest, unit, counts) - round).abs() < 1e-6, "{largest}");
        }
    }
}
