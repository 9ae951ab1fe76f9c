//! A shape as a small picture.

use super::Preview;
use plotters::prelude::*;
use std::path::Path;

/// Points of the curve: one for each pixel of its width, about.
pub(super) const POINTS: u32 = 480;

const SIZE: (u32, u32) = (560, 160);
const LOAD: RGBColor = RGBColor(70, 110, 160);

/// Draws the rates over time into an SVG file.
pub(super) fn draw(preview: &Preview, file: &Path) -> Result<(), String> {
    picture(preview, file).map_err(|error| error.to_string())
}

fn picture(preview: &Preview, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (scale, unit) = unit(preview.length.as_secs_f64());
    let end = preview.length.as_secs_f64() / scale;
    let mut chart = ChartBuilder::on(&root)
        .caption(title(&preview.title), ("sans-serif", 13))
        .margin(6)
        .margin_right(14)
        .x_label_area_size(30)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..(preview.highest() * 1.1).max(1.0))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc(unit)
        .y_desc("events/s")
        .x_label_formatter(&|x| if (x - x.round()).abs() < 0.01 { format!("{x:.0}") } else { format!("{x:.1}") })
        .y_labels(4)
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    let points = preview.points.iter().map(|(at, rate)| (at / scale, *rate));
    chart.draw_series(AreaSeries::new(points, 0.0, LOAD.mix(0.3)).border_style(LOAD.stroke_width(1)))?;
    root.present()?;
    Ok(())
}

/// The unit in which a length of time reads best.
fn unit(seconds: f64) -> (f64, &'static str) {
    match seconds {
        ..=180.0 => (1.0, "seconds"),
        ..=10_800.0 => (60.0, "minutes"),
        _ => (3_600.0, "hours"),
    }
}

/// As much of the title as fits.
fn title(text: &str) -> String {
    const FITS: usize = 88;
    match text.char_indices().nth(FITS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}
