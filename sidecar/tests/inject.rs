//! `sluice inject` on manifests of the kinds that people have (tests/inject/), and on odd ones made by chance.
//! With `SLUICE_UPDATE_GOLDEN=1` the expected output is written instead of compared.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, path::PathBuf, process::Command as Program, sync::LazyLock};

use clap::Parser as _;
use proptest::prelude::*;
use serde::Deserialize as _;
use serde_yaml_ng::Value;
use sluice::{
    args::{Cli, Command},
    inject::{InjectError, Injected, Request, all, diff, inject_into},
};

const SETTINGS: &str = "--pravega-controller tcp://pravega-controller:9090 --scope dna --stream reads";

fn request(flags: &str) -> Request {
    let line = format!("sluice inject - {flags}");
    let Command::Inject(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { unreachable!() };
    Request { image: args.image, job_manager: args.job_manager, settings: args.settings }
}

fn inject(text: &str, flags: &str) -> Result<Injected, InjectError> {
    inject_into(vec![("in.yaml".to_owned(), text.to_owned())], &request(flags))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/inject")
}

fn values(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn golden(name: &str, flags: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    let injected = inject(&text, flags).unwrap();
    let made = all(&injected);
    let path = folder().join(format!("{name}.injected.yaml"));
    if std::env::var_os("SLUICE_UPDATE_GOLDEN").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(made, fs::read_to_string(&path).unwrap(), "{name}: SLUICE_UPDATE_GOLDEN=1 writes what is made now");
    assert!(!diff(&injected).contains("battery staple"), "a Secret in the diff");

    // Twice is once, with the same flags and with none; and nothing of the old text is lost.
    for again in [flags, ""] {
        assert_eq!(all(&inject(&made, again).unwrap()), made, "{name} injected again with {again:?}");
    }
    let mut kept = made.lines();
    if name != "older" {
        for line in text.lines().filter(|line| !line.contains("initContainers: []")) {
            assert!(kept.any(|made| made == line), "{name}: {line:?} is lost");
        }
    }
}

#[test]
fn the_shape_of_flinks_own_page() {
    golden("upstream-standalone", SETTINGS);
}

#[test]
fn the_samples_job_with_its_task_managers_in_another_file() {
    golden("sample-job", &format!("{SETTINGS} --deployment flink-taskmanager --namespace flink --poll 2s"));
}

#[test]
fn a_deployment_indented_by_four_among_secrets_and_anchors() {
    golden("deployment", &format!("{SETTINGS} --image registry.example.com/sluice:1 --max-task-managers 8"));
}

#[test]
fn a_stateful_set_in_a_list() {
    golden("statefulset", &format!("{SETTINGS} --namespace streams --listen 0.0.0.0:9500"));
}

#[test]
fn helm_output_with_odd_indentation_and_dos_line_ends() {
    golden("helm-crlf", SETTINGS);
}

#[test]
fn an_older_injection_is_updated_in_place() {
    golden("older", "--pravega-controller tcp://new:9090 --dry-run");
}

#[test]
fn several_files_are_one_stream_and_the_task_managers_are_found_in_another() {
    let read = |name: &str| (name.to_owned(), fs::read_to_string(folder().join(name)).unwrap());
    let job = read("sample-job.yaml");
    let workers = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: workers}\nspec: {template: {spec: \
                   {containers: [{name: a, args: [taskmanager]}]}}}";
    let files = vec![("workers.yaml".to_owned(), workers.to_owned()), job];
    let injected = inject_into(files, &request(&format!("{SETTINGS} --namespace flink"))).unwrap();
    let kinds: Vec<_> =
        values(&all(&injected)).iter().map(|value| value["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Deployment", "Job", "Lease", "Role", "RoleBinding"]);
    assert!(all(&injected).contains("name: sluice-workers"));
}

#[test]
fn a_history_in_a_config_map_comes_with_the_map_and_the_right_to_it() {
    let text = fs::read_to_string(folder().join("deployment.yaml")).unwrap();
    let flags = format!("{SETTINGS} --history-config-map past");
    let made = all(&inject(&text, &flags).unwrap());
    let added = values(&made);
    let of = |kind: &str| added.iter().rfind(|value| value["kind"] == kind).unwrap();
    let rule = of("Role")["rules"].as_sequence().unwrap().last().unwrap();
    assert_eq!((rule["resources"][0].as_str(), rule["resourceNames"][0].as_str()), (Some("configmaps"), Some("past")));
    assert_eq!(of("ConfigMap")["metadata"]["name"], "past");
    assert_eq!(of("ConfigMap")["metadata"]["namespace"], of("Role")["metadata"]["namespace"]);
    for again in [flags.as_str(), ""] {
        assert_eq!(all(&inject(&made, again).unwrap()), made);
    }
    let before = all(&inject(&text, SETTINGS).unwrap());
    let later = values(&all(&inject(&before, "--history-config-map past").unwrap()));
    assert!(later.iter().any(|value| value == of("Role")), "an older injection does not get the right");
}

#[test]
fn files_are_joined_as_documents_and_no_secret_is_shown() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let job = fs::read_to_string(folder().join("deployment.yaml")).unwrap();
    let files = vec![file("a", "kind: ConfigMap\ndata: {a: b}\n"), file("b", &format!("%YAML 1.2\n---\n{job}"))];
    let made = all(&inject_into(files, &request(SETTINGS)).unwrap());
    assert_eq!(all(&inject(&made, "").unwrap()), made);

    let unended = vec![file("a", "kind: ConfigMap\ndata:\n  x: |\n    a"), file("b", &job)];
    let error = inject_into(unended, &request(SETTINGS)).unwrap_err().to_string();
    assert!(error.contains("add one"), "{error}");

    let listed = format!("kind: SecretList\nitems:\n- data: {{p: hunter2}}\n---\n{job}");
    assert!(!diff(&inject(&listed, SETTINGS).unwrap()).contains("hunter2"));
}

