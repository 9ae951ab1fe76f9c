//! The screen: a live view at the foot of a terminal, above it what has happened; plain lines where
//! there is no terminal.

use std::io::{self, IsTerminal as _, Stdout};
use std::time::Duration;

use anyhow::Result;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, Widget as _};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::record::{Board, Event, Record, Sample};

const HEIGHT: u16 = 13;

/// Between two plain lines when nothing happens.
const PLAIN_EVERY: u32 = 10;

/// Shows the board until it is dropped.
pub async fn show(board: Board) -> Result<()> {
    if io::stdout().is_terminal() { on_terminal(board).await } else { in_lines(board).await }
}

async fn in_lines(board: Board) -> Result<()> {
    let (mut shown, mut since) = (0, 0);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        since += 1;
        let record = board.lock();
        for event in record.events.iter().skip(shown) {
            println!("{:>5.0} s  {}", event.at, event.text);
        }
        if let Some(sample) = record.samples.last()
            && (since >= PLAIN_EVERY || record.events.len() > shown)
        {
            println!("{:>5.0} s  {}", sample.at, numbers(sample));
            since = 0;
        }
        shown = record.events.len();
    }
}

fn numbers(sample: &Sample) -> String {
    let known = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    format!(
        "{:>6.0} events/s   segments {}   wanted {}   TaskManagers {}   parallelism {}",
        sample.rate,
        known(sample.segments),
        known(sample.wanted),
        known(sample.task_managers),
        known(sample.parallelism),
    )
}

type Screen = Terminal<CrosstermBackend<Stdout>>;

/// Puts the terminal's cursor back, however the view ends.
struct Restore(Screen);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = self.0.clear();
        let _ = self.0.show_cursor();
    }
}

async fn on_terminal(board: Board) -> Result<()> {
    let options = TerminalOptions { viewport: Viewport::Inline(HEIGHT) };
    let mut screen = Restore(Terminal::with_options(CrosstermBackend::new(io::stdout()), options)?);
    let mut shown = 0;
    loop {
        {
            let record = board.lock();
            for Event { at, text } in record.events.iter().skip(shown) {
                let line = format!("{at:>5.0} s  {text}");
                screen.0.insert_before(1, |buffer| Paragraph::new(line).render(buffer.area, buffer))?;
            }
            shown = record.events.len();
            screen.0.draw(|frame| draw(frame, &record))?;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn draw(frame: &mut Frame<'_>, record: &Record) {
    let rows =
        Layout::vertical([Constraint::Length(4), Constraint::Length(3), Constraint::Length(3), Constraint::Length(3)]);
    let [words, rate, segments, parallelism] = rows.areas(frame.area());
    let latest = record.samples.last().cloned().unwrap_or_default();
    let known = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let text = vec![
        Line::from(vec![
            Span::from(format!("{:>5.0} s  ", record.elapsed())).dim(),
            Span::from(record.stage.clone()).bold(),
        ]),
        Line::from(vec![
            Span::from("segments "),
            Span::from(known(latest.segments)).bold().light_red(),
            Span::from("   wanted "),
            Span::from(known(latest.wanted)).bold(),
            Span::from("   TaskManagers "),
            Span::from(known(latest.task_managers)).bold().light_green(),
            Span::from("   parallelism "),
            Span::from(known(latest.parallelism)).bold().light_magenta(),
        ]),
        Line::from(vec![Span::from("agent  ").dim(), Span::from(record.because.clone())]),
    ];
    frame.render_widget(Paragraph::new(text).block(Block::new()), words);
    let spark = |of: fn(&Sample) -> u64, area: Rect, title: String, style: Style| {
        let width = usize::from(area.width);
        let skip = record.samples.len().saturating_sub(width);
        let data: Vec<u64> = record.samples.iter().skip(skip).map(of).collect();
        (Sparkline::default().block(Block::new().title(title)).data(data).style(style), area)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for a bar")]
    let rates = spark(|s| s.rate as u64, rate, format!("stream rate {:.0} events/s", latest.rate), Style::new().blue());
    let widths = spark(|s| s.segments.unwrap_or(0), segments, "segments".into(), Style::new().red());
    let jobs =
        spark(|s| s.parallelism.unwrap_or(0), parallelism, "parallelism of the job".into(), Style::new().magenta());
    for (widget, area) in [rates, widths, jobs] {
        frame.render_widget(widget, area);
    }
}
