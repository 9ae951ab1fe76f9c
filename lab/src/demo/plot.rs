//! The run as a picture: the load above, segments, TaskManagers and parallelism below, in step.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::record::{Record, Sample};

const SIZE: (u32, u32) = (1200, 720);
const LOAD: RGBColor = RGBColor(70, 110, 160);
const SEGMENTS: RGBColor = RGBColor(200, 80, 40);
const TASK_MANAGERS: RGBColor = RGBColor(40, 130, 80);
const PARALLELISM: RGBColor = RGBColor(90, 60, 150);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the record into an SVG file.
pub fn draw(record: &Record, file: &Path) -> Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let drawn = root
        .fill(&WHITE)
        .map_err(|error| anyhow!("{error}"))
        .and_then(|()| panels(&root, &record.samples))
        .and_then(|()| root.present().map_err(|error| anyhow!("{error}")));
    drawn.map_err(|error| error.context(format!("cannot draw {}", file.display())))
}

fn panels(root: &Area<'_>, samples: &[Sample]) -> Result<()> {
    let end = samples.last().map_or(1.0, |sample| sample.at).max(1.0);
    let (above, below) = root.split_vertically(SIZE.1 / 3);
    load(&above, samples, end).map_err(|error| anyhow!("{error}"))?;
    widths(&below, samples, end).map_err(|error| anyhow!("{error}"))
}

fn load(area: &Area<'_>, samples: &[Sample], end: f64) -> Result<(), Box<dyn std::error::Error>> {
    let top = samples.iter().map(|sample| sample.rate).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption("Workload (events per second, acknowledged by Pravega)", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(20)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_labels(4)
        .draw()?;
    let points = samples.iter().map(|sample| (sample.at, sample.rate));
    chart.draw_series(AreaSeries::new(points, 0.0, LOAD.mix(0.3)).border_style(LOAD.stroke_width(2)))?;
    Ok(())
}

fn widths(area: &Area<'_>, samples: &[Sample], end: f64) -> Result<(), Box<dyn std::error::Error>> {
    type Value = fn(&Sample) -> Option<u64>;
    // Drawn a little apart, so that lines in step do not cover each other.
    let lines: [(&str, RGBColor, f64, Value); 3] = [
        ("stream segments", SEGMENTS, 0.05, |sample| sample.segments),
        ("TaskManagers", TASK_MANAGERS, 0.0, |sample| sample.task_managers),
        ("job parallelism (0: restarting)", PARALLELISM, -0.05, |sample| sample.parallelism),
    ];
    let most = lines.iter().flat_map(|line| samples.iter().filter_map(line.3)).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(area)
        .caption("Stream segments, TaskManagers and parallelism", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..end, -0.2..most as f64 + 0.8)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("seconds")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_labels(usize::try_from(most)? + 1)
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (label, color, shift, value) in lines {
        chart
            .draw_series(LineSeries::new(steps(samples, value, shift), color.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

/// A value holds until the next sample: steps, not slopes.
fn steps(samples: &[Sample], value: fn(&Sample) -> Option<u64>, shift: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(samples.len() * 2);
    for sample in samples {
        let Some(value) = value(sample) else { continue };
        if let Some(&(_, last)) = points.last() {
            points.push((sample.at, last));
        }
        points.push((sample.at, value as f64 + shift));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_until_they_change() {
        let at = |at, segments| Sample { at, segments, ..Sample::default() };
        let samples = [at(0.0, Some(1)), at(1.0, None), at(2.0, Some(3))];
        assert_eq!(steps(&samples, |sample| sample.segments, 0.0), [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0)]);
    }
}
