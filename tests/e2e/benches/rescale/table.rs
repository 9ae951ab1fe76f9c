//! The tables that go into the documentation: medians, and the smallest and the largest in brackets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    driver::Driver,
    results::{Key, Part, Row},
};

/// All tables as Markdown.
pub fn markdown(rows: &[Row], rate: u32) -> String {
    let mut versions: Vec<&str> = rows.iter().map(|row| row.key().flink.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    let mut text = about(rate);
    for version in versions {
        let of = |part| -> Vec<&Row> {
            let here = |row: &&Row| row.key().flink == version && row.key().part == part;
            rows.iter().filter(here).collect()
        };
        let _ = writeln!(text, "### Flink {version}\n");
        for part in [Part::Changes, Part::Follow] {
            let rows = of(part);
            if rows.is_empty() {
                continue;
            }
            match part {
                Part::Changes => changes(&mut text, &rows),
                Part::Follow => follow(&mut text, &rows),
            }
            failures(&mut text, &rows);
        }
        settings(&mut text, rows.iter().filter(|row| row.key().flink == version));
    }
    text
}

/// What the tables do not say themselves.
fn about(rate: u32) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "Measured with `make bench-rescale` on one machine with {cores} cores that runs everything: Pravega, the \
         generator ({rate} events/s, constant), Flink and each TaskManager, one slot each. Every figure is the median \
         of *n* changes, with the smallest and the largest in brackets. The drivers take turns on the same stream, and \
         the moments of the changes are spread evenly over the time between two checkpoints. Records, silence and \
         lateness are read off the output of the job, restarts and widths off Flink's REST API (up to 0.3 s old). The \
         *silence* is the longest time without any output from the decision until 5 s after all has come to rest; the \
         *latest record* is how long after its intended time a record came out at most, so it also tells of single \
         readers that start later; the *noise* is the longest silence in an undisturbed time of the same length right \
         after.\n\n"
    )
}

/// The samples of one line of a table.
type Line<'a> = Vec<&'a Row>;

/// Lines by change and driver.
fn lines<'a>(rows: &[&'a Row]) -> BTreeMap<(usize, (u32, u32), Driver), Line<'a>> {
    let mut order = Vec::new();
    let mut lines: BTreeMap<_, Line<'a>> = BTreeMap::new();
    for row in rows {
        if let Row::Change { key, from, to, .. } = row {
            let change = (*from, *to);
            let place = order.iter().position(|known| *known == change).unwrap_or_else(|| {
                order.push(change);
                order.len() - 1
            });
            lines.entry((place, change, key.driver)).or_default().push(row);
        }
    }
    lines
}

fn changes(text: &mut String, rows: &[&Row]) {
    let _ = writeln!(
        text,
        "| change | driven by | n | restarts | records replayed | as seconds of input | longest silence, s | latest record, s | noise of \
         the machine, s | decision → RUNNING at the new width, s |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    let lines = lines(rows);
    for ((_, (from, to), driver), line) in &lines {
        let _ = writeln!(
            text,
            "| {from}→{to} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            driver.name(),
            line.len(),
            spread(line, 0, |row| figure(row, "restarts")),
            spread(line, 0, |row| figure(row, "replayed")),
            spread(line, 2, |row| Some(figure(row, "replayed")? / figure(row, "rate")?)),
            spread(line, 2, |row| Some(figure(row, "silence_ms")? / 1000.0)),
            spread(line, 2, |row| Some(figure(row, "late_ms")? / 1000.0)),
            spread(line, 2, |row| Some(figure(row, "noise_ms")? / 1000.0)),
            spread(line, 1, |row| Some(figure(row, "decision_ms")? / 1000.0)),
        );
    }
    let _ = writeln!(
        text,
        "\n| from the moment on at which the first TaskManager is gone | driven by | restarts | records replayed |\n\
         | --- | --- | --- | --- |"
    );
    for ((_, (from, to), driver), line) in &lines {
        if from > to {
            let _ = writeln!(
                text,
                "| {from}→{to} | {} | {} | {} |",
                driver.name(),
                spread(line, 0, |row| figure(row, "removal_restarts")),
                spread(line, 0, |row| figure(row, "removal_replayed")),
            );
        }
    }
    text.push('\n');
}

fn follow(text: &mut String, rows: &[&Row]) {
    let _ = writeln!(
        text,
        "| driven by | n | segment change at the controller → RUNNING at the new width, s |\n| --- | --- | --- |"
    );
    let mut by_driver: BTreeMap<Driver, Line> = BTreeMap::new();
    for row in rows {
        if let Row::Change { key, .. } = row {
            by_driver.entry(key.driver).or_default().push(row);
        }
    }
    for (driver, line) in by_driver {
        let follow = spread(&line, 1, |row| Some(figure(row, "follow_ms")? / 1000.0));
        let _ = writeln!(text, "| {} | {} | {follow} |", driver.name(), line.len());
    }
    text.push('\n');
}

fn failures(text: &mut String, rows: &[&Row]) {
    let played = |key: &Key| rows.iter().any(|row| matches!(row, Row::Change { .. }) && row.key() == key);
    for row in rows {
        if let Row::Failed { key, why } = row
            && !played(key)
        {
            let _ = writeln!(text, "A session failed and is not in the table: {}: {why}\n", key.driver.name());
        }
    }
}

fn settings<'a>(text: &mut String, rows: impl Iterator<Item = &'a Row>) {
    let mut told: BTreeMap<String, BTreeSet<Driver>> = BTreeMap::new();
    for row in rows {
        if let Row::Settings { key, settings } = row {
            let list: Vec<String> = settings.iter().map(|setting| format!("`{setting}`")).collect();
            told.entry(list.join(", ")).or_default().insert(key.driver);
        }
    }
    for (list, drivers) in told {
        let drivers: Vec<&str> = drivers.into_iter().map(Driver::name).collect();
        let _ = writeln!(text, "Flink's settings ({}): {list}.\n", drivers.join("; "));
    }
}

/// A figure by its name in the file.
fn figure(row: &Row, name: &str) -> Option<f64> {
    serde_json::to_value(row).ok()?.get(name)?.as_f64()
}

/// `median (smallest–largest)`, or one number if all are the same.
fn spread(rows: &[&Row], decimals: usize, of: impl Fn(&Row) -> Option<f64>) -> String {
    let mut samples: Vec<f64> = rows.iter().filter_map(|row| of(row)).collect();
    samples.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return "–".into() };
    let middle = samples.len() / 2;
    let median =
        if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) };
    let [median, first, last] = [median, *first, *last].map(|number| format!("{number:.decimals$}"));
    if first == last { median } else { format!("{median} ({first}–{last})") }
}
