//! Flow style (`{a: b}`, and so all of JSON) has no lines that others could be added to. Where the agent's
//! place is inside such a value, the value is written out in block style first.

use serde_yaml_ng::Value;

use super::{
    document::{File, Kind, Node, Step},
    edit::{self, Edit},
    error::InjectError,
    write::Style,
};

/// The file with the flow value that a path leads into written out in block style. `None` if there is none, or if
/// something would be lost by it: a comment inside, an anchor, what YAML 1.1 alone reads as it is meant.
pub fn unfolded(file: &File, document: usize, path: &[Step]) -> Result<Option<File>, InjectError> {
    let Some(edit) = written_out(file, document, path) else { return Ok(None) };
    let text = edit::apply(&file.text, vec![edit], &[]);
    match File::parse(&file.name, text) {
        Ok(made) if made.values() == file.values() => Ok(Some(made)),
        _ => Err(InjectError::NotAsExpected { file: file.name.clone() }),
    }
}

fn written_out(file: &File, document: usize, path: &[Step]) -> Option<Edit> {
    let document = &file.documents[document];
    let (mut node, mut value, mut parent) = (&document.root, &document.value, None);
    let mut steps = path.iter();
    while !is_flow(node) {
        let step = *steps.next()?;
        parent = Some((node, step));
        node = node.get(step)?;
        value = match step {
            Step::Key(key) => value.get(key)?,
            Step::Item(index) => value.get(index)?,
        };
    }
    let lines = file.lines();
    let (first, last) = (lines.get(node.line)?, lines.get(node.end_line)?);
    let (before, _) = split(first, node.column)?;
    let (_, after) = split(last, node.end_column)?;
    let text = lines[node.line..=node.end_line].join("\n");
    let within = text.get(before.len()..text.len() - after.len())?;
    let comment_within = [" #", "\t#", "\n#"].iter().any(|comment| within.contains(comment));
    let after = after.trim_end();
    let only_comment_after = after.is_empty() || after.trim_start().starts_with('#');
    if node.is_anchored() || node.has_another_meaning() || comment_within || !only_comment_after {
        return None;
    }
    let style = Style::default();
    let made = match parent {
        None if before.trim().is_empty() => [lines_of(style, value, 0)?, comment(after)].concat(),
        None => [vec![format!("{}{after}", before.trim_end())], lines_of(style, value, 0)?].concat(),
        Some((_, Step::Item(_))) => {
            let (column, width) = edit::dash(&lines, node)?;
            [comment(after), Style { item: width, ..style }.item(value, column)].concat()
        }
        Some((outer, Step::Key(key))) => {
            let (key, _) = outer.entry(key)?;
            let inner = if value.is_sequence() { key.column + style.dash } else { key.column + style.step };
            let inner = lines_of(style, value, inner)?;
            if key.line == node.line {
                [vec![format!("{}{after}", before.trim_end())], inner].concat()
            } else if before.trim().is_empty() {
                [comment(after), inner].concat()
            } else {
                return None;
            }
        }
    };
    Some(Edit { range: node.line..node.end_line + 1, lines: made })
}

/// An empty list needs no lines: `initContainers: []` is replaced whole.
fn is_flow(node: &Node) -> bool {
    match &node.kind {
        Kind::Mapping { flow, .. } => *flow,
        Kind::Sequence { flow, items } => *flow && !items.is_empty(),
        Kind::Scalar(_) | Kind::Alias => false,
    }
}

fn lines_of(style: Style, value: &Value, indent: usize) -> Option<Vec<String>> {
    match value {
        Value::Mapping(mapping) => Some(style.mapping(mapping, indent)),
        Value::Sequence(items) => Some(items.iter().flat_map(|item| style.item(item, indent)).collect()),
        _ => None,
    }
}

/// A line before and from a column, which counts characters.
fn split(line: &str, column: usize) -> Option<(&str, &str)> {
    let mut starts = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    Some(line.split_at(starts.nth(column)?))
}

/// What stood behind the value, on a line of its own.
fn comment(after: &str) -> Vec<String> {
    let comment = after.trim();
    if comment.is_empty() { Vec::new() } else { vec![comment.to_owned()] }
}
