//! What is added: the container, and the objects that grant it its rights. Both are the kustomize
//! component's own files with the names filled in, so that the two ways to install cannot differ.

use serde_yaml_ng::{Mapping, Value};

use super::{workload, write::scalar};

const AGENT: &str = include_str!("../../../deploy/components/sidecar/agent.yaml");
const LEASE: &str = include_str!("../../../deploy/components/sidecar/lease.yaml");
const ROLE: &str = include_str!("../../../deploy/components/sidecar/role.yaml");
const ROLE_BINDING: &str = include_str!("../../../deploy/components/sidecar/role-binding.yaml");
const SERVICE_ACCOUNT: &str = include_str!("../../../deploy/components/service-account/service-account.yaml");

/// For `--history-config-map`. The ConfigMap itself is made too, because the right to create cannot be narrowed to one
/// name.
const HISTORY_RULE: &str = "  # The history outlives the pod in this one (--history-config-map).
  - apiGroups: [\"\"]
    resources: [configmaps]
    resourceNames: [{history}]
    verbs: [get, patch]
";
const HISTORY: &str = "# What the agent keeps of its history (--history-config-map). Deleting it loses nothing else.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {history}
  labels:
    app.kubernetes.io/name: sluice
";

/// The container's name.
pub const CONTAINER: &str = "sluice";

/// The image, if none is named: this version.
pub const IMAGE: &str = concat!("sluice:", env!("CARGO_PKG_VERSION"));

/// The names that the objects share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The TaskManagers' Deployment.
    pub deployment: String,
    /// The Lease.
    pub lease: String,
    /// The JobManager's ServiceAccount.
    pub service_account: String,
    /// The ConfigMap of the history, if it is to have one.
    pub history: Option<String>,
    /// Where all of it is applied to.
    pub namespace: String,
    /// Whether the objects say their namespace, as the JobManager does.
    pub says_namespace: bool,
}

impl Names {
    /// Role and RoleBinding have the Lease's name: a second Flink cluster in the namespace then has its
    /// own, and neither takes the other's rights.
    fn filled(&self, template: &str) -> String {
        // Marks first: a name that was filled in must not be taken for one to fill.
        let marks = [
            ("sluice-flink-taskmanager", '\u{1}', self.lease.as_str()),
            ("flink-taskmanager", '\u{2}', &self.deployment),
            ("flink-jobmanager", '\u{3}', &self.service_account),
            ("  name: sluice\n", '\u{4}', &self.lease),
            ("{history}", '\u{5}', self.history.as_deref().unwrap_or_default()),
        ];
        let mut text = template.to_owned();
        for (name, mark, _) in &marks {
            let line = if name.ends_with('\n') { format!("  name: {mark}\n") } else { mark.to_string() };
            text = text.replace(name, &line);
        }
        for (_, mark, name) in &marks {
            text = text.replace(*mark, &scalar(&Value::from(*name)));
        }
        if self.says_namespace {
            text = text.replacen("metadata:\n", &format!("metadata:\n  namespace: {}\n", self.quoted_namespace()), 1);
        }
        text
    }

    fn quoted_namespace(&self) -> String {
        scalar(&Value::from(self.namespace.as_str()))
    }

    /// Lease, Role and RoleBinding, and the ServiceAccount and the history's ConfigMap if they are to be made.
    #[must_use]
    pub fn objects(&self, with_service_account: bool) -> Vec<String> {
        let binding = format!("{}    namespace: {}\n", self.filled(ROLE_BINDING), self.quoted_namespace());
        let account = with_service_account.then(|| self.filled(SERVICE_ACCOUNT));
        let (right, map) = self.history.as_ref().map(|_| (HISTORY_RULE, self.filled(HISTORY))).unzip();
        let role = self.filled(&[ROLE, right.unwrap_or_default()].concat());
        account.into_iter().chain([self.filled(LEASE), role, binding]).chain(map).collect()
    }
}

/// The container as the component has it.
fn template() -> Mapping {
    let workload: Value = serde_yaml_ng::from_str(AGENT).unwrap_or_default();
    let containers = workload::pod_spec(&workload).and_then(|spec| spec.get("initContainers"));
    let container = containers.and_then(|list| list.get(0)).and_then(Value::as_mapping);
    container.cloned().unwrap_or_default()
}

/// The container: what is there stays, what is missing is added, what was given is set.
#[must_use]
pub fn container(present: Option<&Value>, image: Option<&str>, variables: &[(String, String)], port: u16) -> Value {
    let template = template();
    let mut made = present.and_then(Value::as_mapping).cloned().unwrap_or_else(|| template.clone());
    for (key, value) in &template {
        if !made.contains_key(key) {
            made.insert(key.clone(), value.clone());
        }
    }
    let ours = |image: &Value| image.as_str().is_some_and(|image| image.starts_with("sluice:"));
    match image {
        Some(image) => drop(made.insert("image".into(), image.into())),
        None if made.get("image").is_none_or(ours) => drop(made.insert("image".into(), IMAGE.into())),
        None => {}
    }
    let mut env = made.get("env").and_then(Value::as_sequence).cloned().unwrap_or_default();
    for wanted in template.get("env").and_then(Value::as_sequence).into_iter().flatten() {
        if !env.iter().any(|variable| variable.get("name") == wanted.get("name")) {
            env.push(wanted.clone());
        }
    }
    for (name, value) in variables {
        let entry =
            Mapping::from_iter([("name".into(), name.as_str().into()), ("value".into(), value.as_str().into())]);
        match env.iter_mut().find(|variable| variable.get("name").and_then(Value::as_str) == Some(name)) {
            Some(variable) => *variable = entry.into(),
            None => env.push(entry.into()),
        }
    }
    made.insert("env".into(), env.into());
    let ports = made.get_mut("ports").and_then(Value::as_sequence_mut).into_iter().flatten();
    let mut named = ports.filter(|port| port.get("name").and_then(Value::as_str) == Some("sluice"));
    if let Some(Value::Mapping(named)) = named.next() {
        named.insert("containerPort".into(), port.into());
    }
    Value::Mapping(made)
}

/// The literal variables of a container.
#[must_use]
pub fn variables(container: &Value) -> Vec<(String, String)> {
    let env = container.get("env").and_then(Value::as_sequence).into_iter().flatten();
    let pair = |variable: &Value| {
        let value = variable.get("value")?.as_str()?;
        Some((variable.get("name")?.as_str()?.to_owned(), value.to_owned()))
    };
    env.filter_map(pair).collect()
}

/// Whether settings of the agent stand elsewhere than in the container's literal variables.
#[must_use]
pub fn some_stand_elsewhere(container: &Value) -> bool {
    let env = container.get("env").and_then(Value::as_sequence).into_iter().flatten();
    let of_the_agent =
        |variable: &Value| workload::text(variable, &["name"]).is_some_and(|name| name.starts_with("SLUICE_"));
    let by_reference = |variable: &Value| of_the_agent(variable) && variable.get("valueFrom").is_some();
    let by_the_pod = |variable: &Value| workload::text(variable, &["name"]) == Some("SLUICE_NAMESPACE");
    container.get("envFrom").is_some()
        || env.into_iter().any(|variable| by_reference(variable) && !by_the_pod(variable))
}
