//! A file of manifests, read twice: by one parser for where things stand (the lines to edit), by another
//! for what they mean (the data to decide on, and to compare with after the edit). The second is of the
//! family that Kubernetes itself reads YAML with.

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use serde::Deserialize as _;
use serde_yaml_ng::Value;

use super::error::{InjectError, Place};

/// One file, whole.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, or `stdin`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its documents, empty ones too.
    pub documents: Vec<Document>,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where things stand.
    pub root: Node,
    /// What they mean.
    pub value: Value,
    /// Whether an alias refers to this anchor.
    aliased: Vec<usize>,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    /// From 0.
    pub line: usize,
    /// From 0, in characters.
    pub column: usize,
    /// Its last line; of use for scalars and flow style.
    pub end_line: usize,
    /// Where it ends on that.
    pub end_column: usize,
    /// What it is.
    pub kind: Kind,
    /// 0 without an anchor.
    anchor: usize,
    /// A scalar without quotes.
    plain: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, a number, null.
    Scalar(String),
    /// `*name`.
    Alias,
    /// Keys and their values.
    Mapping {
        /// In braces.
        flow: bool,
        /// In order.
        entries: Vec<(Node, Node)>,
    },
    /// Items.
    Sequence {
        /// In brackets.
        flow: bool,
        /// In order.
        items: Vec<Node>,
    },
}

/// A step from a value to one inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(&'static str),
    /// An item.
    Item(usize),
}

/// The steps, as people write them.
#[must_use]
pub fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Item(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

impl File {
    /// Reads a text with both parsers. The mark that some editors put before it is no part of it.
    pub fn parse(name: &str, mut text: String) -> Result<Self, InjectError> {
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        // The parsers take it for the end of a line, and nothing else does.
        if let Some(line) = text.split('\n').position(|line| line.strip_suffix('\r').unwrap_or(line).contains('\r')) {
            let reason = "a carriage return in mid-line; write the file with usual line ends".to_owned();
            return Err(InjectError::Syntax { file: name.to_owned(), line: line + 1, reason, hint: "" });
        }
        let documents = Self::read(name, &text)?;
        Ok(Self { name: name.to_owned(), text, documents })
    }

    fn read(name: &str, text: &str) -> Result<Vec<Document>, InjectError> {
        let syntax = |line: usize, reason: String| {
            let hint = if text.contains("{{") {
                " (if it is a Helm chart's template, render it first: helm template …)"
            } else {
                ""
            };
            InjectError::Syntax { file: name.to_owned(), line, reason, hint }
        };
        let mut roots = Vec::new();
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| syntax(error.marker().line(), error.info()))?;
            if let Some(root) = builder.take(&event, span) {
                roots.push((root, std::mem::take(&mut builder.aliased)));
            }
        }
        let mut documents = Vec::new();
        let mut values = serde_yaml_ng::Deserializer::from_str(text);
        for (root, aliased) in roots {
            let value = values.next().map_or(Ok(Value::Null), Value::deserialize);
            let value = value.map_err(|error| {
                let line = error.location().map_or(root.line + 1, |at| at.line());
                syntax(line, error.to_string())
            })?;
            documents.push(Document { root, value, aliased });
        }
        if let Some(more) = values.next()
            && Value::deserialize(more).is_ok_and(|value| !value.is_null())
        {
            return Err(InjectError::NotAsExpected { file: name.to_owned() });
        }
        Ok(documents)
    }

    /// The lines, without their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.text.lines().map(str::to_owned).collect()
    }

    /// The values of all documents.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        self.documents.iter().map(|document| document.value.clone()).collect()
    }
}

impl Document {
    /// A value that lines can be added to: each mapping on the way, and the last value, are in block
    /// style and used nowhere else.
    pub fn editable(&self, path: &[Step], place: &Place) -> Result<&Node, InjectError> {
        let mut node = &self.root;
        self.check(node, &[], place)?;
        for (depth, step) in path.iter().enumerate() {
            let Some(inner) = node.get(*step) else {
                return Err(unsafe_at(&path[..=depth], place, node, "is not written out here"));
            };
            node = inner;
            self.check(node, &path[..=depth], place)?;
        }
        Ok(node)
    }

