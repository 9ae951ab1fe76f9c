//! How `write` and `read` tell what they know: a sample a second on the way, latencies, and the summary
//! at the end. What there is to tell is each command's own.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::args::ProgressMode;
use crate::console;
use crate::exit::Failure;

/// Samples between two log lines in plain mode.
const PLAIN_EVERY: u64 = 10;

/// Latencies in microseconds.
pub(crate) type Latencies = Histogram<u64>;

/// Shows samples in the way that was asked for.
#[derive(Debug)]
pub(crate) struct Display {
    mode: ProgressMode,
    samples: u64,
}

impl Display {
    pub(crate) fn new(mode: ProgressMode) -> Self {
        let mode = match mode {
            ProgressMode::Auto if io::stderr().is_terminal() => ProgressMode::Live,
            ProgressMode::Auto => ProgressMode::Plain,
            mode => mode,
        };
        Self { mode, samples: 0 }
    }

    /// The next sample, of which `line` makes text.
    pub(crate) fn show<S: Serialize>(&mut self, sample: &S, line: impl FnOnce(&S) -> String) {
        self.samples += 1;
        match self.mode {
            ProgressMode::Live => console::live_line(&line(sample)),
            ProgressMode::Json => console::json_line(sample),
            ProgressMode::Plain if self.samples.is_multiple_of(PLAIN_EVERY) => tracing::info!("{}", line(sample)),
            _ => {}
        }
    }

    /// No more samples will come.
    pub(crate) fn end(&self) {
        if self.mode == ProgressMode::Live {
            console::end_live_line();
        }
    }
}

/// Percentiles of a whole run, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LatencySummary {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl LatencySummary {
    /// `None` when nothing was measured.
    pub(crate) fn new(latencies: &Latencies) -> Option<Self> {
        let ms = |us: u64| us as f64 / 1e3;
        (!latencies.is_empty()).then(|| Self {
            p50: ms(latencies.value_at_quantile(0.5)),
            p90: ms(latencies.value_at_quantile(0.9)),
            p99: ms(latencies.value_at_quantile(0.99)),
            p999: ms(latencies.value_at_quantile(0.999)),
            max: ms(latencies.max()),
        })
    }
}

impl fmt::Display for LatencySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms, max {max:.1} ms")
    }
}

/// One percentile of a sample, in milliseconds; `None` when nothing was measured.
pub(crate) fn percentile_ms(latencies: &Latencies, quantile: f64) -> Option<f64> {
    (!latencies.is_empty()).then(|| latencies.value_at_quantile(quantile) as f64 / 1e3)
}

/// Tells the summary: as `text` for people, as JSON to a program that reads along, and to a file.
pub(crate) fn conclude(
    summary: &impl Serialize,
    text: &str,
    mode: ProgressMode,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let for_programs = mode == ProgressMode::Json;
    console::text(text, for_programs);
    if for_programs {
        console::json_line(summary);
    }
    let Some(path) = file else { return Ok(()) };
    save(summary, path).map_err(|source| Failure::Summary { path: path.to_owned(), source })
}

/// Writes the JSON to a file, whole or not at all.
fn save(summary: &impl Serialize, path: &Path) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let mut json = serde_json::to_vec_pretty(summary)?;
    json.push(b'\n');
    fs::write(&beside, json)?;
    fs::rename(&beside, path)
}

/// Three digits after the point are enough to read, for people and programs.
pub(crate) fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
