//! Why manifests cannot be edited, each naming the document and its line. No value of a manifest is
//! repeated here, so that nothing out of a Secret can be.

use std::fmt;

/// A document in a file, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its kind, such as `Job`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The file, or `stdin`.
    pub file: String,
    /// The line it begins at, or that is the trouble; from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, file, line } = self;
        write!(f, "{kind}/{name} ({file}, line {line})")
    }
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// A file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{file}, line {line}: this is not valid YAML: {reason}{hint}")]
    Syntax {
        /// Where.
        file: String,
        /// From 1.
        line: usize,
        /// The parser's words.
        reason: String,
        /// What it may be instead.
        hint: &'static str,
    },
    /// Nothing in the files looks like a JobManager.
    #[error(
        "no JobManager found: no Job, Deployment or StatefulSet has the label component=jobmanager or starts one \
         (found: {found}); name it with --job-manager"
    )]
    NoJobManager {
        /// What was found instead.
        found: String,
    },
    /// Several workloads fit.
    #[error("several JobManagers found: {found}; pick one with --job-manager NAME")]
    SeveralJobManagers {
        /// Which.
        found: String,
    },
    /// The JobManager is run by something that Sluice does not add itself to.
    #[error("{place} is no Job, Deployment or StatefulSet: {advice}")]
    UnfitKind {
        /// Which.
        place: Place,
        /// What to do.
        advice: &'static str,
    },
    /// The Deployment of the TaskManagers is not known.
    #[error("{found}; say --deployment NAME, the Deployment of the TaskManagers")]
    TaskManagersUnknown {
        /// None, or several.
        found: String,
    },
    /// The TaskManagers are not what Sluice can scale.
    #[error("{place} has the TaskManagers, but Sluice scales a Deployment only: give them one")]
    TaskManagersNotADeployment {
        /// Which.
        place: Place,
    },
    /// Both are in the files, in different namespaces.
    #[error("{job_manager} and {task_managers} are in different namespaces; the agent's rights end with its own")]
    Namespaces {
        /// The one.
        job_manager: Box<Place>,
        /// The other.
        task_managers: Box<Place>,
    },
    /// A RoleBinding names its account's namespace, and none is known.
    #[error(
        "{place} has no metadata.namespace; say --namespace NAME, where it is applied to: the RoleBinding must name it"
    )]
    NamespaceUnknown {
        /// The JobManager.
        place: Place,
    },
    /// `--namespace` and the file say different things.
    #[error("{place} is in namespace {said}, not in {asked} as --namespace says")]
    NamespaceDiffers {
        /// The JobManager.
        place: Box<Place>,
        /// In the file.
        said: String,
        /// On the command line.
        asked: String,
    },
    /// Something in the way that a person should decide on.
    #[error("{place}: {trouble}")]
    InTheWay {
        /// Where.
        place: Place,
        /// What it is, and how to mend it.
        trouble: String,
    },
    /// A way of writing YAML in which lines cannot be added.
    #[error("{place}: {path} {trouble}; write it in block style, one key a line, and inject again")]
    Unsafe {
        /// Where.
        place: Place,
        /// Of which value.
        path: String,
        /// What it is.
        trouble: &'static str,
    },
    /// The settings would not be taken by the agent.
    #[error("the agent would not take these settings: {0}")]
    Settings(String),
    /// The edited text does not mean what it should. Nothing is printed then.
    #[error(
        "{file}: the edited text would not mean what it should, so nothing is printed. If a file does not end with a \
         newline, add one; otherwise please report the shape of this file"
    )]
    NotAsExpected {
        /// Where.
        file: String,
    },
}
