//! The second place where the history outlives the agent: a ConfigMap, for a pod without a volume. It holds
//! the same text as the file, cut to what a ConfigMap takes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use serde_json::json;
use thiserror::Error;

use crate::{
    kubernetes::{Api, ConnectOptions, KubernetesError, api::Resource},
    report::history_file::Kept,
};

const CONFIG_MAPS: Resource = Resource { group: "", version: "v1", plural: "configmaps" };

/// The key of the text.
const KEY: &str = "history.jsonl";

/// The key of a text that could not be understood.
const BAD: &str = "history.bad";

/// A ConfigMap takes 1 MiB in all, and what was set aside stands beside.
const LONGEST: usize = 400 * 1024;

/// Which ConfigMap, and how to reach it.
#[derive(Clone, Debug)]
pub struct ConfigMapOptions {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub cluster: ConnectOptions,
}

/// The ConfigMap cannot be reached or written. The agent goes on without.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum ConfigMapError {
    #[error("--history-config-map: {0}")]
    Kubernetes(#[from] KubernetesError),
    #[error("--history-config-map: {0}")]
    Text(#[from] serde_json::Error),
}

/// The ConfigMap.
#[derive(Debug)]
pub struct HistoryConfigMap {
    api: Api,
    name: String,
    /// For messages.
    what: String,
    /// A text that was found there and could not be understood, or was read too late to be gone on with.
    bad: Option<String>,
    /// What is there could not be read at the start: it is set aside before it would be written over.
    unread: bool,
}

impl HistoryConfigMap {
    /// Reads what an earlier agent left. One that is not there, or cannot be read now, is no reason not to
    /// write to it later.
    pub async fn open(options: ConfigMapOptions) -> Result<(Self, Kept), ConfigMapError> {
        let api = Api::connect(&options.cluster).await?;
        Ok(Self::at(api, options.name).await)
    }

    async fn at(api: Api, name: String) -> (Self, Kept) {
        let what = format!("ConfigMap {}/{name}", api.namespace());
        let mut place = Self { api, name, what, bad: None, unread: false };
        let kept = place.read().await;
        (place, kept)
    }

    async fn text(&self) -> Result<Option<String>, KubernetesError> {
        match self.api.get::<ConfigMap>(CONFIG_MAPS, &self.name, None, &self.what).await {
            Ok(mut found) => Ok(found.data.as_mut().and_then(|data| data.remove(KEY))),
            Err(KubernetesError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read(&mut self) -> Kept {
        let found = self.text().await;
        self.unread = found.is_err();
        let found = found.unwrap_or_else(|error| {
            tracing::warn!(config_map = self.name, %error, "the history cannot be read; starting without it");
            None
        });
        let Some(text) = found else { return Kept::default() };
        let (kept, damage) = Kept::from_text(&text);
        if let Some(damage) = damage {
            tracing::warn!(
                config_map = self.name, problem = %damage, set_aside = BAD,
                "the history cannot be understood, or not to its end; it is set aside"
            );
            self.bad = Some(text);
        }
        kept
    }

    /// Replaces the text, and creates the ConfigMap where there is none.
    pub async fn write(&mut self, kept: &Kept) -> Result<(), ConfigMapError> {
        if self.unread {
            self.bad = self.text().await?;
            self.unread = false;
        }
        let mut data = BTreeMap::from([(KEY.to_owned(), cut(kept)?)]);
        data.extend(self.bad.iter().map(|bad| (BAD.to_owned(), bad.clone())));
        let patch = json!({ "data": data });
        match self.api.patch(CONFIG_MAPS, &self.name, None, &patch, &self.what).await {
            Err(KubernetesError::NotFound { .. }) => {
                let name = Some(self.name.clone());
                // As all that comes with the agent, so that it goes with it, too.
                let labels = Some([("app.kubernetes.io/name".to_owned(), "sluice".to_owned())].into());
                let metadata = ObjectMeta { name, labels, ..ObjectMeta::default() };
                let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
                self.api.create(CONFIG_MAPS, &map, &self.what).await?;
            }
            other => other?,
        }
        self.bad = None;
        Ok(())
    }
}

/// The text, without its oldest entries if it would be too long.
fn cut(kept: &Kept) -> serde_json::Result<String> {
    let mut kept = kept.clone();
    loop {
        let text = kept.to_text()?;
        if text.len() <= LONGEST || kept.entries.is_empty() {
            return Ok(text);
        }
        let first = kept.entries.len().div_ceil(4);
        kept.entries.drain(..first);
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::scripted::{Answer, Server, failure, ok};

    const ALL: &str = "/api/v1/namespaces/flink/configmaps";
    const ONE: &str = "/api/v1/namespaces/flink/configmaps/past";

    /// What was written there, by which verb.
    async fn written(server: &Server, path: &str) -> Vec<(Method, Value)> {
        let asked = server.asked(path).await.into_iter().filter(|seen| seen.method != Method::GET);
        asked.map(|seen| (seen.method, seen.body.unwrap()["data"].clone())).collect()
    }

    fn missing() -> Answer {
        failure(404, "NotFound", "configmaps \"past\" not found")
    }

    #[tokio::test]
    async fn what_is_not_there_yet_is_made() {
        let (api, server) = Server::start(&[(ONE, vec![missing()]), (ALL, vec![ok(&json!({}))])]);
        let (mut place, found) = HistoryConfigMap::at(api, "past".into()).await;
        assert_eq!(found, Kept::default());
        place.write(&found).await.unwrap();
        let text = found.to_text().unwrap();
        assert_eq!(written(&server, ALL).await, [(Method::POST, json!({ KEY: text }))]);
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_set_aside_once() {
        let (api, server) = Server::start(&[(ONE, vec![ok(&json!({ "data": { KEY: "not a history" } }))])]);
        let (mut place, found) = HistoryConfigMap::at(api, "past".into()).await;
        place.write(&found).await.unwrap();
        place.write(&found).await.unwrap();
        let text = found.to_text().unwrap();
        let aside = json!({ KEY: text, BAD: "not a history" });
        assert_eq!(written(&server, ONE).await, [(Method::PATCH, aside), (Method::PATCH, json!({ KEY: text }))]);
    }

    #[tokio::test]
    async fn what_could_not_be_read_at_the_start_is_not_lost() {
        let (old, no) = (json!({ "data": { KEY: "of the agent before" } }), failure(403, "Forbidden", "not yours"));
        let (api, server) = Server::start(&[(ONE, vec![no.clone(), no, ok(&old)])]);
        let (mut place, found) = HistoryConfigMap::at(api, "past".into()).await;
        let refused = place.write(&found).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("--history-config-map: ConfigMap flink/past") && refused.contains("get"),
            "{refused}"
        );
        assert!(written(&server, ONE).await.is_empty(), "written over unread");
        place.write(&found).await.unwrap();
        assert_eq!(written(&server, ONE).await[0].1[BAD], "of the agent before");
    }
}
