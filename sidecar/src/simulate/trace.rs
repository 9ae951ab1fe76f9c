//! What is replayed: a value over time, from a CSV file or from the sample's own load.
//!
//! ```text
//! seconds,segments
//! 0,1
//! 600,4
//! 7200,4
//! ```
//!
//! A value holds until the next line; the last line says where the trace ends.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::Timestamp;
use thiserror::Error;

/// A quarter of a year: longer is a mistake in the unit more often than a wish.
const LONGEST: u64 = 92 * 24 * 3600;
const MOST_LINES: usize = 1_000_000;
/// No stream has so many; each TaskManager is simulated by itself.
const MOST_SEGMENTS: f64 = 100_000.0;
const HIGHEST_RATE: f64 = 1e12;

/// What the values of a trace are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Open segments of a stream.
    Segments,
    /// Events, or bytes, per second that are written to it.
    Rate,
}

/// Values over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What the values are.
    pub kind: Kind,
    /// From which second on which value holds; the first is second 0.
    pub points: Vec<(u64, f64)>,
    /// How many seconds it lasts.
    pub length: u64,
}

/// Why a file is no trace. Lines count from 1.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(csv::Error),
    /// Something is wrong with one line.
    #[error("line {line}: {problem}")]
    Line {
        /// The line.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing to replay.
    #[error("a trace needs at least two lines, the last of which says where it ends; there are {0}")]
    TooShort(usize),
}

impl TraceError {
    fn of(error: csv::Error) -> Self {
        match error.kind() {
            csv::ErrorKind::Utf8 { pos: Some(position), .. } => {
                Self::Line { line: position.line(), problem: "this is not text in UTF-8".into() }
            }
            _ => Self::Unreadable(error),
        }
    }
}

/// Where in a line the two values stand.
struct Columns {
    time: usize,
    value: usize,
    fields: usize,
    kind: Kind,
}

impl Trace {
    /// Reads a CSV. Without headings the second column is taken for `assumed`.
    pub fn read(text: impl Read, assumed: Kind) -> Result<Self, TraceError> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(text);
        let mut columns = None;
        let mut start: Option<(f64, Clock)> = None;
        let mut last = 0.0;
        let mut points: Vec<(u64, f64)> = Vec::new();
        let mut lines = 0;
        for record in reader.records() {
            let record = record.map_err(TraceError::of)?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |problem: String| TraceError::Line { line, problem };
            let columns = match &columns {
                Some(columns) => columns,
                None if is_heading(&record) => {
                    columns = Some(Columns::named(&record, assumed).map_err(wrong)?);
                    continue;
                }
                None => columns.insert(Columns { time: 0, value: 1, fields: 2, kind: assumed }),
            };
            if record.len() != columns.fields {
                return Err(wrong(format!("{} fields, where {} are expected", record.len(), columns.fields)));
            }
            let (seconds, clock) = seconds(&record[columns.time]).map_err(wrong)?;
            let (first, kind) = *start.get_or_insert((seconds, clock));
            if clock != kind {
                return Err(wrong(format!("{:?} is a time of another kind than the first", &record[columns.time])));
            }
            let since = seconds - first;
            if lines > 0 && since <= last {
                return Err(wrong(format!("{:?} is not after the line before it", &record[columns.time])));
            }
            let second = whole(since).filter(|second| *second <= LONGEST).ok_or_else(|| {
                wrong(format!("{:?} is more than 92 days after the first line", &record[columns.time]))
            })?;
            let value = columns.kind.value(&record[columns.value]).map_err(wrong)?;
            lines += 1;
            if lines > MOST_LINES {
                return Err(wrong(format!("a trace has at most {MOST_LINES} lines")));
            }
            last = since;
            match points.last_mut() {
                // Time goes by the second here; of two lines in one the later counts.
                Some(point) if point.0 == second => point.1 = value,
                _ => points.push((second, value)),
            }
        }
        let kind = columns.map_or(assumed, |columns| columns.kind);
        match points.last() {
            Some((length, _)) if *length > 0 => Ok(Self { kind, length: *length, points }),
            _ => Err(TraceError::TooShort(lines)),
        }
    }

    /// The load of Pravega's autoscaling sample: 5,000 events per second, more or less by as much, a
    /// wave in 78.5 minutes that begins just after its trough (`data-generator shape` without flags).
    #[must_use]
    pub fn sample(length: u64) -> Self {
        const EVERY: u64 = 10;
        const PERIOD: f64 = 4_712.389;
        let rate = |second: u64| 5_000.0 * (1.0 + (std::f64::consts::TAU * second as f64 / PERIOD - 3.0).cos());
        let points = (0..length).step_by(10).map(|second| (second, rate(second + EVERY / 2))).collect();
        Self { kind: Kind::Rate, points, length }
    }

    /// The same, ended after this time if it is longer.
    #[must_use]
    pub fn cut(mut self, length: u64) -> Self {
        self.length = self.length.min(length);
        self.points.retain(|(second, _)| *second < self.length);
        self
    }
}

