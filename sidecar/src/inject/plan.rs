//! Decides what is added where, makes it, and proves it. No I/O.

use serde_yaml_ng::Value;

use super::{
    agent::{self, Names},
    document::{File, Step},
    edit::{self, Edit, PodEdit},
    error::{InjectError, Place},
    settings::{self, AgentSettings},
    show::all,
    unfold::unfolded,
    workload::{self, Object, POD_SPEC},
};
use crate::args::LeaseArgs;

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `--image`.
    pub image: Option<String>,
    /// `--job-manager`.
    pub job_manager: Option<String>,
    /// The agent's flags.
    pub settings: AgentSettings,
}

/// The files before and after.
#[derive(Clone, Debug)]
pub struct Injected {
    /// As they were.
    pub before: Vec<File>,
    /// The same files with the agent.
    pub after: Vec<File>,
    /// What a person should know besides, in full sentences.
    pub notes: Vec<String>,
}

/// Adds the agent to the JobManager in these files (names and texts).
pub fn inject_into(texts: Vec<(String, String)>, request: &Request) -> Result<Injected, InjectError> {
    let parsed: Result<Vec<_>, _> = texts.into_iter().map(|(name, text)| File::parse(&name, text)).collect();
    let before = parsed?;
    let objects = workload::objects(&before);
    let job_manager = workload::job_manager(&objects, request.job_manager.as_deref())?;
    let Some(pod) = workload::pod_spec(job_manager.value) else {
        let trouble = "it has no pod template".to_owned();
        return Err(InjectError::InTheWay { place: job_manager.place.clone(), trouble });
    };
    if workload::text(job_manager.value, &["metadata", "name"]).is_none() {
        let trouble = "it says no metadata.name, after which the agent's objects are called".to_owned();
        return Err(InjectError::InTheWay { place: job_manager.place.clone(), trouble });
    }
    let present = present(pod, &job_manager.place)?;

    let mut notes = Vec::new();
    let (names, has_account) = names(&objects, job_manager, pod, present.map(|(_, value)| value), request, &mut notes)?;
    let container = container(present.map(|(_, value)| value), &names, request, &job_manager.place)?;
    check_port(pod, &container, &job_manager.place)?;
    check_token(&objects, pod, &names, &job_manager.place)?;
    let image = container.get("image").and_then(Value::as_str);
    if image == Some(agent::IMAGE) {
        notes.push(format!(
            "the image is {}, of no registry; --image names the one that you have pushed.",
            agent::IMAGE
        ));
    } else if request.image.is_none() {
        notes.push(format!("{} keeps its image; --image sets another.", job_manager.place));
    }

    let mut files = before.clone();
    let file = &mut files[job_manager.file];
    let mut edits = Vec::new();
    let mut expected = file.values();
    let changed = present.is_none_or(|(_, value)| *value != container);
    if changed && job_manager.place.kind == "Job" {
        notes.push(format!(
            "{} cannot be changed in place: where it runs already, `kubectl delete job {}` first.",
            job_manager.place, job_manager.place.name
        ));
    }
    if changed || !has_account {
        let account = (!has_account).then_some(names.service_account.as_str());
        let edit = PodEdit { container: &container, at: present.map(|(index, _)| index), service_account: account };
        let pods = [&job_manager.path[..], &POD_SPEC, &[Step::Key("initContainers")]].concat();
        if let Some(unfolded) = unfolded(file, job_manager.document, &pods)? {
            notes.push(format!(
                "{} has a value in braces on the way to its pods: it is written in lines.",
                job_manager.place
            ));
            *file = unfolded;
        }
        let document = &file.documents[job_manager.document];
        let made = edit::pod(file, document, &job_manager.path, &job_manager.place, &edit)?;
        edits.extend(made.into_iter().filter(|edit| changed || edit.range.is_empty()));
        add_to(&mut expected[job_manager.document], &job_manager.path, &edit);
    }
    let mut added = Vec::new();
    let mut elsewhere = vec![Vec::new(); files.len()];
    for text in names.objects(!has_account) {
        match place_object(&objects, &files, &names, &text)? {
            Placed::Stands => {}
            Placed::Added(value) => {
                expected.push(value);
                added.push(text);
            }
            Placed::Replaces(object, edit, value) => elsewhere[object.file].push((object.document, edit, value)),
        }
    }
    let mut after = files.clone();
    for (index, file) in files.iter().enumerate() {
        let ours = index == job_manager.file;
        let mut wanted = if ours { expected.clone() } else { file.values() };
        let mut edits = if ours { edits.clone() } else { Vec::new() };
        for (document, edit, value) in elsewhere[index].drain(..) {
            wanted[document] = value;
            edits.push(edit);
        }
        let added = if ours { added.as_slice() } else { &[] };
        if !edits.is_empty() || !added.is_empty() {
            after[index] = proven(file, edits, added, &wanted)?;
        }
    }
    let injected = Injected { before, after, notes };
    proven_joined(&injected)?;
    Ok(injected)
}

