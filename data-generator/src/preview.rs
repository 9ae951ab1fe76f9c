//! `shape`: what a shape comes to, as text and as a picture. From the same code that paces the writers.

mod picture;

use crate::args::{PreviewArgs, UsageError};
use crate::console;
use crate::exit::Failure;
use crate::pace::{Limits, Load};
use humantime::format_duration;
use std::fmt::Write as _;
use std::time::Duration;

/// What is shown of a shape without an end.
const ENDLESS: Duration = Duration::from_hours(1);
/// Length of the longest bar.
const BAR: f64 = 40.0;

/// The rates of a load at moments evenly apart, and what they come to.
struct Preview {
    title: String,
    length: Duration,
    events: u64,
    /// Seconds, and events per second.
    points: Vec<(f64, f64)>,
}

/// Prints the shape, and draws it if that was asked for.
pub(crate) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let load = Load::try_from(&args.shape)?;
    let preview = Preview::new(&load, args.duration, args.rows);
    console::text(&if args.csv { preview.csv() } else { preview.text() }, false);
    if let Some(path) = &args.svg {
        let fine = Preview::new(&load, args.duration, picture::POINTS);
        let drawn = picture::draw(&fine, path);
        drawn.map_err(|error| UsageError(format!("--svg {}: {error}", path.display())))?;
    }
    Ok(())
}

impl Preview {
    fn new(load: &Load, duration: Option<Duration>, rows: u32) -> Self {
        let whole = load.length().unwrap_or(ENDLESS);
        let length =
            duration.map_or(whole, |duration| if load.length().is_some() { duration.min(whole) } else { duration });
        let points = (0..=rows).map(|row| {
            let at = length.mul_f64(f64::from(row) / f64::from(rows));
            // At its very end a shape is over already; what is meant is the rate until then.
            let just_before = at.min(length.saturating_sub(Duration::from_micros(1)));
            (at.as_secs_f64(), load.rate(just_before).unwrap_or_default())
        });
        Self {
            title: load.to_string(),
            length,
            events: Limits::default().due_before(load, length).unwrap_or_default(),
            points: points.collect(),
        }
    }

    fn highest(&self) -> f64 {
        self.points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max)
    }

    fn text(&self) -> String {
        let mean = self.events as f64 / self.length.as_secs_f64();
        let mut text = format!(
            "{}\n{} events in {}, {mean:.1}/s on average\n",
            self.title,
            self.events,
            format_duration(self.length)
        );
        let highest = self.highest().max(f64::MIN_POSITIVE);
        for (at, rate) in &self.points {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the longest bar")]
            let bar = (rate / highest * BAR).round() as usize;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at:>10.1} s {rate:>10.1}/s {}", "#".repeat(bar));
        }
        text
    }

    fn csv(&self) -> String {
        self.points.iter().fold("time,rate\n".to_owned(), |mut text, (at, rate)| {
            let _ = writeln!(text, "{at:.3},{rate:.3}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{Between, Rate, Shape, Trace};

    fn ramp() -> Load {
        let rate = |per_second| Rate::per_second(per_second).expect("a rate");
        Load::Shape(Shape::ramp(rate(0.0), rate(100.0), Duration::from_secs(10)).expect("a ramp"))
    }

    #[test]
    fn a_preview_has_the_rates_and_the_events() {
        let preview = Preview::new(&ramp(), None, 2);
        let text = preview.text();
        assert!(text.contains("500 events in 10s, 50.0/s on average"), "{text}");
        assert!(text.ends_with(&format!("10.0 s      100.0/s {}\n", "#".repeat(40))), "{text}");
        let half = Preview::new(&ramp(), Some(Duration::from_secs(5)), 2);
        assert_eq!(half.events, 125);
    }

    #[test]
    fn what_is_printed_as_csv_is_a_trace() {
        let csv = Preview::new(&ramp(), None, 100).csv();
        let trace = Trace::parse(csv.as_bytes()).expect("a trace");
        let again = Shape::trace("ramp", &trace, Between::Linear);
        assert_eq!(again.whole_count(Duration::MAX), 500);
    }

    #[test]
    fn a_picture_is_an_svg_file() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ramp.svg");
        picture::draw(&Preview::new(&ramp(), None, picture::POINTS), &file).expect("draws");
        let svg = std::fs::read_to_string(file)?;
        assert!(svg.starts_with("<svg") && svg.contains("ramp from 0/s to 100/s"), "{svg}");
        Ok(())
    }
}