impl Kind {
    fn value(self, text: &str) -> Result<f64, String> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::Segments => {
                number.filter(|number| number.fract() == 0.0 && (0.0..=MOST_SEGMENTS).contains(number)).ok_or_else(
                    || format!("{text:?} is not a number of segments: a whole number from 0 to {MOST_SEGMENTS}"),
                )
            }
            Self::Rate => number
                .filter(|number| (0.0..=HIGHEST_RATE).contains(number))
                .ok_or_else(|| format!("{text:?} is not a rate: a number per second from 0 to {HIGHEST_RATE:e}")),
        }
    }
}

impl Columns {
    /// By their headings: the first that speaks of time, and the first that speaks of what is assumed.
    fn named(record: &StringRecord, assumed: Kind) -> Result<Self, String> {
        let find = |words: &[&str]| {
            record.iter().position(|heading| words.iter().any(|word| heading.to_ascii_lowercase().contains(word)))
        };
        let time = find(&["time", "second", "date"]).ok_or("no heading names the time: write seconds,segments")?;
        let segments = find(&["segment"]).map(|value| (value, Kind::Segments));
        let rate = find(&["rate", "per_s", "/s"]).map(|value| (value, Kind::Rate));
        let (value, kind) = match assumed {
            Kind::Segments => segments.or(rate),
            Kind::Rate => rate.or(segments),
        }
        .ok_or("no heading names the values: write seconds,segments or seconds,rate")?;
        Ok(Self { time, value, fields: record.len(), kind })
    }
}

/// How the times of a trace are written.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Elapsed,
    Timestamp,
}

fn is_heading(record: &StringRecord) -> bool {
    record.iter().all(|field| field.starts_with(|first: char| first.is_alphabetic() || first == '_'))
        && !record.iter().any(|field| field.parse::<f64>().is_ok())
}

fn seconds(text: &str) -> Result<(f64, Clock), String> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
        return Ok((seconds, Clock::Elapsed));
    }
    if let Ok(length) = humantime::parse_duration(text) {
        return Ok((length.as_secs_f64(), Clock::Elapsed));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok((time.as_microsecond() as f64 / 1e6, Clock::Timestamp));
    }
    Err(format!(
        "{text:?} is not a time: write seconds (90), a length of time (1m 30s) or a timestamp (2026-11-22T08:00:00Z)"
    ))
}

