//! The widths over time as text.

use std::fmt::Write as _;

use textplots::{Chart, Plot, Shape};

use super::Simulation;

/// In dots: two to a column, four to a line.
const WIDTH: u32 = 150;
const HEIGHT: u32 = 24;

/// The stream's segments, and below them the TaskManagers of each autoscaler, to the same scale.
pub fn text(simulation: &Simulation) -> String {
    let steps = |values: &mut dyn Iterator<Item = (u64, u32)>| steps(values, simulation.seconds);
    let mut rows = vec![("segments", steps(&mut simulation.segments.iter().copied()))];
    for run in &simulation.runs {
        rows.push((&run.name, steps(&mut run.outcome.steps.iter().map(|(at, replicas, _)| (*at, *replicas)))));
    }
    let most = rows.iter().flat_map(|(_, points)| points.iter().map(|point| point.1)).fold(1.0, f32::max);
    let hours = simulation.seconds as f32 / 3600.0;
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (index, (name, points)) in rows.iter().enumerate() {
        if let Some((twin, _)) = rows[1..].iter().take(index.saturating_sub(1)).find(|(_, others)| others == points) {
            let _ = writeln!(text, "\n{name}: the same as {twin}");
            continue;
        }
        let lines = Shape::Lines(points);
        let mut chart = Chart::new_with_y_range(WIDTH, HEIGHT, 0.0, hours, 0.0, most);
        let chart = chart.lineplot(&lines);
        chart.axis();
        chart.figures();
        let _ = write!(text, "\n{name}\n{chart}");
    }
    text
}

/// A value holds until the next: two points for each, in hours.
fn steps(values: &mut dyn Iterator<Item = (u64, u32)>, end: u64) -> Vec<(f32, f32)> {
    let hours = |seconds: u64| seconds as f32 / 3600.0;
    let mut points: Vec<(f32, f32)> = Vec::new();
    for (at, value) in values {
        if let Some(&(_, last)) = points.last() {
            points.push((hours(at), last));
        }
        points.push((hours(at), value as f32));
    }
    if let Some(&(_, last)) = points.last() {
        points.push((hours(end), last));
    }
    points
}
