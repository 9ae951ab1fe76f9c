//! The edits as lines put into a file. Everything else stays as it is, byte for byte.

use std::ops::Range;

use serde_yaml_ng::Value;

use super::{
    document::{Document, File, Kind, Node, Step},
    error::{InjectError, Place},
    workload::POD_SPEC,
    write::Style,
};

/// Lines that stand instead of others; with an empty range, between others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Which lines go, from 0.
    pub range: Range<usize>,
    /// What comes.
    pub lines: Vec<String>,
}

/// What is to become of a pod.
#[derive(Clone, Debug)]
pub struct PodEdit<'a> {
    /// The agent's container.
    pub container: &'a Value,
    /// Its index among the init containers, if it is there already.
    pub at: Option<usize>,
    /// The ServiceAccount, if the pod has none.
    pub service_account: Option<&'a str>,
}

/// The edits of one pod template. `path` leads to the workload.
pub fn pod(
    file: &File,
    document: &Document,
    path: &[Step],
    place: &Place,
    edit: &PodEdit<'_>,
) -> Result<Vec<Edit>, InjectError> {
    let lines = file.lines();
    let pod_path = [path, &POD_SPEC].concat();
    let spec = document.editable(&pod_path, place)?;
    let (_, template) = pod_path.split_last().map_or((&[][..], spec), |(_, outer)| {
        (outer, outer.iter().try_fold(&document.root, |node, step| node.get(*step)).unwrap_or(spec))
    });
    let style = style(&lines, template, spec);
    let Some((containers, _)) = spec.entry("containers") else {
        let trouble = "its pod template has no containers".to_owned();
        return Err(InjectError::InTheWay { place: place.clone(), trouble });
    };
    let mut edits = Vec::new();
    let mut before_containers = Vec::new();
    if let Some(name) = edit.service_account {
        before_containers.extend(style.entry("serviceAccountName", &Value::from(name), containers.column));
    }
    match (edit.at, spec.entry("initContainers")) {
        (Some(index), _) => {
            let item_path = [&pod_path[..], &[Step::Key("initContainers"), Step::Item(index)]].concat();
            let item = document.editable(&item_path, place)?;
            if item.has_another_meaning() {
                let trouble = "has a value that YAML 1.1 reads differently (yes, on, 0755) or a merge key";
                let place = Place { line: item.line + 1, ..place.clone() };
                return Err(InjectError::Unsafe { place, path: "the container sluice".to_owned(), trouble });
            }
            edits.push(replaced_item(&lines, item, style, edit.container, place)?);
        }
        (None, None) => {
            let list = Value::Sequence(vec![edit.container.clone()]);
            before_containers.extend(style.entry("initContainers", &list, containers.column));
        }
        (None, Some((key, list))) => edits.push(match &list.kind {
            Kind::Sequence { items, .. } if !items.is_empty() => {
                document.editable(&[&pod_path[..], &[Step::Key("initContainers")]].concat(), place)?;
                let first = items.first().and_then(|item| dash(&lines, item));
                let indent = first.map_or(key.column + style.dash, |(column, _)| column);
                let item = first.map_or(style.item, |(_, item)| item);
                let lines = Style { item, ..style }.item(edit.container, indent);
                Edit { range: key.line + 1..key.line + 1, lines }
            }
            _ => begun_list(&lines, key, list, style, edit.container),
        }),
    }
    if !before_containers.is_empty() {
        let line = above_comments(&lines, containers);
        edits.push(Edit { range: line..line, lines: before_containers });
    }
    Ok(edits)
}

/// How the pod template is indented.
fn style(lines: &[String], template: &Node, spec: &Node) -> Style {
    let usual = Style::default();
    let outer = template.entry("spec").map_or(0, |(key, _)| key.column);
    let step = spec.column.checked_sub(outer).filter(|step| *step > 0).unwrap_or(usual.step);
    let list = spec.entry("containers").and_then(|(key, list)| {
        let (column, item) = dash(lines, list.get(Step::Item(0))?)?;
        Some((column.checked_sub(key.column)?, item))
    });
    let (dash, item) = list.unwrap_or((usual.dash.min(step), usual.item));
    Style { step, dash, item }
}