#[test]
fn what_cannot_be_edited_is_said_with_its_place() {
    let job = |pod: &str| {
        format!(
            "kind: Job\nmetadata:\n  name: jm\n  namespace: f\nspec:\n  template:\n    metadata: {{labels: {{component: \
             jobmanager}}}}\n    spec:\n{pod}"
        )
    };
    let usual = "      containers:\n      - name: main\n";
    let flags = |extra: &str| extra.replace('D', "S --deployment tm").replace('S', SETTINGS);
    let cases: Vec<(String, &str, &str)> = vec![
        ("a: 1\n b: 2\n".into(), "D", "in.yaml, line 2: this is not valid YAML"),
        ("a: {{ .Values.x }}\nb: {{- end }}".into(), "D", "helm template"),
        ("a: 1\na: 2\n".into(), "D", "not valid YAML: duplicate entry"),
        (String::new(), "D", "no JobManager found"),
        ("# only a comment\n".into(), "D", "no JobManager found"),
        ("kind: Service\nmetadata: {name: s}\n".into(), "D", "found: Service/s"),
        (format!("{0}---\n{0}", job(usual)), "D", "Job/jm (in.yaml, line 1), Job/jm (in.yaml, line 12)"),
        (job(usual), "D --job-manager other", "no JobManager found"),
        (job(usual), "D --namespace g", "is in namespace f, not in g"),
        (job(usual), "S", "say --deployment NAME"),
        (job(usual), "--deployment tm", "--pravega-controller"),
        (job(usual), "D --listen 127.0.0.1:9464", "is not reached from outside the pod"),
        (job(usual), "D --min-task-managers 9 --max-task-managers 3", "would not take these"),
        (job("      containers: [{name: sluice}]\n"), "D", "an ordinary container is named sluice"),
        (job("      initContainers: [{name: sluice}]\n"), "D", "no restartPolicy: Always"),
        (job("        {containers: [{<<: {image: a}, name: a}]}\n"), "D", "spec.template.spec is in flow style"),
        (job("        {hostNetwork: yes, containers: [{name: a}]}\n"), "D", "spec.template.spec is in flow style"),
        (job("        {containers: [{name: a}], x: 0755}\n"), "D", "spec.template.spec is in flow style"),
        (
            job(
                "      initContainers:\n      - name: sluice\n        restartPolicy: Always\n        tty: on\n      containers: []\n",
            ),
            "D",
            "YAML 1.1",
        ),
        (job(usual).replace("  name: jm\n", "  generateName: jm-\n"), "D --job-manager ?", "metadata.name"),
        (
            format!(
                "{}---\nkind: Deployment\nmetadata: {{name: tm, namespace: g}}\nspec: {{template: {{spec: {{}}}}}}\n",
                job(usual).replace("  namespace: f\n", "")
            ),
            "D --namespace f",
            "different namespaces",
        ),
        ("kind: Job\rspec: {}\r".into(), "D", "carriage return"),
        (job("        {containers: [{name: a}], # why\n        }\n"), "D", "spec.template.spec is in flow style"),
        (job("").replace("    spec:\n", "    spec: &pod {containers: [{name: a}]}\nx: *pod\n"), "D", "flow style"),
        (job("      <<: {a: b}\n      containers: []\n"), "D", "merge key"),
        (job(&format!("{usual}      automountServiceAccountToken: false\n")), "D", "automountServiceAccountToken"),
        (
            job("      containers:\n      - name: main\n        ports: [{containerPort: 9464}]\n"),
            "D",
            "main has port 9464",
        ),
        (job(usual).replace("kind: Job", "kind: ReplicaSet"), "D", "ReplicaSet/jm (in.yaml, line 1) is no Job"),
        (job(usual).replace("kind: Job", "kind: CronJob"), "D", "CronJob/jm"),
        ("kind: FlinkDeployment\nmetadata: {name: fraud}\n".into(), "D", "Operator"),
        (format!("x: &pod\n  containers: [a]\n{}", job("").replace("    spec:\n", "    spec: *pod\n")), "D", "alias"),
        (format!("{}x: *pod\n", job(usual).replace("    spec:\n", "    spec: &pod\n")), "D", "anchor"),
        (
            format!("{}---\nkind: Role\nmetadata: {{name: sluice-tm}}\n", job(usual)),
            "D",
            "Role/sluice-tm (in.yaml, line 12)",
        ),
        (
            format!(
                "{}---\nkind: StatefulSet\nmetadata: {{name: tm}}\nspec: {{template: {{spec: {{}}}}}}\n",
                job(usual)
            ),
            "D",
            "scales a Deployment only",
        ),
    ];
    for (text, extra, told) in cases {
        let error = inject(&text, &flags(extra)).map(|injected| all(&injected)).unwrap_err().to_string();
        assert!(error.contains(told), "{text}\n{extra}\n→ {error}");
    }
    let error = inject(&job(usual).replace("  namespace: f\n", ""), &flags("D")).unwrap_err().to_string();
    assert!(error.contains("say --namespace"), "{error}");
}