/// All files as one stream must mean what each of them does.
fn proven_joined(injected: &Injected) -> Result<(), InjectError> {
    let names: Vec<_> = injected.after.iter().map(|file| file.name.as_str()).collect();
    let names = names.join(" and ");
    let wanted: Vec<_> = injected.after.iter().flat_map(File::values).filter(|value| !value.is_null()).collect();
    let joined = File::parse(&names, all(injected)).map(|file| file.values()).unwrap_or_default();
    let joined: Vec<_> = joined.into_iter().filter(|value| !value.is_null()).collect();
    if joined == wanted { Ok(()) } else { Err(InjectError::NotAsExpected { file: names }) }
}

/// The edited file, once it is read again and means what it should.
fn proven(file: &File, edits: Vec<Edit>, added: &[String], wanted: &[Value]) -> Result<File, InjectError> {
    let wrong = || InjectError::NotAsExpected { file: file.name.clone() };
    let text = edit::apply(&file.text, edits, added);
    let made = File::parse(&file.name, text).map_err(|_| wrong())?;
    let there = |values: &[Value]| values.iter().filter(|value| !value.is_null()).cloned().collect::<Vec<_>>();
    if there(&made.values()) == there(wanted) { Ok(made) } else { Err(wrong()) }
}

/// The agent's container among the pod's, if it is there.
fn present<'a>(pod: &'a Value, place: &Place) -> Result<Option<(usize, &'a Value)>, InjectError> {
    let in_the_way = |trouble: &str| InjectError::InTheWay { place: place.clone(), trouble: trouble.to_owned() };
    let named = |container: &&Value| workload::text(container, &["name"]) == Some(agent::CONTAINER);
    let list = |key: &str| pod.get(key).and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
    if list("containers").iter().any(|container| named(&container)) {
        return Err(in_the_way(
            "an ordinary container is named sluice; beside one, a JobManager that died is not replaced and a Job does \
             not complete. Remove it and inject again",
        ));
    }
    let found = list("initContainers").iter().enumerate().find(|(_, container)| named(container));
    match found {
        Some((_, container)) if workload::text(container, &["restartPolicy"]) != Some("Always") => Err(in_the_way(
            "its init container sluice has no restartPolicy: Always, so that the JobManager would wait for its end. \
             Remove it and inject again",
        )),
        found => Ok(found),
    }
}

