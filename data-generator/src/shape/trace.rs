//! A load that was recorded: lines of time and rate.
//!
//! ```text
//! time,rate
//! 0,100
//! 30,2500
//! 90,0
//! ```
//!
//! Times are seconds, lengths of time (`1m 30s`) or timestamps (`2026-11-22T08:00:00Z`), and count from
//! the first line. The last line is where the trace ends. Blank lines, lines that begin with `#` and
//! one line of headings are passed over.

use super::{Curve, MOST_PIECES, Rate, Shape};
use humantime::format_duration;
use std::time::Duration;
use thiserror::Error;

/// A trace, checked: at least two points, in ascending order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Seconds after the first point, and the rate there.
    points: Vec<(f64, Rate)>,
}

/// What holds between two points of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Between {
    /// The rate of the earlier one: each line says what was measured from then on.
    #[default]
    Hold,
    /// A straight line.
    Linear,
}

/// What is wrong with a trace, and where. Lines and columns count from 1.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {problem}")]
pub struct TraceError {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
}

/// How the times of a trace are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Elapsed,
    Timestamp,
}

impl Trace {
    /// Reads a trace.
    ///
    /// ```
    /// use data_generator::shape::Trace;
    ///
    /// assert!(Trace::parse(b"0,100\n30,2500/10s\n1m 30s,0\n").is_ok());
    /// let error = Trace::parse(b"0,100\n30,-5\n").unwrap_err();
    /// assert_eq!(error.to_string(), "line 2, column 4: -5 events is below zero; a rate is zero or more");
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let mut points: Vec<(f64, Rate)> = Vec::new();
        let mut first: Option<(f64, Clock)> = None;
        let mut headings = true;
        let mut last_line = 1;
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            last_line = number;
            let line = text(line, number)?;
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let fields = fields(line);
            if std::mem::take(&mut headings) && fields.iter().all(|(_, field)| starts_with_letter(field)) {
                continue;
            }
            let error = |column: usize, problem: String| TraceError { line: number, column, problem };
            let (time, rate) = match fields.as_slice() {
                [time, rate] => (*time, *rate),
                [_, _, (column, more), ..] => {
                    return Err(error(*column, format!("{more:?} is too much; a line is time,rate")));
                }
                _ => return Err(error(line.chars().count() + 1, "the rate is missing; a line is time,rate".into())),
            };
            let (seconds, clock) = seconds(time.1).map_err(|problem| error(time.0, problem))?;
            let rate: Rate = rate.1.parse().map_err(|problem| error(rate.0, format!("{problem}")))?;
            let (start, kind) = *first.get_or_insert((seconds, clock));
            if clock != kind {
                return Err(error(time.0, format!("{:?} is a time of another kind than the first", time.1)));
            }
            let at = seconds - start;
            if points.last().is_some_and(|(before, _)| at <= *before) {
                return Err(error(time.0, format!("{:?} is not after the line before it", time.1)));
            }
            if points.len() >= MOST_PIECES {
                return Err(error(1, format!("a trace has at most {MOST_PIECES} lines")));
            }
            points.push((at, rate));
        }
        if points.len() < 2 {
            let problem = "a trace has at least two lines: the last one says where it ends".into();
            return Err(TraceError { line: last_line, column: 1, problem });
        }
        Ok(Self { points })
    }
}

impl Shape {
    /// A trace played again; the shape ends with its last point.
    #[must_use]
    pub fn trace(name: &str, trace: &Trace, between: Between) -> Self {
        let points = &trace.points;
        let length = points.last().map_or(0.0, |(at, _)| *at);
        let label = format!(
            "trace {name}: {} lines over {}, {}",
            points.len(),
            format_duration(Duration::from_secs_f64(length)),
            match between {
                Between::Hold => "each rate held",
                Between::Linear => "straight lines between",
            }
        );
        let curves = points.windows(2).map(|pair| {
            let ((starts, from), (ends, to)) = (pair[0], pair[1]);
            let length = ends - starts;
            let curve = match between {
                Between::Hold => Curve::Constant { rate: from },
                Between::Linear => Curve::Ramp { from, to, length },
            };
            (curve, length)
        });
        Self::from_curves(label, curves)
    }
}

fn text(line: &[u8], number: usize) -> Result<&str, TraceError> {
    std::str::from_utf8(line).map_err(|error| {
        let good = String::from_utf8_lossy(&line[..error.valid_up_to()]).chars().count();
        TraceError { line: number, column: good + 1, problem: "this is not text in UTF-8".into() }
    })
}

/// The fields of a line without the blanks around them, each with its column.
fn fields(line: &str) -> Vec<(usize, &str)> {
    let mut column = 1;
    let mut fields = Vec::new();
    for field in line.split(',') {
        let blanks = field.chars().count() - field.trim_start().chars().count();
        fields.push((column + blanks, field.trim()));
        column += field.chars().count() + 1;
    }
    fields
}

fn starts_with_letter(field: &str) -> bool {
    field.starts_with(char::is_alphabetic)
}

fn seconds(text: &str) -> Result<(f64, Clock), String> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok((seconds, Clock::Elapsed));
    }
    if let Ok(length) = humantime::parse_duration(text) {
        return Ok((length.as_secs_f64(), Clock::Elapsed));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok((time.as_microsecond() as f64 / 1e6, Clock::Timestamp));
    }
    Err(format!(
        "{text:?} is not a time; write seconds (90), a length of time (1m 30s) or a timestamp (2026-11-22T08:00:00Z)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Trace::parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn times_are_written_in_three_ways() {
        let wanted = Trace::parse(b"0,100\n30,2500\n90,0\n").expect("seconds");
        for text in [
            "time,rate\r\n0,100\r\n30,2500\r\n90,0",
            "# a comment\n\n 0s , 100/s \n30s,25000/10s\n1m 30s,0\n",
            "timestamp, events per second\n2026-11-22T08:00:00Z,100\n2026-11-22T08:00:30Z,2500\n2026-11-22T09:01:30+01:00,0\n",
            "100,100\n130.0,2500\n190,0\n",
        ] {
            assert_eq!(Trace::parse(text.as_bytes()).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn what_does_not_parse_is_named_by_line_and_column() {
        for (text, at, what) in [
            ("0,1\n1,two\n2,1\n", "line 2, column 3:", "\"two\""),
            ("0,1\nsoon,2\n", "line 2, column 1:", "\"soon\" is not a time"),
            ("0,1\n  5 ,  -2\n", "line 2, column 8:", "below zero"),
            ("0,1\n5\n", "line 2, column 2:", "missing"),
            ("0,1\n5,2,x\n", "line 2, column 5:", "\"x\" is too much"),
            ("time,rate\n0,1\n5,1\n5,2\n", "line 4, column 1:", "not after"),
            ("0,1\n2026-11-22T08:00:00Z,2\n", "line 2, column 1:", "another kind"),
            ("time,rate\ntime,rate\n0,1\n", "line 2, column 1:", "not a time"),
            ("0,1\n", "line 2, column 1:", "at least two"),
            ("", "line 1, column 1:", "at least two"),
            ("0,NaN\n1,1\n", "line 1, column 3:", "NaN"),
        ] {
            let error = refused(text);
            assert!(error.starts_with(at) && error.contains(what), "{text:?}: {error}");
        }
        let error = Trace::parse(b"0,1\n1,\xFF\n").expect_err("not text").to_string();
        assert_eq!(error, "line 2, column 3: this is not text in UTF-8");
    }
}
