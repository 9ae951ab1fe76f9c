//! An answer of Prometheus' query API, as far as it is read here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;

use crate::http_peer::one_line;

/// `GET /api/v1/query`.
#[derive(Deserialize)]
pub(super) struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

/// One series of a vector.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(rename = "value")]
    pub point: Point,
}

/// A value, and for when Prometheus has worked it out.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "(f64, String)")]
pub(super) struct Point {
    at: f64,
    pub value: f64,
}

impl TryFrom<(f64, String)> for Point {
    type Error = String;

    fn try_from((at, value): (f64, String)) -> Result<Self, String> {
        let value = value.parse().map_err(|_| format!("`{}` is no number", one_line(&value)))?;
        Ok(Self { at, value })
    }
}

impl Point {
    /// How old a sample is whose time is the value.
    pub fn age(self) -> Duration {
        let seconds = self.at - self.value;
        if seconds.is_nan() {
            Duration::MAX
        } else {
            Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
        }
    }
}

impl Answer {
    /// What Prometheus itself said of an error.
    pub fn error(body: &[u8]) -> Option<String> {
        let answer: Self = serde_json::from_slice(body).ok()?;
        (!answer.error.is_empty()).then(|| one_line(&answer.error))
    }

    /// The series of a vector, or what is wrong with the answer.
    pub fn series(body: &[u8]) -> Result<Vec<Series>, String> {
        let answer: Self = serde_json::from_slice(body).map_err(|error| {
            let start: String = one_line(&String::from_utf8_lossy(body)).chars().take(60).collect();
            format!("{error} (it begins with `{start}`)")
        })?;
        if answer.status != "success" {
            return Err(format!("its status is `{}`: {}", one_line(&answer.status), one_line(&answer.error)));
        }
        let data = answer.data.ok_or("it holds no data")?;
        if data.result_type != "vector" {
            return Err(format!("the query makes a {} and not an instant vector", one_line(&data.result_type)));
        }
        serde_json::from_value(data.result).map_err(|error| error.to_string())
    }
}

/// How the series differ, by the labels that are not the same in all of them.
pub(super) fn differences(series: &[Series]) -> String {
    const SHOWN: usize = 3;
    let first = series.first().map(|one| &one.metric);
    let differs =
        |label: &&String| series.iter().any(|one| one.metric.get(*label) != first.and_then(|m| m.get(*label)));
    let labels: BTreeSet<_> = series.iter().flat_map(|one| one.metric.keys()).filter(differs).collect();
    let of_one = |one: &Series| {
        let pairs = labels.iter().filter_map(|label| Some(format!("{label}=\"{}\"", one.metric.get(*label)?)));
        format!("{{{}}} says {}", pairs.collect::<Vec<_>>().join(","), one.point.value)
    };
    let mut text = series.iter().take(SHOWN).map(of_one).collect::<Vec<_>>().join(", ");
    if series.len() > SHOWN {
        text.push_str(", …");
    }
    one_line(&text)
}