    fn check(&self, node: &Node, path: &[Step], place: &Place) -> Result<(), InjectError> {
        let trouble = match &node.kind {
            Kind::Alias => "is an alias of another value",
            Kind::Mapping { flow: true, .. } | Kind::Sequence { flow: true, .. } => "is in flow style (braces)",
            _ if self.aliased.contains(&node.anchor) => "is an anchor that is used elsewhere too",
            Kind::Mapping { entries, .. } if entries.iter().any(|(key, _)| key.is("<<")) => "has a merge key (<<)",
            _ => return Ok(()),
        };
        Err(unsafe_at(path, place, node, trouble))
    }
}

fn unsafe_at(path: &[Step], place: &Place, node: &Node, trouble: &'static str) -> InjectError {
    let path = if path.is_empty() { "the document".to_owned() } else { path_text(path) };
    InjectError::Unsafe { place: Place { line: node.line + 1, ..place.clone() }, path, trouble }
}

impl Node {
    /// The value of a key, or an item.
    #[must_use]
    pub fn get(&self, step: Step) -> Option<&Node> {
        match (step, &self.kind) {
            (Step::Key(name), _) => Some(&self.entry(name)?.1),
            (Step::Item(index), Kind::Sequence { items, .. }) => items.get(index),
            _ => None,
        }
    }

    /// A key with its value.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&(Node, Node)> {
        let Kind::Mapping { entries, .. } = &self.kind else { return None };
        entries.iter().find(|(key, _)| key.is(name))
    }

    /// Whether it means something else to Kubernetes, which reads YAML 1.1, than to the parsers here once it is
    /// written anew: `yes`, `0755`, a merge key.
    #[must_use]
    pub fn has_another_meaning(&self) -> bool {
        match &self.kind {
            Kind::Scalar(text) => self.plain && (text == "<<" || differs_in_yaml_1_1(text)),
            Kind::Alias => false,
            Kind::Mapping { entries, .. } => {
                entries.iter().any(|(key, value)| key.has_another_meaning() || value.has_another_meaning())
            }
            Kind::Sequence { items, .. } => items.iter().any(Self::has_another_meaning),
        }
    }

    /// Whether it has a name that an alias may use.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchor != 0
    }

    fn is(&self, text: &str) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar == text)
    }
}

/// Truth values, octal and sexagesimal numbers, and numbers with `_` in them.
fn differs_in_yaml_1_1(text: &str) -> bool {
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let digits = text.trim_start_matches(['-', '+']);
    let number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|letter| letter.is_ascii_hexdigit() || "_:.xob".contains(letter));
    let octal = digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|letter| letter.is_ascii_digit());
    WORDS.contains(&text.to_ascii_lowercase().as_str())
        || octal
        || (number && (digits.contains(['_', ':']) || digits.starts_with("0b")))
}

/// Makes a tree of the parser's events.
#[derive(Default)]
struct Builder {
    /// Collections that are not closed yet, with the key that waits for its value.
    open: Vec<(Node, Option<Node>)>,
    root: Option<Node>,
    aliased: Vec<usize>,
}

impl Builder {
    /// Gives the root once its document ends.
    fn take(&mut self, event: &Event<'_>, span: Span) -> Option<Node> {
        let node = |kind, anchor| Node {
            line: span.start.line().saturating_sub(1),
            column: span.start.col(),
            end_line: span.end.line().saturating_sub(1),
            end_column: span.end.col(),
            kind,
            anchor,
            plain: false,
        };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let scalar = node(Kind::Scalar(text.clone().into_owned()), *anchor);
                self.add(Node { plain: *style == ScalarStyle::Plain, ..scalar });
            }
            Event::Alias(anchor) => {
                self.aliased.push(*anchor);
                self.add(node(Kind::Alias, 0));
            }
            Event::MappingStart(style, anchor, _) => {
                let kind = Kind::Mapping { flow: *style == StructureStyle::Flow, entries: Vec::new() };
                self.open.push((node(kind, *anchor), None));
            }
            Event::SequenceStart(style, anchor, _) => {
                let kind = Kind::Sequence { flow: *style == StructureStyle::Flow, items: Vec::new() };
                self.open.push((node(kind, *anchor), None));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((mut closed, _)) = self.open.pop() {
                    closed.end_line = span.end.line().saturating_sub(1);
                    closed.end_column = span.end.col();
                    self.add(closed);
                }
            }
            Event::DocumentEnd => return self.root.take(),
            _ => {}
        }
        None
    }

    fn add(&mut self, node: Node) {
        let Some((parent, waiting)) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.kind {
            Kind::Mapping { entries, .. } => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => *waiting = Some(node),
            },
            Kind::Sequence { items, .. } => items.push(node),
            Kind::Scalar(_) | Kind::Alias => {}
        }
    }
}