#[test]
fn braces_on_the_way_are_written_in_lines() {
    let pod = "{initContainers: [{name: wait, args: [\"a # b\", '- ç 作', 7, null, {}]}], containers: [{name: main}]}";
    let pod = &pod.replace(" # b", "#b");
    let job = |metadata: &str, spec: &str| format!("kind: Job\nmetadata: {metadata}\nspec:{spec}");
    let in_lines = "\n  template:\n    spec: # the pod\n      # first\n";
    let metadata = "{name: jobmanager, namespace: f}";
    let whole = format!("{{kind: Job, metadata: {metadata}, spec: {{template: {{spec: {pod}}}}}}}");
    let json = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    let list = format!("{{apiVersion: v1, kind: List, items: [{whole}]}}");
    let cases = [
        job(
            metadata,
            &format!("{in_lines}      initContainers: [{{name: wait}}] # one\n      containers: [{{name: main}}]\n"),
        ),
        job(metadata, &format!("\n  template:\n    spec: {pod} # the pod\n  backoffLimit: 1\n")),
        job(metadata, &format!("\n  template:\n    spec:\n      {pod}\n  backoffLimit: 1 # kept\n")),
        job(metadata, &format!(" {{template: {{spec: {pod}}}}}")),
        format!("# kept\n--- {whole}\n---\nkind: Service # kept\n"),
        format!("{whole} # kept\n"),
        format!("\u{feff}kind: List\nitems:\n  -   {whole} # kept\n  - {{kind: Service}} # kept\n"),
        json(&values(&whole)[0]),
        json(&values(&list)[0]),
        serde_json::to_string(&values(&list)[0]).unwrap(),
    ];
    let workload = |value: &Value| value.get("items").map_or(value, |items| &items[0]).clone();
    for text in cases.iter().flat_map(|text| [text.clone(), text.replace('\n', "\r\n")]) {
        let injected =
            inject(&text, &format!("{SETTINGS} --deployment tm")).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let made = all(&injected);
        let jobs = [&text, &made].map(|text| workload(&values(text.trim_start_matches('\u{feff}'))[0]));
        let [old, mut new] = jobs;
        let pod = new["spec"]["template"]["spec"].as_mapping_mut().unwrap();
        pod.remove("serviceAccountName").unwrap();
        assert_eq!(pod["initContainers"].as_sequence_mut().unwrap().remove(0)["name"], "sluice", "{made}");
        assert_eq!(old, new, "{made}");
        for comment in ["# one", "# the pod", "# first", "# kept"] {
            assert_eq!(made.matches(comment).count(), text.matches(comment).count(), "{comment}:\n{made}");
        }
        assert_eq!(all(&inject(&made, "").unwrap()), made, "twice is not once");
    }
}

