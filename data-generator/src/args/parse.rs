//! Values that flags take.

use crate::event::EventSize;
use crate::shape::Rate;
use crate::stream::Retention;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// `30s`, `2m`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a length of time ({error}); write it as 30s, 2m or 1h30m"))
}

/// As [`duration`], above zero.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("it is zero; give a length of time above zero, for example 30s".to_owned());
    }
    Ok(duration)
}

/// `rate:duration` pairs separated by commas; clap splits at the commas.
pub(super) fn step(text: &str) -> Result<(Rate, Duration), String> {
    let (rate, length) =
        text.rsplit_once(':').ok_or_else(|| format!("{text:?} is not rate:duration, for example 100/s:30s"))?;
    let rate = rate.trim().parse().map_err(|error| format!("{error}"))?;
    Ok((rate, some_time(length.trim())?))
}

/// As [`duration`], in a shape file.
pub(super) fn time_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// As [`some_time`], in a shape file.
pub(super) fn length_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    some_time(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// A list of [`step`]s, in a shape file.
pub(super) fn steps_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Rate, Duration)>, D::Error> {
    let steps = Vec::<String>::deserialize(deserializer)?;
    steps.iter().map(|text| step(text).map_err(D::Error::custom)).collect()
}

/// `none`, a length of time, or a size in bytes.
pub(super) fn retention(text: &str) -> Result<Retention, String> {
    if text == "none" {
        return Ok(Retention::Unlimited);
    }
    if let Some(bytes) = size(text) {
        return match bytes {
            0 => Err("a size of zero keeps nothing".to_owned()),
            bytes => Ok(Retention::Bytes(bytes)),
        };
    }
    some_time(text)
        .map(Retention::Time)
        .map_err(|_| format!("{text:?} is neither none, nor a length of time (1h), nor a size (10GB, 512MiB)"))
}

/// A number with a unit that ends in B, which no unit of time does.
fn size(text: &str) -> Option<u64> {
    let number = text.strip_suffix('B')?;
    let digits = number.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match number[digits.len()..].trim() {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1_u64 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

pub(super) fn event_size(text: &str) -> Result<EventSize, String> {
    text.parse()
        .ok()
        .and_then(EventSize::new)
        .ok_or_else(|| format!("it must be a number of bytes from {} to {}", EventSize::MIN, EventSize::MAX))
}

/// An exponent of zipf.
pub(super) fn exponent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok().filter(|number| (0.0..=20.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 20".to_owned())
}

/// A name as Pravega takes it; a bad one would only be refused after a round trip.
pub(super) fn name(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) {
        return Err("a name is 1 to 255 letters, digits, dots, dashes or underscores".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_told_by_its_unit() {
        for (text, wanted) in [
            ("none", Retention::Unlimited),
            ("1h", Retention::Time(Duration::from_hours(1))),
            ("90m", Retention::Time(Duration::from_mins(90))),
            ("10GB", Retention::Bytes(10_000_000_000)),
            ("512MiB", Retention::Bytes(512 << 20)),
            ("4096B", Retention::Bytes(4_096)),
        ] {
            assert_eq!(retention(text), Ok(wanted), "{text}");
        }
        for text in ["", "0s", "0B", "10XB", "forever", "-1h"] {
            assert!(retention(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_step_is_a_rate_and_a_duration() {
        let (rate, length) = step("50000/10s:2m").expect("a step");
        assert!((rate.events_per_second() - 5_000.0).abs() < 1e-9);
        assert_eq!(length, Duration::from_mins(2));
        for text in ["100/s", "100/s:", "100/s:0s", "-1/s:3s", "x:3s"] {
            assert!(step(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_those_pravega_takes() {
        assert!(name("dna-1.x_y").is_ok());
        assert!(name("a/b").is_err());
        assert!(name("").is_err());
    }
}
