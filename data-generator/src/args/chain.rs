//! A chain of shapes in a small file, in TOML:
//!
//! ```toml
//! repeat = 2
//!
//! [[piece]]
//! shape = "ramp"
//! from = "100/s"
//! to = "2000/s"
//! over = "2m"
//!
//! [[piece]]
//! rate = "2000/s"
//! length = "5m"
//! ```

use super::UsageError;
use super::shape::Parameters;
use crate::shape::Shape;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use toml::Spanned;

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    /// How many times all of it is played.
    #[serde(default = "once")]
    repeat: u32,
    #[serde(default)]
    piece: Vec<Spanned<Parameters>>,
}

fn once() -> u32 {
    1
}

/// Reads a chain; an error names the line and the column.
pub(super) fn read(file: &Path) -> Result<Shape, UsageError> {
    let path = file.display();
    let text = fs::read_to_string(file).map_err(|error| UsageError(format!("--shape-file {path}: {error}")))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    parse(&name, &text, folder).map_err(|error| UsageError(format!("--shape-file {path}: {error}")))
}

fn parse(name: &str, text: &str, folder: &Path) -> Result<Shape, String> {
    let chain: Chain = toml::from_str(text).map_err(|error| {
        let at = error.span().map(|span| place(text, span.start));
        format!("{}{}", at.unwrap_or_default(), error.message().lines().next().unwrap_or_default())
    })?;
    let mut shapes = Vec::with_capacity(chain.piece.len());
    for (number, piece) in (1..).zip(&chain.piece) {
        let shape = piece.get_ref().shape("", folder);
        shapes.push(shape.map_err(|error| format!("{}piece {number}: {error}", place(text, piece.span().start)))?);
    }
    Shape::chain(name, &shapes, chain.repeat).map_err(|error| error.to_string())
}

/// `line 3, column 8: ` for a position in the text.
fn place(text: &str, position: usize) -> String {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn read(text: &str) -> Result<Shape, String> {
        parse("test.toml", text, Path::new("/nowhere"))
    }

    #[test]
    fn a_chain_plays_its_pieces_one_after_the_other() {
        let shape = read(
            "repeat = 2\n\
             [[piece]]\nshape = \"ramp\"\nfrom = \"0/s\"\nto = 100\nover = \"10s\"\n\
             [[piece]]\nrate = \"600/min\"\nlength = \"5s\"\n\
             [[piece]]\nsteps = [\"100/s:1s\", \"50/s:2s\"]\n\
             [[piece]]\nmedian = 10.5\nperiod = \"4s\"\nphase = 1\nlength = \"4s\"\n",
        );
        let shape = shape.expect("a chain");
        assert_eq!(shape.length(), Some(Duration::from_secs(2 * (10 + 5 + 3 + 4))));
        assert_eq!(shape.whole_count(Duration::MAX), 2 * (500 + 50 + 200 + 42));
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        for (text, at, what) in [
            ("[[piece]]\nrate = \"-5/s\"\n", "line 2, column 8:", "below zero"),
            ("[[piece]]\nspeed = 5\n", "line 2, column 1:", "speed"),
            ("[[piece]]\nshape = \"round\"\n", "line 2, column 9:", "round"),
            ("[[piece]]\nrate = 5\nlength = \"soon\"\n", "line 3, column 10:", "soon"),
            ("[[piece]]\nsteps = [\"5/s\"]\n", "line 2, column", "rate:duration"),
            ("[[piece]\n", "line 1, column", ""),
            (
                "[[piece]]\nrate = 1\nlength = \"1s\"\n\n[[piece]]\nshape = \"ramp\"\n",
                "line 5, column 1: piece 2:",
                "needs from",
            ),
            ("[[piece]]\nrate = 1\npeak = 2\n", "line 1, column 1: piece 1:", "peak belongs to shape spike"),
            ("[[piece]]\ntrace = \"t.csv\"\n", "line 1, column 1: piece 1: trace /nowhere/t.csv:", "No such file"),
            ("[[piece]]\nrate = 1\n[[piece]]\nrate = 1\n", "piece 1 has no end", ""),
            ("", "no piece at all", ""),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(at) && error.contains(what), "{text:?}: {error}");
        }
    }
}