/// The expected outputs, as a real API server takes them. It needs kubectl, and KUBECONFIG for a cluster where a
/// namespace may be made: `cargo test -p sluice --test inject -- --ignored`.
#[test]
#[ignore = "needs a cluster"]
fn a_real_api_server_takes_what_is_made() {
    let kubectl = |arguments: &[&str]| Program::new("kubectl").args(arguments).output().unwrap();
    let namespace = format!("sluice-inject-{}", std::process::id());
    kubectl(&["create", "namespace", &namespace]);
    let mut refused = Vec::new();
    let folder = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let scratch = tempfile::tempdir().unwrap();
    for path in folder.filter(|path| path.to_string_lossy().ends_with(".injected.yaml")) {
        let mut text = fs::read_to_string(&path).unwrap();
        for theirs in ["flink", "\"flink\"", "streams"] {
            for end in ["\n", "\r\n"] {
                text = text.replace(&format!("namespace: {theirs}{end}"), &format!("namespace: {namespace}{end}"));
            }
        }
        let file = scratch.path().join("manifests.yaml");
        fs::write(&file, text).unwrap();
        let output = kubectl(&["apply", "-n", &namespace, "--dry-run=server", "-f", &file.to_string_lossy()]);
        if !output.status.success() {
            refused.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
        }
    }
    kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    assert_eq!(refused, Vec::<String>::new());
}

