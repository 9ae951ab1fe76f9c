//! Draws a dashboard: its panels where Grafana would put them, much as it would draw them.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use sluice_e2e::dashboards::Panel;
use sluice_lab::rig::prometheus::{Labels, Series};

use crate::scale;

/// Pixels of one unit of Grafana's grid.
const UNIT: (u32, u32) = (50, 30);
const HEADER: u32 = 44;
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(215, 218, 224);
const COLORS: [RGBColor; 10] = [
    RGBColor(31, 96, 196),
    RGBColor(200, 80, 40),
    RGBColor(55, 135, 45),
    RGBColor(120, 70, 170),
    RGBColor(190, 130, 0),
    RGBColor(0, 130, 140),
    RGBColor(190, 40, 100),
    RGBColor(90, 110, 60),
    RGBColor(100, 120, 160),
    RGBColor(130, 90, 60),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A panel with what its queries gave, each series with the legend of its query.
#[derive(Debug)]
pub struct Filled {
    pub panel: Panel,
    pub series: Vec<(String, Series)>,
}

/// A dashboard to be drawn.
#[derive(Debug)]
pub struct Picture<'a> {
    pub title: &'a str,
    /// Unix times of the left and the right edge.
    pub span: (f64, f64),
    pub panels: &'a [Filled],
    /// When changes were carried out.
    pub changes: &'a [Series],
}

impl Picture<'_> {
    /// Writes an SVG file.
    pub fn draw(&self, file: &Path) -> Result<()> {
        let bottom = self.panels.iter().map(|filled| filled.panel.place[1] + filled.panel.place[3]).max().unwrap_or(1);
        let root = SVGBackend::new(file, (24 * UNIT.0, HEADER + bottom * UNIT.1)).into_drawing_area();
        self.draw_on(&root).map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
    }

    fn draw_on(&self, root: &Area<'_>) -> Drawn {
        root.fill(&WHITE)?;
        root.draw(&Text::new(self.title.to_owned(), (12, 12), font(22)))?;
        for filled in self.panels {
            let [x, y, width, height] = filled.panel.place;
            let (left, top) = (i32::try_from(x * UNIT.0)?, i32::try_from(HEADER + y * UNIT.1)?);
            let (right, bottom) = (left + i32::try_from(width * UNIT.0)?, top + i32::try_from(height * UNIT.1)?);
            let area = root.clone().shrink((left, top), (width * UNIT.0, height * UNIT.1));
            if filled.panel.kind == "row" {
                area.draw(&Text::new(filled.panel.title.clone(), (12, 9), font(17)))?;
                continue;
            }
            root.draw(&Rectangle::new([(left + 3, top + 3), (right - 3, bottom - 3)], FAINT))?;
            let area = area.margin(9, 5, 10, 8);
            area.draw(&Text::new(filled.panel.title.clone(), (0, 0), font(15)))?;
            let area = area.margin(20, 0, 0, 0);
            match filled.panel.kind.as_str() {
                "stat" => stat(&area, filled)?,
                "bargauge" => bars(&area, filled)?,
                "state-timeline" => states(&area, filled, self.span)?,
                _ => lines(&area, filled, self.changes, self.span)?,
            }
        }
        root.present()?;
        Ok(())
    }
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// The name of a series: its legend with the labels filled in.
fn name(legend: &str, labels: &Labels) -> String {
    labels.iter().fold(legend.to_owned(), |name, (label, value)| name.replace(&format!("{{{{{label}}}}}"), value))
}

fn minutes(at: f64) -> String {
    format!("{}:{:02}", (at / 60.0).floor(), (at % 60.0).round())
}

fn lines(area: &Area<'_>, filled: &Filled, changes: &[Series], (from, to): (f64, f64)) -> Drawn {
    let Filled { panel, series } = filled;
    let values = series.iter().flat_map(|(_, series)| &series.points).map(|(_, value)| *value);
    let top = scale::top(values.filter(|value| value.is_finite()).fold(0.0, f64::max), panel.steps);
    if series.is_empty() {
        return nothing(area, "nothing in this time");
    }
    let (plot, legend) = area.split_vertically(area.dim_in_pixel().1 - 22);
    let mut chart = ChartBuilder::on(&plot)
        .x_label_area_size(20)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..to - from, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .label_style(font(12))
        .x_labels(8)
        .x_label_formatter(&|at| minutes(*at))
        .y_labels(if panel.steps { 1 + (1..6).filter(|n| f64::from(*n) <= top).count() } else { 5 })
        .y_label_formatter(&|value| scale::label(*value, &panel.unit))
        .draw()?;
    for change in changes.iter().flat_map(|series| pieces(&series.points, false)) {
        let (Some(first), Some(last)) = (change.first(), change.last()) else { continue };
        let corners = [(first.0 - from, 0.0), (last.0 - from, top)];
        chart.draw_series([Rectangle::new(corners, COLORS[0].mix(0.12).filled())])?;
    }
    // Counts in step would cover each other, so each is drawn a little lower than the one before.
    let apart = if panel.steps { top * 0.012 } else { 0.0 };
    let mut at = 0;
    for (index, (legend_of, series)) in series.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        for piece in pieces(&series.points, panel.steps) {
            let down = apart * index as f64;
            let points = piece.into_iter().map(|(at, value)| (at - from, (value - down).clamp(0.0, top)));
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        }
        let name = name(legend_of, &series.labels);
        let width = 34 + i32::try_from(name.len())? * 6;
        if at + width > i32::try_from(legend.dim_in_pixel().0)? {
            legend.draw(&Text::new("…", (at, 5), font(12)))?;
            break;
        }
        legend.draw(&Rectangle::new([(at, 10), (at + 14, 13)], color.filled()))?;
        legend.draw(&Text::new(name, (at + 19, 5), font(12)))?;
        at += width;
    }
    Ok(())
}

