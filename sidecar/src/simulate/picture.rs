//! The widths over time as an SVG picture: a panel for each autoscaler, with the segments behind.

use std::{error::Error, path::Path};

use plotters::{coord::Shift, prelude::*};

use super::{Run, Simulation};

const WIDTH: u32 = 1000;
const PANEL: u32 = 200;
const SEGMENTS: RGBColor = RGBColor(200, 80, 40);
const TASK_MANAGERS: RGBColor = RGBColor(40, 130, 80);

/// Draws into a file.
pub fn draw(simulation: &Simulation, file: &Path) -> Result<(), String> {
    let panels = u32::try_from(simulation.runs.len()).unwrap_or(1).max(1);
    let root = SVGBackend::new(file, (WIDTH, PANEL * panels)).into_drawing_area();
    let drawn = root.fill(&WHITE).map_err(Box::from).and_then(|()| {
        let areas = root.split_evenly((panels as usize, 1));
        areas.iter().zip(&simulation.runs).try_for_each(|(area, run)| panel(area, simulation, run))?;
        root.present().map_err(Box::from)
    });
    drawn.map_err(|error: Box<dyn Error>| error.to_string())
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, simulation: &Simulation, run: &Run) -> Result<(), Box<dyn Error>> {
    let end = simulation.seconds as f64 / 3600.0;
    let replicas = run.outcome.steps.iter().map(|(_, replicas, _)| *replicas);
    let most = replicas.chain(simulation.segments.iter().map(|(_, segments)| *segments)).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(area)
        .caption(&run.name, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..end, 0.0..f64::from(most) + 0.5)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("hours")
        .y_label_formatter(&|y| format!("{y:.0}"))
        .y_labels(5)
        .draw()?;
    let replicas: Vec<_> = run.outcome.steps.iter().map(|(at, replicas, _)| (*at, *replicas)).collect();
    for (label, color, values) in
        [("stream segments", SEGMENTS, &simulation.segments), ("TaskManagers", TASK_MANAGERS, &replicas)]
    {
        let line = LineSeries::new(steps(values, simulation.seconds), color.stroke_width(2));
        chart
            .draw_series(line)?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

/// A value holds until the next: steps, not slopes. In hours.
fn steps(values: &[(u64, u32)], end: u64) -> Vec<(f64, f64)> {
    let hours = |seconds: u64| seconds as f64 / 3600.0;
    let ends = values.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let both =
        |((at, value), end): (&(u64, u32), u64)| [(hours(*at), f64::from(*value)), (hours(end), f64::from(*value))];
    values.iter().zip(ends).flat_map(both).collect()
}
