//! Prints the result: the manifests whole, or what changes in them.

use similar::TextDiff;

use super::{document::File, edit, plan::Injected, workload};

/// All files as one stream of documents.
#[must_use]
pub fn all(injected: &Injected) -> String {
    let mut text = String::new();
    for file in &injected.after {
        if !text.is_empty() {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            // A directive may only stand behind the end of a document.
            match first_line(&file.text) {
                Some(line) if line.starts_with('%') => text.push_str("...\n"),
                Some(line) if line == "---" || line.starts_with("--- ") => {}
                _ => text.push_str("---\n"),
            }
        }
        text.push_str(&file.text);
    }
    text
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// A unified diff of the files that change, without the content of Secrets.
#[must_use]
pub fn diff(injected: &Injected) -> String {
    let mut text = String::new();
    for (before, after) in injected.before.iter().zip(&injected.after) {
        if before.text != after.text {
            let (old, new) = (without_secrets(before), without_secrets(after));
            let diff = TextDiff::from_lines(&old, &new);
            text.push_str(&diff.unified_diff().header(&before.name, &before.name).to_string());
        }
    }
    text
}

fn without_secrets(file: &File) -> String {
    let mut lines: Vec<_> = file.text.split_inclusive('\n').map(str::to_owned).collect();
    let plain = file.lines();
    let files = std::slice::from_ref(file);
    for secret in workload::objects(files).iter().filter(|object| is_secret(file, object)) {
        let document = &file.documents[secret.document];
        // The whole document, if it is a list: no line of it can then be forgotten.
        for line in edit::document_extent(&plain, document) {
            if let Some(line) = lines.get_mut(line) {
                "# (a Secret, not shown)\n".clone_into(line);
            }
        }
    }
    lines.concat()
}

/// By its own kind, or by that of the list that it stands in.
fn is_secret(file: &File, object: &workload::Object<'_>) -> bool {
    let list = workload::text(&file.documents[object.document].value, &["kind"]);
    object.place.kind == "Secret" || list == Some("SecretList")
}