/// The points without those that are no numbers, in pieces where some are missing; as steps if they are
/// to hold until the next one.
fn pieces(points: &[(f64, f64)], steps: bool) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for &(at, value) in points.iter().filter(|(_, value)| value.is_finite()) {
        if at - last > 5.0 {
            pieces.push(Vec::new());
        }
        last = at;
        let Some(piece) = pieces.last_mut() else { continue };
        if let Some(&(_, before)) = piece.last().filter(|_| steps) {
            piece.push((at, before));
        }
        piece.push((at, value));
    }
    pieces
}

fn nothing(area: &Area<'_>, words: &str) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let style = font(14).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(words.to_owned(), (i32::try_from(width / 2)?, i32::try_from(height / 2)?), style))?;
    Ok(())
}

fn stat(area: &Area<'_>, filled: &Filled) -> Drawn {
    let newest = filled.series.first().and_then(|(legend, series)| Some((legend, series, series.points.last()?.1)));
    let text = match newest {
        None => "–".to_owned(),
        Some((legend, series, _)) if filled.panel.unit == "string" => name(legend, &series.labels),
        Some((.., value)) => scale::label(value, &filled.panel.unit),
    };
    let (width, height) = area.dim_in_pixel();
    let style = font(26).color(&COLORS[2]).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(text, (i32::try_from(width / 2)?, i32::try_from(height / 2)?), style))?;
    Ok(())
}

fn bars(area: &Area<'_>, filled: &Filled) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (i32::try_from(width)?, i32::try_from(height)?);
    let mut all: Vec<(String, f64)> = filled
        .series
        .iter()
        .filter_map(|(legend, series)| Some((name(legend, &series.labels), series.points.last()?.1)))
        .filter(|(_, value)| value.is_finite())
        .collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    if all.is_empty() {
        return nothing(area, "none in this time");
    }
    let most = all.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let row = (height / i32::try_from(all.len())?).min(34);
    let left = 8 + all.iter().map(|(name, _)| i32::try_from(name.len() * 6).unwrap_or(0)).max().unwrap_or(0);
    for (index, (name, value)) in all.iter().enumerate() {
        let middle = row * i32::try_from(index)? + row / 2;
        let style = font(12).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name.clone(), (0, middle), style.clone()))?;
        #[expect(clippy::cast_possible_truncation, reason = "a part of the width in pixels")]
        let length = (value / most * f64::from(width - left - 70)) as i32;
        let corners = [(left, middle - row / 3), (left + length.max(1), middle + row / 3)];
        area.draw(&Rectangle::new(corners, COLORS[0].mix(0.75).filled()))?;
        area.draw(&Text::new(scale::label(*value, &filled.panel.unit), (left + length + 6, middle), style))?;
    }
    Ok(())
}

fn states(area: &Area<'_>, filled: &Filled, (from, to): (f64, f64)) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (i32::try_from(width)?, i32::try_from(height)?);
    let left = 150;
    let rows = i32::try_from(filled.series.len().max(1))?;
    let row = (height / rows).min(34);
    for (index, (legend, series)) in filled.series.iter().enumerate() {
        let top = row * i32::try_from(index)?;
        let style = font(12).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name(legend, &series.labels), (0, top + row / 2), style))?;
        for piece in pieces(&series.points, false) {
            let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
            #[expect(clippy::cast_possible_truncation, reason = "a part of the width in pixels")]
            let place = |at: f64| left + ((at - from) / (to - from) * f64::from(width - left)) as i32;
            let corners = [(place(first.0), top + 4), (place(last.0).max(place(first.0) + 2), top + row - 4)];
            area.draw(&Rectangle::new(corners, COLORS[index % COLORS.len()].mix(0.75).filled()))?;
        }
    }
    Ok(())
}
