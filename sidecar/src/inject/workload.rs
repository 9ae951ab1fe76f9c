//! Finds the JobManager's workload and the TaskManagers' Deployment among the objects of the files: by
//! label, else by what the containers start, else by name.

use serde_yaml_ng::Value;

use super::{
    document::{File, Step},
    error::{InjectError, Place},
};

/// An object in a file: a document, or an item of a `List`.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// Index of the file.
    pub file: usize,
    /// Index of the document in it.
    pub document: usize,
    /// From the document to the object.
    pub path: Vec<Step>,
    /// The object.
    pub value: &'a Value,
    /// For messages.
    pub place: Place,
}

/// From a workload to its pods.
pub const POD_SPEC: [Step; 3] = [Step::Key("spec"), Step::Key("template"), Step::Key("spec")];

/// Which of Flink's two processes a pod runs.
#[derive(Clone, Copy, Debug)]
enum Role {
    JobManager,
    TaskManager,
}

/// All objects of the files.
#[must_use]
pub fn objects(files: &[File]) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    for (file_index, file) in files.iter().enumerate() {
        for (index, document) in file.documents.iter().enumerate() {
            let mut add = |value, path: Vec<Step>| {
                let node = path.iter().try_fold(&document.root, |node, step| node.get(*step));
                let place = Place {
                    kind: text(value, &["kind"]).unwrap_or("?").to_owned(),
                    name: text(value, &["metadata", "name"]).unwrap_or("?").to_owned(),
                    file: file.name.clone(),
                    line: node.map_or(document.root.line, |node| node.line) + 1,
                };
                found.push(Object { file: file_index, document: index, path, value, place });
            };
            let is_list = text(&document.value, &["kind"]).is_some_and(|kind| kind.ends_with("List"));
            match document.value.get("items").and_then(Value::as_sequence) {
                Some(items) if is_list => {
                    for (item, value) in items.iter().enumerate() {
                        add(value, vec![Step::Key("items"), Step::Item(item)]);
                    }
                }
                _ if document.value.is_mapping() => add(&document.value, Vec::new()),
                _ => {}
            }
        }
    }
    found
}

impl Object<'_> {
    /// Its namespace, if it says one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        text(self.value, &["metadata", "namespace"])
    }

    /// Whether it is this object.
    #[must_use]
    pub fn is(&self, kind: &str, name: &str) -> bool {
        self.place.kind == kind && self.place.name == name
    }

    fn named(&self, name: &str) -> bool {
        self.place.name == name
    }

    fn fits(&self) -> bool {
        ["Job", "Deployment", "StatefulSet"].contains(&self.place.kind.as_str())
    }

    fn labelled(&self, role: Role) -> bool {
        let component = |labels: Option<&Value>| {
            ["component", "app.kubernetes.io/component", "flink-component", "role"].iter().any(|key| {
                let value = labels.and_then(|labels| labels.get(*key)).and_then(Value::as_str);
                value.is_some_and(|value| value.to_ascii_lowercase().replace('-', "") == role.word())
            })
        };
        component(at(self.value, &["metadata", "labels"]))
            || component(at(self.value, &["spec", "template", "metadata", "labels"]))
    }

    fn starts(&self, role: Role) -> bool {
        let Some(pod) = pod_spec(self.value) else { return false };
        let containers = pod.get("containers").and_then(Value::as_sequence).into_iter().flatten();
        let lists = containers.flat_map(|container| [container.get("command"), container.get("args")]);
        let words = lists.flatten().filter_map(Value::as_sequence).flatten().filter_map(Value::as_str);
        words.flat_map(str::split_whitespace).any(|word| role.started_by(word))
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::JobManager => "jobmanager",
            Self::TaskManager => "taskmanager",
        }
    }

    /// The words of Flink's own entry points: of its image, its scripts and its main classes.
    fn started_by(self, word: &str) -> bool {
        let file = word.rsplit('/').next().unwrap_or(word);
        match self {
            Self::JobManager => {
                ["jobmanager", "standalone-job", "jobmanager.sh", "standalone-job.sh"].contains(&file)
                    || word.ends_with("ClusterEntryPoint")
                    || word.ends_with("ClusterEntrypoint")
            }
            Self::TaskManager => {
                ["taskmanager", "taskmanager.sh"].contains(&file) || word.ends_with("TaskManagerRunner")
            }
        }
    }
}

