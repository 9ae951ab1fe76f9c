//! A rate of events, as it is written on the command line and as it is counted with.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// Events per second: finite and never below zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// No events.
    pub const ZERO: Self = Self(0.0);

    /// So far on the way from this rate to the other: 0 is this one, 1 the other.
    #[must_use]
    pub fn between(self, other: Self, share: f64) -> Self {
        Self((self.0 + (other.0 - self.0) * share).max(0.0))
    }

    /// Events per second, or `None` for a number that is no rate.
    #[must_use]
    pub fn per_second(events: f64) -> Option<Self> {
        (events.is_finite() && events >= 0.0).then_some(Self(events))
    }

    /// Events per second.
    #[must_use]
    pub fn events_per_second(self) -> f64 {
        self.0
    }
}

/// Why a text is not a rate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RateError {
    /// The part before the slash is no number.
    #[error("{0:?} is not a number of events; write a rate as 100/s, 6000/min or 50000/10s")]
    Number(String),
    /// A rate below zero.
    #[error("{0} events is below zero; a rate is zero or more")]
    Negative(String),
    /// The part after the slash is no length of time, or is zero.
    #[error("{0:?} is not a length of time above zero; write a rate as 100/s, 6000/min or 50000/10s")]
    Per(String),
}

/// `100/s`, `6000/min`, `50000/10s`, or a bare number of events per second.
impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (events, per) = text.split_once('/').unwrap_or((text, "s"));
        let number: f64 = events
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| RateError::Number(events.to_owned()))?;
        if number < 0.0 {
            return Err(RateError::Negative(events.to_owned()));
        }
        let per = per.trim();
        // "per s" means "per 1s": a unit alone is what people write.
        let spelled =
            if per.starts_with(|first: char| first.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
        let seconds = humantime::parse_duration(&spelled).unwrap_or(Duration::ZERO).as_secs_f64();
        if seconds <= 0.0 {
            return Err(RateError::Per(per.to_owned()));
        }
        Ok(Self(number / seconds))
    }
}

/// As text, or a bare number of events per second.
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate, for example \"100/s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.fract() == 0.0 || self.0 >= 100.0 {
            write!(f, "{:.0}/s", self.0)
        } else {
            write!(f, "{:.2}/s", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_rates_in_several_ways() {
        for (text, events_per_second) in [
            ("100/s", 100.0),
            ("100", 100.0),
            ("0/s", 0.0),
            ("6000/min", 100.0),
            ("50000/10s", 5_000.0),
            ("1/500ms", 2.0),
            ("2.5/s", 2.5),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert!((rate.events_per_second() - events_per_second).abs() < 1e-9, "{text} is {rate:?}");
        }
    }

    #[test]
    fn what_is_no_rate_says_what_was_seen() {
        for (text, seen) in [
            ("-5/s", "-5"),
            ("fast", "\"fast\""),
            ("NaN/s", "\"NaN\""),
            ("inf", "\"inf\""),
            ("100/0s", "\"0s\""),
            ("100/", "\"\""),
            ("100/parsec", "\"parsec\""),
        ] {
            let error = text.parse::<Rate>().expect_err(text).to_string();
            assert!(error.contains(seen), "{text}: {error}");
        }
    }
}