/// Rounded to a whole number, if there is one that large.
#[must_use]
pub fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on the same line")]
    (0.0..=9e15).contains(&number).then(|| number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, assumed: Kind) -> Result<Trace, String> {
        Trace::read(text.as_bytes(), assumed).map_err(|error| error.to_string())
    }

    #[test]
    fn times_and_headings_are_written_in_several_ways() {
        let wanted = Trace { kind: Kind::Segments, points: vec![(0, 1.0), (30, 4.0), (90, 2.0)], length: 90 };
        for text in [
            "0,1\n30,4\n90,2\n",
            "seconds,segments\r\n0,1\r\n30,4\r\n90,2",
            "\u{feff}seconds,segments\n0,1\n30,4\n90,2\n",
            "# a comment\n\n 0s , 1 \n30s,4.0\n1m 30s,2\n",
            "timestamp,\"stream segments\"\n2026-11-22T08:00:00Z,1\n2026-11-22T08:00:30Z,4\n2026-11-22T09:01:30+01:00,2\n",
            "1700000000,1\n1700000030.2,4\n1700000090,2\n",
            "at_seconds,rate,segments,parallelism\n0,10,1,x\n30,20,4,x\n90,30,2,x\n",
        ] {
            assert_eq!(read(text, Kind::Segments).as_ref(), Ok(&wanted), "{text}");
        }
        let rates = read("time,rate\n0.000,50.5\n10.000,0\n", Kind::Segments);
        assert_eq!(rates, Ok(Trace { kind: Kind::Rate, points: vec![(0, 50.5), (10, 0.0)], length: 10 }));
    }

    #[test]
    fn what_does_not_parse_is_named_by_its_line() {
        for (text, kind, at, what) in [
            ("0,1\n1,two\n", Kind::Segments, "line 2:", "\"two\" is not a number of segments"),
            ("0,1\n1,2.5\n", Kind::Segments, "line 2:", "whole number"),
            ("0,1\n1,-2\n", Kind::Segments, "line 2:", "from 0 to 100000"),
            ("0,NaN\n1,1\n", Kind::Segments, "line 1:", "\"NaN\""),
            ("0,1e9\n1,1\n", Kind::Segments, "line 1:", "from 0 to 100000"),
            ("0,inf\n1,1\n", Kind::Rate, "line 1:", "is not a rate"),
            ("0,1e300\n1,1\n", Kind::Rate, "line 1:", "is not a rate"),
            ("0,1\n1,-1\n", Kind::Rate, "line 2:", "is not a rate"),
            ("0,1\nsoon,2\n", Kind::Segments, "line 2:", "\"soon\" is not a time"),
            ("0,1\nNaN,2\n", Kind::Segments, "line 2:", "is not a time"),
            ("-1,1\n1,2\n", Kind::Segments, "line 1:", "\"-1\" is not a time"),
            ("0,1\n5\n", Kind::Segments, "line 2:", "1 fields, where 2 are expected"),
            ("0,1\n5,2,x\n", Kind::Segments, "line 2:", "3 fields"),
            ("seconds,segments\n0,1\n\n5,1\n5,2\n", Kind::Segments, "line 5:", "not after"),
            ("0,1\n9,1\n5,2\n", Kind::Segments, "line 3:", "\"5\" is not after"),
            ("0,1\n2026-11-22T08:00:00Z,2\n", Kind::Segments, "line 2:", "another kind"),
            ("0,1\n1e12,2\n", Kind::Segments, "line 2:", "92 days"),
            ("segments,load\n1,0\n", Kind::Segments, "line 1:", "no heading names the time"),
            ("seconds,load\n0,1\n", Kind::Segments, "line 1:", "no heading names the values"),
            ("seconds,segments\nseconds,segments\n", Kind::Segments, "line 2:", "is not a time"),
            ("", Kind::Segments, "a trace needs at least two lines", "there are 0"),
            ("0,1\n", Kind::Segments, "a trace needs", "there are 1"),
            ("0,1\n0.2,2\n", Kind::Segments, "a trace needs", "there are 2"),
        ] {
            let error = read(text, kind).unwrap_err();
            assert!(error.starts_with(at) && error.contains(what), "{text:?}: {error}");
        }
        let error = Trace::read(&b"0,1\n1,\xFF\n"[..], Kind::Segments).unwrap_err().to_string();
        assert_eq!(error, "line 2: this is not text in UTF-8");
    }

    #[test]
    fn the_sample_swings_between_nothing_and_twice_its_median() {
        let sample = Trace::sample(24 * 3600);
        let rates = || sample.points.iter().map(|(_, rate)| *rate);
        assert_eq!((sample.points.len(), sample.length), (8640, 86_400));
        assert!(rates().all(|rate| (0.0..=10_000.0).contains(&rate)));
        assert!(rates().fold(0.0, f64::max) > 9_999.0 && rates().fold(1e9, f64::min) < 1.0);
    }
}