/// The names of all that belongs together, and whether the pod has a ServiceAccount.
fn names(
    objects: &[Object<'_>],
    job_manager: &Object<'_>,
    pod: &Value,
    present: Option<&Value>,
    request: &Request,
    notes: &mut Vec<String>,
) -> Result<(Names, bool), InjectError> {
    let had = present.map(agent::variables).unwrap_or_default();
    let had = |variable: &str| had.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone());
    let given = |variable: &str| request.settings.get(variable).map(str::to_owned);

    let known = given("SLUICE_DEPLOYMENT").or_else(|| had("SLUICE_DEPLOYMENT"));
    let deployment = if let Some(name) = known {
        let named =
            objects.iter().find(|object| object.place.name == name && workload::pod_spec(object.value).is_some());
        if let Some(object) = named {
            workload::check_task_managers(object, job_manager)?;
            note_replicas(object, notes);
        }
        name
    } else {
        let Some(found) = workload::task_managers(objects, job_manager)? else {
            let found = "no TaskManagers found in the files".to_owned();
            return Err(InjectError::TaskManagersUnknown { found });
        };
        note_replicas(found, notes);
        found.place.name.clone()
    };
    let lease =
        given("SLUICE_LEASE").or_else(|| had("SLUICE_LEASE")).unwrap_or_else(|| LeaseArgs::default_name(&deployment));
    let history = given("SLUICE_HISTORY_CONFIG_MAP").or_else(|| had("SLUICE_HISTORY_CONFIG_MAP"));

    let place = || job_manager.place.clone();
    let namespace = match (job_manager.namespace(), given("SLUICE_NAMESPACE")) {
        (Some(said), Some(asked)) if said != asked => {
            return Err(InjectError::NamespaceDiffers { place: Box::new(place()), said: said.to_owned(), asked });
        }
        (Some(said), _) => said.to_owned(),
        (None, Some(asked)) => asked,
        (None, None) => {
            bound_namespace(objects, &lease).ok_or_else(|| InjectError::NamespaceUnknown { place: place() })?
        }
    };
    let of_task_managers = objects.iter().filter(|object| object.is("Deployment", &deployment));
    let mut elsewhere = of_task_managers.filter(|object| object.namespace().is_some_and(|other| other != namespace));
    let here = objects.iter().any(|object| {
        object.is("Deployment", &deployment) && object.namespace().is_none_or(|other| other == namespace)
    });
    if let (false, Some(object)) = (here, elsewhere.next()) {
        let (job_manager, task_managers) = (Box::new(place()), Box::new(object.place.clone()));
        return Err(InjectError::Namespaces { job_manager, task_managers });
    }
    // `serviceAccount` is the older name of the same field.
    let account = ["serviceAccountName", "serviceAccount"].iter().find_map(|key| workload::text(pod, &[key]));
    let account = account.filter(|name| !name.is_empty());
    if account == Some("default") {
        notes.push(format!(
            "{} runs under the account `default`, which then has the agent's rights in every pod of {namespace} that \
             names no other.",
            job_manager.place
        ));
    }
    let service_account = account.unwrap_or(&job_manager.place.name).to_owned();
    if account.is_none() {
        notes.push(format!(
            "{} gets an account of its own, {service_account}. What it had as `default` (imagePullSecrets, a \
             RoleBinding for high availability) has to be given to that one, too.",
            job_manager.place
        ));
    }
    let says_namespace = job_manager.namespace().is_some();
    Ok((Names { deployment, lease, service_account, history, namespace, says_namespace }, account.is_some()))
}

