//! The dashboards that are shipped, as far as tests and pictures need to know them: panels with their
//! queries, variables, annotations.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Its name in addresses and files.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// Those with queries and those that only head a row, in order.
    pub panels: Vec<Panel>,
    /// Queries that fill the variables.
    pub variables: Vec<Query>,
    /// Queries that mark moments.
    pub annotations: Vec<Query>,
}

/// A panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// `timeseries`, `stat`, `bargauge`, `state-timeline` or `row`.
    pub kind: String,
    /// Its unit, by Grafana's name.
    pub unit: String,
    /// Left edge and top, width and height, in Grafana's grid of 24 columns.
    pub place: [u32; 4],
    /// Values hold until the next one.
    pub steps: bool,
    /// What it asks.
    pub queries: Vec<Query>,
}

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// An expression with Grafana's variables in it.
    pub expression: String,
    /// How its series are called, with labels in double braces; or the name of variable or annotation.
    pub legend: String,
    /// Asks for now only.
    pub instant: bool,
}

/// All that are shipped.
pub fn shipped() -> Result<Vec<Dashboard>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana/dashboards");
    let mut files: Vec<_> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let all = files.iter().map(|file| {
        let json = serde_json::from_slice(&fs::read(file)?).with_context(|| file.display().to_string())?;
        Dashboard::read(&json)
    });
    all.collect()
}

impl Dashboard {
    fn read(json: &Value) -> Result<Self> {
        let list = |path: &str| json.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        let variables = list("/templating/list").into_iter().filter_map(|variable| {
            let asked = variable.pointer("/query/query")?.as_str()?.to_owned();
            Some(Query { expression: asked, legend: text(&variable, "/name"), instant: true })
        });
        let annotations = list("/annotations/list").into_iter().map(|annotation| Query {
            expression: text(&annotation, "/expr"),
            legend: text(&annotation, "/name"),
            instant: false,
        });
        let panels: Vec<_> = list("/panels").iter().map(Panel::read).collect();
        ensure!(!panels.is_empty(), "a dashboard without panels");
        Ok(Self {
            uid: text(json, "/uid"),
            title: text(json, "/title"),
            panels,
            variables: variables.collect(),
            annotations: annotations.collect(),
        })
    }
}

impl Panel {
    fn read(json: &Value) -> Self {
        let edge = |name: &str| json["gridPos"][name].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        let targets = json["targets"].as_array().cloned().unwrap_or_default();
        let query = |target: &Value| Query {
            expression: text(target, "/expr"),
            legend: text(target, "/legendFormat"),
            instant: target["instant"] == true,
        };
        Self {
            title: text(json, "/title"),
            kind: text(json, "/type"),
            unit: text(json, "/fieldConfig/defaults/unit"),
            place: ["x", "y", "w", "h"].map(edge),
            steps: text(json, "/fieldConfig/defaults/custom/lineInterpolation") == "stepAfter",
            queries: targets.iter().map(query).collect(),
        }
    }
}

fn text(json: &Value, path: &str) -> String {
    json.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Query {
    /// The expression with values for Grafana's variables.
    #[must_use]
    pub fn filled(&self, values: &[(&str, String)]) -> String {
        let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("${name}"), value);
        values.iter().fold(self.expression.clone(), fill)
    }
}
