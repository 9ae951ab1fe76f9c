//! Shows what the lab is doing: a moving line on a terminal, plain lines elsewhere. Always on stderr,
//! so that stdout stays free for what a caller wants to read.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::clock;

/// How often a plain line repeats while something takes long.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A moving line per task.
    Terminal,
    /// A line at the start, every few seconds, and at the end.
    Plain,
    /// Nothing: for callers that draw the screen themselves.
    Silent,
}

impl Progress {
    /// A moving line if stderr is a terminal, plain lines if not.
    #[must_use]
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal } else { Self::Plain }
    }

    /// Begins a task, for example `"Flink 1.20.5"`.
    #[must_use]
    pub fn task(self, what: impl Into<String>) -> Task {
        let what = what.into();
        let now = clock::now();
        let bar = match self {
            Self::Terminal => {
                let bar = ProgressBar::new_spinner().with_message(what.clone());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Self::Plain => {
                eprintln!("{what} ...");
                None
            }
            Self::Silent => None,
        };
        Task { what, how: self, bar, began: now, last_line: now }
    }
}

/// One thing that is under way. Dropped without [`done`](Self::done), its line simply goes away.
#[derive(Debug)]
pub struct Task {
    what: String,
    how: Progress,
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
}

impl Task {
    /// Says how far it is, for example `"45 jars, 12 MiB"`.
    pub fn at(&mut self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {detail}", self.what));
        } else if self.how == Progress::Plain && self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = clock::now();
            eprintln!("{}: {detail}, {}", self.what, seconds(self.began.elapsed()));
        }
    }

    /// It is finished.
    pub fn done(self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.how != Progress::Silent {
            eprintln!("{}: {detail}, {}", self.what, seconds(self.began.elapsed()));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A size for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A duration for people.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