/// Where an item's dash stands, and how far behind it the item begins.
#[must_use]
pub fn dash(lines: &[String], item: &Node) -> Option<(usize, usize)> {
    let before = lines.get(item.line)?.get(..item.column)?;
    let column = before.trim_end().strip_suffix('-')?.len();
    before[..column].trim().is_empty().then(|| (column, item.column - column))
}

/// Comments right above a key, at its own indentation, belong to it.
fn above_comments(lines: &[String], key: &Node) -> usize {
    let comment = |line: &&String| {
        line.get(..key.column).is_some_and(|pad| pad.trim().is_empty()) && line[key.column..].starts_with('#')
    };
    key.line - lines[..key.line].iter().rev().take_while(comment).count()
}

/// `initContainers: []`, or nothing behind it.
fn begun_list(lines: &[String], key: &Node, list: &Node, style: Style, container: &Value) -> Edit {
    let line = &lines[key.line];
    let end = if list.line == key.line { list.end_column.max(key.end_column) } else { key.end_column };
    let comment = line.get(end..).and_then(|rest| rest.find(" #").map(|at| &rest[at..])).unwrap_or_default();
    let mut made = style.entry("initContainers", &Value::Sequence(vec![container.clone()]), key.column);
    if let Some(first) = made.first_mut() {
        first.push_str(comment);
    }
    Edit { range: key.line..key.line + 1, lines: made }
}

fn replaced_item(
    lines: &[String],
    item: &Node,
    style: Style,
    container: &Value,
    place: &Place,
) -> Result<Edit, InjectError> {
    let Some((column, width)) = dash(lines, item) else {
        let place = Place { line: item.line + 1, ..place.clone() };
        return Err(InjectError::Unsafe {
            place,
            path: "the container sluice".to_owned(),
            trouble: "does not begin on the line of its dash",
        });
    };
    let inside = |line: &String| line.len() - line.trim_start_matches(' ').len() > column;
    let rest = &lines[item.line + 1..];
    let until = rest.iter().position(|line| !inside(line) && !blank_or_comment(line)).unwrap_or(rest.len());
    let kept = rest[..until].iter().rev().take_while(|line| blank_or_comment(line)).count();
    let lines = Style { item: width, ..style }.item(container, column);
    Ok(Edit { range: item.line..item.line + 1 + until - kept, lines })
}

fn blank_or_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The lines of a document from its first key to its last.
#[must_use]
pub fn document_lines(lines: &[String], document: &Document) -> Range<usize> {
    let whole = document_extent(lines, document);
    let after = lines[whole.clone()].iter().rev().take_while(|line| blank_or_comment(line)).count();
    whole.start..whole.end - after
}

/// The lines of a document from its first key to the next document.
#[must_use]
pub fn document_extent(lines: &[String], document: &Document) -> Range<usize> {
    let start = document.root.line.min(lines.len());
    let marker =
        |line: &String| ["---", "..."].iter().any(|mark| line == mark || line.starts_with(&format!("{mark} ")));
    let rest = lines[start..].iter().skip(1);
    let until = rest.clone().position(marker).unwrap_or(rest.len());
    start..(start + 1 + until).min(lines.len())
}

/// Carries the edits out and adds documents behind the last.
#[must_use]
pub fn apply(text: &str, mut edits: Vec<Edit>, added: &[String]) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
    for Edit { range, lines: new } in edits {
        if let Some(before) = range.start.checked_sub(1).and_then(|index| lines.get_mut(index)) {
            finish(before, end);
        }
        lines.splice(range, new.into_iter().map(|line| line + end));
    }
    for document in added {
        if let Some(last) = lines.last_mut() {
            finish(last, end);
        }
        let separator = lines.last().is_some_and(|last| last.trim_end() != "---").then(|| format!("---{end}"));
        lines.extend(separator);
        lines.extend(document.lines().map(|line| format!("{line}{end}")));
    }
    lines.concat()
}

fn finish(line: &mut String, end: &str) {
    if !line.ends_with('\n') {
        line.push_str(end);
    }
}