/// The one workload that runs the JobManager, or the one that a person named.
pub fn job_manager<'a, 'v>(objects: &'a [Object<'v>], name: Option<&str>) -> Result<&'a Object<'v>, InjectError> {
    let has_pods = |object: &&Object<'_>| pod_spec(object.value).is_some() || unfit_kind(object).is_some();
    let candidates: Vec<_> = objects.iter().filter(has_pods).collect();
    let mut found: Vec<_> = match name {
        Some(name) => candidates.iter().copied().filter(|object| object.named(name)).collect(),
        None => by_role(&candidates, Role::JobManager),
    };
    if found.is_empty() {
        // The Operator's kinds say of nothing that it is a JobManager: they have one.
        found.extend(candidates.iter().copied().find(|object| object.place.kind.starts_with("Flink")));
    }
    let (fit, unfit): (Vec<_>, Vec<_>) = found.into_iter().partition(|object| object.fits());
    match (fit.as_slice(), unfit.first()) {
        ([one], _) => Ok(one),
        ([], Some(object)) => {
            let advice = unfit_kind(object).unwrap_or("Sluice is added to no other kind");
            Err(InjectError::UnfitKind { place: object.place.clone(), advice })
        }
        ([], None) => {
            let found = objects.iter().map(|object| format!("{}/{}", object.place.kind, object.place.name));
            let found: Vec<_> = found.collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            Err(InjectError::NoJobManager { found })
        }
        (several, _) => Err(InjectError::SeveralJobManagers { found: places(several) }),
    }
}

/// The TaskManagers' Deployment as the files tell it; `None` if they tell nothing.
pub fn task_managers<'a, 'v>(
    objects: &'a [Object<'v>],
    job_manager: &Object<'_>,
) -> Result<Option<&'a Object<'v>>, InjectError> {
    let other =
        |object: &&Object<'_>| pod_spec(object.value).is_some() && !std::ptr::eq(object.value, job_manager.value);
    let candidates: Vec<_> = objects.iter().filter(other).collect();
    let found = by_role(&candidates, Role::TaskManager);
    match found.as_slice() {
        [] => Ok(None),
        [one] => check_task_managers(one, job_manager).map(|()| Some(*one)),
        several => Err(InjectError::TaskManagersUnknown {
            found: format!("several fit the TaskManagers: {}", places(several)),
        }),
    }
}

/// A Deployment of TaskManagers that Sluice can scale from beside this JobManager.
pub fn check_task_managers(found: &Object<'_>, job_manager: &Object<'_>) -> Result<(), InjectError> {
    if found.place.kind != "Deployment" {
        return Err(InjectError::TaskManagersNotADeployment { place: found.place.clone() });
    }
    let (one, other) = (found.namespace(), job_manager.namespace());
    if one.is_some() && other.is_some() && one != other {
        return Err(InjectError::Namespaces {
            job_manager: Box::new(job_manager.place.clone()),
            task_managers: Box::new(found.place.clone()),
        });
    }
    Ok(())
}

fn by_role<'a, 'v>(candidates: &[&'a Object<'v>], role: Role) -> Vec<&'a Object<'v>> {
    type Test = fn(&Object<'_>, Role) -> bool;
    let tests: [Test; 3] = [
        |object, role| object.labelled(role),
        |object, role| object.starts(role),
        |object, role| object.place.name.replace('-', "").ends_with(role.word()),
    ];
    let all = tests.iter().map(|test| candidates.iter().copied().filter(|object| test(object, role)).collect());
    all.into_iter().find(|found: &Vec<_>| !found.is_empty()).unwrap_or_default()
}

fn unfit_kind(object: &Object<'_>) -> Option<&'static str> {
    match object.place.kind.as_str() {
        "FlinkDeployment" | "FlinkSessionJob" => {
            Some("the Flink Kubernetes Operator runs this JobManager and scales its TaskManagers itself")
        }
        "CronJob" => Some("a job that follows a stream does not end, and so needs no schedule; make it a Job"),
        "ReplicaSet" | "ReplicationController" | "Pod" | "DaemonSet" => {
            Some("inject into the Job, Deployment or StatefulSet that makes it")
        }
        _ => None,
    }
}

fn places(objects: &[&Object<'_>]) -> String {
    objects.iter().map(|object| object.place.to_string()).collect::<Vec<_>>().join(", ")
}

/// The spec of a workload's pods.
#[must_use]
pub fn pod_spec(workload: &Value) -> Option<&Value> {
    at(workload, &["spec", "template", "spec"])
}

/// The value at a path of keys.
#[must_use]
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(*key))
}

/// The text at a path of keys.
#[must_use]
pub fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str()
}