/// The namespace that an earlier injection was told.
fn bound_namespace(objects: &[Object<'_>], name: &str) -> Option<String> {
    let binding = objects.iter().find(|object| object.is("RoleBinding", name))?;
    workload::text(binding.value.get("subjects")?.get(0)?, &["namespace"]).map(str::to_owned)
}

fn note_replicas(task_managers: &Object<'_>, notes: &mut Vec<String>) {
    if workload::at(task_managers.value, &["spec", "replicas"]).is_some() {
        notes.push(format!(
            "{} says `replicas`: each time it is applied, the job is thrown back to that number. Take the line out.",
            task_managers.place
        ));
    }
}

fn container(present: Option<&Value>, names: &Names, request: &Request, place: &Place) -> Result<Value, InjectError> {
    let mut variables = request.settings.0.clone();
    // The agent takes its namespace from the pod.
    variables.retain(|(name, _)| !["SLUICE_NAMESPACE", "SLUICE_DEPLOYMENT", "SLUICE_LEASE"].contains(&name.as_str()));
    variables.push(("SLUICE_DEPLOYMENT".to_owned(), names.deployment.clone()));
    variables.push(("SLUICE_LEASE".to_owned(), names.lease.clone()));
    let made = |port| agent::container(present, request.image.as_deref(), &variables, port);
    let container = made(9464);
    if !container.get("env").is_some_and(Value::is_sequence) {
        let trouble = "the environment of its container sluice is no list".to_owned();
        return Err(InjectError::InTheWay { place: place.clone(), trouble });
    }
    let run = settings::check(&agent::variables(&container), agent::some_stand_elsewhere(&container))?;
    Ok(run.map_or(container, |run| made(run.listen.port())))
}

/// Containers of one pod share their ports.
fn check_port(pod: &Value, container: &Value, place: &Place) -> Result<(), InjectError> {
    let ports = |container: &Value| {
        let list = container.get("ports").and_then(Value::as_sequence).cloned().unwrap_or_default();
        list.iter().filter_map(|port| port.get("containerPort")?.as_u64()).collect::<Vec<_>>()
    };
    let ours = ports(container);
    for key in ["containers", "initContainers"] {
        for other in pod.get(key).and_then(Value::as_sequence).into_iter().flatten() {
            let name = workload::text(other, &["name"]).unwrap_or("?");
            let taken = ports(other).into_iter().find(|port| ours.contains(port));
            if let (true, Some(port)) = (name != agent::CONTAINER, taken) {
                let trouble =
                    format!("its container {name} has port {port} too; give the agent another: --listen 0.0.0.0:PORT");
                return Err(InjectError::InTheWay { place: place.clone(), trouble });
            }
        }
    }
    Ok(())
}

/// Without its token the agent cannot speak to Kubernetes.
fn check_token(objects: &[Object<'_>], pod: &Value, names: &Names, place: &Place) -> Result<(), InjectError> {
    let refused = |value: &Value| value.get("automountServiceAccountToken").and_then(Value::as_bool);
    let account = objects.iter().find(|object| object.is("ServiceAccount", &names.service_account));
    let by_account = account.filter(|account| refused(account.value) == Some(false));
    let place = match (refused(pod), by_account) {
        (Some(false), _) => place.clone(),
        (None, Some(account)) => account.place.clone(),
        _ => return Ok(()),
    };
    let trouble = "automountServiceAccountToken is false, so the agent would have no access to Kubernetes; set it to \
                   true in the JobManager's pod template";
    Err(InjectError::InTheWay { place, trouble: trouble.to_owned() })
}

fn add_to(document: &mut Value, path: &[Step], edit: &PodEdit<'_>) {
    let pod = [path, &POD_SPEC].concat().iter().try_fold(document, |value, step| match step {
        Step::Key(key) => value.get_mut(*key),
        Step::Item(index) => value.get_mut(*index),
    });
    let Some(Value::Mapping(pod)) = pod else { return };
    if let Some(name) = edit.service_account {
        pod.insert("serviceAccountName".into(), name.into());
    }
    let mut list = pod.get("initContainers").and_then(Value::as_sequence).cloned().unwrap_or_default();
    match edit.at {
        Some(index) => list[index] = edit.container.clone(),
        None => list.insert(0, edit.container.clone()),
    }
    pod.insert("initContainers".into(), list.into());
}

/// What becomes of an object that grants rights.
enum Placed<'a, 'v> {
    /// It is there.
    Stands,
    /// It is new.
    Added(Value),
    /// An older injection's stands in its place.
    Replaces(&'a Object<'v>, Edit, Value),
}

fn place_object<'a, 'v>(
    objects: &'a [Object<'v>],
    files: &[File],
    names: &Names,
    text: &str,
) -> Result<Placed<'a, 'v>, InjectError> {
    let value: Value = serde_yaml_ng::from_str(text).unwrap_or_default();
    let kind = workload::text(&value, &["kind"]).unwrap_or_default();
    let name = workload::text(&value, &["metadata", "name"]).unwrap_or_default();
    let here = |object: &&Object<'_>| {
        object.is(kind, name) && object.namespace().is_none_or(|namespace| namespace == names.namespace)
    };
    let Some(object) = objects.iter().find(here) else { return Ok(Placed::Added(value)) };
    // Lease and history are the agents' to write, and an account that is there is its owner's.
    let same = |key: &str| object.value.get(key) == value.get(key);
    if ["Lease", "ConfigMap", "ServiceAccount"].contains(&kind)
        || ["rules", "roleRef", "subjects"].into_iter().all(same)
    {
        return Ok(Placed::Stands);
    }
    let ours = workload::text(object.value, &["metadata", "labels", "app.kubernetes.io/name"]) == Some("sluice");
    if !ours || !object.path.is_empty() {
        let trouble = "it has the name that the agent's has, but not its content; rename or remove it".to_owned();
        return Err(InjectError::InTheWay { place: object.place.clone(), trouble });
    }
    let file = &files[object.file];
    let document = &file.documents[object.document];
    document.editable(&[], &object.place)?;
    let lines = text.lines().skip_while(|line| line.starts_with('#')).map(str::to_owned).collect();
    let range = edit::document_lines(&file.lines(), document);
    Ok(Placed::Replaces(object, Edit { range, lines }, value))
}