/// A JobManager's workload written in one of many ways.
fn odd_manifest() -> impl Strategy<Value = String> {
    let comment = prop_oneof![
        3 => Just(""),
        1 => Just("\n"),
        1 => Just("# plain\n"),
        1 => Just("\n   # odd: 'comment' - {[\n\n"),
        1 => Just("                  # far: right\n"),
    ];
    let keys = Just((0..7).collect::<Vec<usize>>()).prop_shuffle();
    let shape = (1_usize..6, 0_usize..5, 1_usize..5, 0_usize..5, any::<bool>(), any::<bool>());
    (shape, keys, proptest::collection::vec(comment, 64)).prop_map(
        |((step, dash, gap, init, dos, newline), keys, comments)| {
            let dash = dash.min(step + 2);
            let mut comments = comments.into_iter();
            let mut text = String::new();
            let mut line = |indent: usize, content: &str| {
                text.push_str(comments.next().unwrap_or_default());
                text.extend([" ".repeat(indent).as_str(), content, "\n"]);
            };
            line(0, "kind: StatefulSet");
            line(0, "metadata:");
            line(step, "namespace: 'flink' # where");
            line(step, "name:   \"jm\"");
            line(0, "spec:   ");
            line(step, "template:");
            line(2 * step, "metadata: {labels: {component: jobmanager}}");
            line(2 * step, "spec: # of the pod");
            let pod = 3 * step;
            let item = |key: &str| format!("-{}{key}", " ".repeat(gap));
            for key in keys {
                match key {
                    0 => {
                        line(pod, "containers:  # main");
                        line(pod + dash, &item("name: main"));
                        line(pod + dash + 1 + gap, "image: 'a#b' # tag");
                    }
                    1 => match init {
                        0 => {}
                        1 => line(pod, "initContainers: []   # none"),
                        2 => line(pod, "initContainers:   # null"),
                        3 => line(pod, "\"initContainers\": ~"),
                        _ => {
                            line(pod, "initContainers: # some");
                            line(pod + dash, &item("args:"));
                            line(pod + dash + 1 + gap, "- |-");
                            line(pod + dash + 4 + gap, "containers: # text");
                            line(pod + dash + 1 + gap, "name: wait");
                        }
                    },
                    2 => {
                        line(pod, "restartPolicy: \"Always\"");
                    }
                    3 => {
                        line(pod, "hostAliases: [{ip: 1.2.3.4,");
                        line(pod + 9, "hostnames: [a]}]");
                    }
                    4 => {
                        line(pod, "dnsPolicy: >-");
                        line(pod + 1, "Default");
                    }
                    5 => line(pod, "subdomain: plain text #no comment"),
                    _ => {
                        line(pod, "nodeSelector:");
                        line(pod + step, "? a");
                        line(pod + step, ": b");
                    }
                }
            }
            line(step, "serviceName: jm");
            let text = if newline { text } else { text.trim_end().to_owned() };
            if dos { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn odd_manifests_are_edited_and_nothing_else_changes(text in odd_manifest()) {
        static REQUEST: LazyLock<Request> = LazyLock::new(|| request(&format!("{SETTINGS} --deployment tm")));
        let inject = |text: &str, request: &Request| inject_into(vec![("in.yaml".to_owned(), text.to_owned())], request);
        let made = match inject(&text, &REQUEST) {
            Ok(injected) => all(&injected),
            // What the generator writes is not always YAML; then it is said, and never edited wrongly.
            Err(InjectError::Syntax { .. }) => return Err(TestCaseError::reject("not YAML")),
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        let mut before = values(&text);
        let mut after = values(&made);
        prop_assert_eq!(after.len(), before.len() + 4);
        let pod = |value: &mut Value| value["spec"]["template"]["spec"].as_mapping_mut().unwrap().clone();
        let (mut old, mut new) = (pod(&mut before[0]), pod(&mut after[0]));
        prop_assert_eq!(new.remove("serviceAccountName"), Some(Value::from("jm")));
        let mut containers = new.remove("initContainers").unwrap().as_sequence().unwrap().clone();
        let ours = containers.remove(0);
        prop_assert_eq!(ours["name"].as_str(), Some("sluice"));
        prop_assert_eq!(ours["restartPolicy"].as_str(), Some("Always"));
        let had = old.remove("initContainers").and_then(|list| list.as_sequence().cloned()).unwrap_or_default();
        prop_assert_eq!(containers, had);
        prop_assert_eq!(old, new);
        prop_assert_eq!(all(&inject(&made, &REQUEST).unwrap()), made.clone(), "twice is not once");

        let other = Request { image: Some("other:2".to_owned()), ..Request::default() };
        // An update in place leaves all lines of the others.
        let updated = all(&inject(&made, &other).unwrap());
        prop_assert_eq!(made.replace(sluice::inject::agent::IMAGE, "other:2"), updated);
    }
}
