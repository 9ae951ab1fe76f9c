//! When each event came out of the job (`--trace`): one line `writer.sequence intended_us seen_us` as
//! soon as it was seen, in a file per attempt of each subtask. What a restart cost is read off it from
//! outside: how long the output was silent, and what was read again.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

/// The folder of a job's trace files.
#[derive(Clone, Debug)]
pub struct Trace(PathBuf);

/// All that the job has put out so far, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Vec<Seen>);

/// One event on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    at_us: i64,
    intended_us: i64,
    /// It had come out before: it was replayed.
    again: bool,
}

/// A stretch without any output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The last output before.
    pub from: Timestamp,
    /// The first output after.
    pub to: Timestamp,
}

impl Silence {
    /// How long it lasted.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default()
    }
}

impl Trace {
    /// The trace in this folder; the job makes it.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Reads what is there by now. A last line that is still being written is left out.
    pub fn read(&self) -> Result<Timeline> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(|| self.0.display().to_string())? {
            let path = entry?.path();
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                let parsed = parse(line).with_context(|| format!("{}: '{line}' is no trace", path.display()))?;
                lines.push(parsed);
            }
        }
        lines.sort_unstable();
        let mut known = HashSet::with_capacity(lines.len());
        let seen =
            lines.into_iter().map(|(at_us, intended_us, id)| Seen { at_us, intended_us, again: !known.insert(id) });
        Ok(Timeline(seen.collect()))
    }
}

/// Time seen, time intended, and the event's id.
fn parse(line: &str) -> Option<(i64, i64, (u32, u64))> {
    let mut words = line.split(' ');
    let (writer, sequence) = words.next()?.split_once('.')?;
    let id = (writer.parse().ok()?, sequence.parse().ok()?);
    let intended = words.next()?.parse().ok()?;
    Some((words.next()?.parse().ok()?, intended, id))
}

impl Timeline {
    /// How many events came out between the two times, replayed ones included.
    #[must_use]
    pub fn events(&self, from: Timestamp, to: Timestamp) -> usize {
        self.between(from, to).len()
    }

    /// How many of those that came out between the two times had come out before.
    #[must_use]
    pub fn replayed(&self, from: Timestamp, to: Timestamp) -> usize {
        self.between(from, to).iter().filter(|seen| seen.again).count()
    }

    /// The longest time without any output between the two times; what lies before and after counts as
    /// output.
    #[must_use]
    pub fn longest_silence(&self, from: Timestamp, to: Timestamp) -> Silence {
        let inside = self.between(from, to).iter().map(|seen| seen.at_us);
        let points: Vec<i64> =
            std::iter::once(from.as_microsecond()).chain(inside).chain([to.as_microsecond()]).collect();
        let longest = points.windows(2).max_by_key(|pair| pair[1] - pair[0]).map_or((0, 0), |pair| (pair[0], pair[1]));
        let at = |us| Timestamp::from_microsecond(us).unwrap_or_default();
        Silence { from: at(longest.0), to: at(longest.1) }
    }

    /// The most that an event which came out between the two times for the first time was late.
    #[must_use]
    pub fn longest_delay(&self, from: Timestamp, to: Timestamp) -> Duration {
        let fresh = self.between(from, to).iter().filter(|seen| !seen.again);
        let late = fresh.map(|seen| seen.at_us - seen.intended_us).max().unwrap_or_default();
        Duration::from_micros(u64::try_from(late).unwrap_or_default())
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> &[Seen] {
        let before = |at: Timestamp| self.0.partition_point(|seen| seen.at_us < at.as_microsecond());
        let begin = before(from);
        &self.0[begin..before(to).max(begin)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(us).expect("a time")
    }

    #[test]
    fn silence_and_replay_are_read_off_all_files() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("0-a.trace", "1.0 90 100\n1.1 190 200\n1.2 290 300\n")?;
        write("1-b.trace", "2.0 240 250\n")?;
        // After a restart: one again, in the file of another subtask, and a line that is not whole.
        write("0-c.trace", "2.0 240 900\n1.3 390 910\n1.4 9")?;
        write("1-d.trace", "1.2 290 905\n")?;
        let timeline = Trace::new(folder.path().into()).read()?;
        assert_eq!(timeline.events(at(0), at(1000)), 7);
        assert_eq!(timeline.replayed(at(0), at(1000)), 2);
        assert_eq!(timeline.replayed(at(0), at(900)), 0);
        assert_eq!(timeline.longest_silence(at(150), at(1000)), Silence { from: at(300), to: at(900) });
        assert_eq!(timeline.longest_silence(at(150), at(290)), Silence { from: at(200), to: at(250) });
        assert_eq!(timeline.longest_silence(at(400), at(800)).length(), Duration::from_micros(400));
        assert_eq!(timeline.longest_delay(at(0), at(1000)), Duration::from_micros(520));
        assert_eq!(timeline.longest_delay(at(0), at(260)), Duration::from_micros(10));
        Ok(())
    }

    #[test]
    fn what_is_no_trace_is_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("0-a.trace"), "1.0 90\n")?;
        let error = Trace::new(folder.path().into()).read().expect_err("half a line");
        assert!(error.to_string().contains("'1.0 90'"), "{error}");
        Ok(())
    }
}
