//! The page at `/`: the newest status, the plot of the last hours and the history, for a person.
//!
//! The whole of it is rendered here, so that it says the same without JavaScript; with it, the script asks
//! for the page again each second and takes over the parts that have changed. Every text goes through the
//! template, which escapes it.

mod parts;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;
use sluice_core::{Attention, Guard};

use crate::report::{
    history::Entry,
    samples::Samples,
    status::{Shared, Status},
};

/// The script of the page.
pub const SCRIPT: &str = include_str!("../../page/page.js");

/// The style of the page, after that of the plotting library.
pub const STYLE: &str = concat!(include_str!("../../page/uplot.css"), "\n", include_str!("../../page/page.css"));

/// The plotting library, as its npm package has it (page/README.md).
pub const PLOTTING: &str = include_str!("../../page/uplot.js");

/// The page's sign.
pub const ICON: &str = include_str!("../../page/icon.svg");

/// What a browser may do with the page: nothing but show what this agent serves.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How many lines of history the page shows, and how many turns of the plot as a table.
const LINES: usize = 60;
const TURNS: usize = 40;

/// How many marks the plot bears at most.
const MARKS: usize = 200;

/// Changes with the contents, so that a browser keeps them no longer than they are valid.
#[must_use]
pub fn version() -> String {
    let mut hasher = DefaultHasher::new();
    (SCRIPT, STYLE, PLOTTING, ICON).hash(&mut hasher);
    format!("{:08x}", hasher.finish() & 0xffff_ffff)
}

/// The page as it stands at `now`.
#[must_use]
pub fn page(now: Timestamp, shared: &Shared) -> Markup {
    let (status, version) = (shared.status(), version());
    let title = status.as_ref().map_or_else(|| "Sluice".to_owned(), |status| format!("Sluice: {}", doing(status)));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href={ "icon.svg?" (version) };
                link rel="stylesheet" href={ "page.css?" (version) };
                noscript { meta http-equiv="refresh" content="5"; }
                script src={ "uplot.js?" (version) } defer {}
                script src={ "page.js?" (version) } defer {}
            }
            body {
                a .skip href="#main" { "To the state" }
                header #top {
                    h1 { "Sluice" }
                    div #about { (parts::about(status.as_deref())) }
                }
                main #main tabindex="-1" {
                    @match &status {
                        Some(status) => (told(now, status, shared)),
                        None => section #state aria-label="State" {
                            p #headline .headline.look role="status" { "The first look is not finished." }
                        },
                    }
                }
                footer {
                    p {
                        "All times are UTC. For programs: "
                        a href="metrics" { "metrics" } ", " a href="state" { "state" } " and "
                        a href="history" { "history" } ". Sluice " (env!("CARGO_PKG_VERSION")) "."
                    }
                    p #connection role="status" {}
                }
            }
        }
    }
}

fn told(now: Timestamp, status: &Status, shared: &Shared) -> Markup {
    let told = &status.explanation;
    html! {
        section #state .(told.attention.as_str()) aria-labelledby="headline" {
            // Only what is said anew is read out, and not each tick of the clock.
            h2 #headline .headline aria-live="polite" { (doing(status)) }
            p #clock { (parts::clock(now, status)) }
            dl #guard {
                dt { "Decided by" }
                dd { code { (told.guard) } " – " (told.means) }
                dt { "What would change it" }
                dd { (told.mend) }
            }
        }
        section #figures aria-label="Figures" { (parts::figures(now, status)) }
        div #change { (parts::change(now, status)) }
        section #plotted aria-labelledby="plot-title" {
            div .row {
                h2 #plot-title { "The last hours" }
                div #ranges role="group" aria-label="How far back" hidden {
                    @for (seconds, name) in [(900, "15 min"), (3600, "1 h"), (21_600, "6 h")] {
                        button type="button" data-range=(seconds) aria-pressed=(seconds == 900) { (name) }
                    }
                }
            }
            noscript { p { "The plot needs JavaScript; the table below it has the same." } }
            div #plot role="img" aria-label="Segments, TaskManagers, parallelism and rate over time; the table below has the same" {}
            div #marks role="group" aria-label="Decisions on the time line" hidden {
                button #earlier type="button" { "‹ earlier" }
                p #mark role="status" { "Decisions are marked at the top of the plot." }
                button #later type="button" { "later ›" }
            }
            details {
                summary { "The same as a table" }
                div .scroll tabindex="0" role="region" aria-label="The plot as a table" {
                    (parts::turns(&shared.samples().turns(TURNS)))
                }
            }
        }
        section aria-labelledby="history-title" {
            h2 #history-title { "History" }
            div .scroll tabindex="0" role="region" aria-label="History, newest first" {
                (parts::history(&shared.history_since(0), LINES))
            }
        }
        section aria-labelledby="sources-title" {
            h2 #sources-title { "Sources" }
            div .scroll tabindex="0" role="region" aria-label="Each source" {
                (parts::sources(now, status, &shared.troubles()))
            }
        }
    }
}

/// What the agent does and why, in words.
fn doing(status: &Status) -> String {
    let told = &status.explanation;
    let dry = if status.dry_run { " (dry run)" } else { "" };
    format!("{}{dry}: {}", told.doing, told.why)
}

/// What the script draws.
#[derive(Debug, Serialize)]
pub struct Plot {
    /// Samples of the last minutes and of the last hours.
    tracks: Samples,
    /// Decisions and ends of changes, oldest first.
    marks: Vec<Mark>,
}

/// A decision, or the end of a change, on the time line.
#[derive(Debug, Serialize)]
struct Mark {
    /// Seconds since 1970.
    at: i64,
    kind: String,
    reason: String,
    attention: Attention,
    text: String,
}

/// The plot as it stands at `now`.
#[must_use]
pub fn plot(now: Timestamp, shared: &Shared) -> Plot {
    let mut marks: Vec<_> = shared
        .history_since(0)
        .iter()
        .rev()
        .take_while(|entry| now <= entry.at + Samples::span())
        .take(MARKS)
        .map(mark)
        .collect();
    marks.reverse();
    Plot { tracks: shared.samples(), marks }
}

fn mark(entry: &Entry) -> Mark {
    let (kind, reason) = (entry.event.kind(), entry.event.reason());
    Mark {
        at: entry.at.as_second(),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        attention: attention(kind, reason),
        text: entry.text.clone(),
    }
}

/// What a line of history asked of a person.
fn attention(kind: &str, reason: &str) -> Attention {
    match kind {
        "hold" => Guard::of(reason).map_or(Attention::Look, |guard| guard.attention),
        "ended" if reason == "done" => Attention::None,
        "ended" => Attention::Look,
        _ => Attention::Busy,
    }
}

#[cfg(test)]
mod tests;
