//! What the agent must be allowed to do in the cluster, asked of the API server itself
//! (`SelfSubjectAccessReview`), and the rule to add where it is not.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{
    Client,
    api::{Api, PostParams},
};

use super::{Finding, Level};

/// One rule of the agent's Role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right<'a> {
    pub verbs: &'static [&'static str],
    pub group: &'static str,
    pub resource: &'static str,
    pub subresource: Option<&'static str>,
    /// The one object that it is about, where RBAC can narrow it to that.
    pub name: Option<&'a str>,
    /// What the agent cannot do without.
    pub what_for: &'static str,
    /// Without an advice's right the agent works, with less to go by.
    pub level: Level,
}

const RIGHT: Right<'static> =
    Right { verbs: &[], group: "", resource: "", subresource: None, name: None, what_for: "", level: Level::Problem };

/// What the agent has to do with in the cluster.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub deployment: &'a str,
    pub lease: Option<String>,
    /// The ConfigMap that keeps the history.
    pub history: Option<&'a str>,
    /// Pods are marked for Flink's adaptive scheduler only.
    pub adaptive: bool,
}

/// Everything that the agent asks of the cluster.
pub(super) fn needed<'a>(asked: &'a Asked<'_>) -> Vec<Right<'a>> {
    let this = Some(asked.deployment);
    let mut rights = vec![
        Right {
            verbs: &["get", "list", "watch"],
            group: "apps",
            resource: "deployments",
            name: this,
            what_for: "see the Deployment",
            ..RIGHT
        },
        Right {
            verbs: &["get", "patch"],
            group: "apps",
            resource: "deployments",
            subresource: Some("scale"),
            name: this,
            what_for: "scale the Deployment",
            ..RIGHT
        },
        Right { verbs: &["list", "watch"], resource: "pods", what_for: "see the TaskManagers' pods", ..RIGHT },
        Right {
            verbs: &["create", "patch"],
            group: "events.k8s.io",
            resource: "events",
            what_for: "write Events",
            level: Level::Advice,
            ..RIGHT
        },
        Right {
            verbs: &["list"],
            group: "autoscaling",
            resource: "horizontalpodautoscalers",
            what_for: "see other autoscalers",
            level: Level::Advice,
            ..RIGHT
        },
        Right {
            verbs: &["list"],
            group: "keda.sh",
            resource: "scaledobjects",
            what_for: "see other autoscalers",
            level: Level::Advice,
            ..RIGHT
        },
    ];
    if asked.lease.is_some() {
        rights.push(Right {
            verbs: &["get", "update"],
            group: "coordination.k8s.io",
            resource: "leases",
            name: asked.lease.as_deref(),
            what_for: "hold the Lease and save its memory there",
            ..RIGHT
        });
    }
    if asked.history.is_some() {
        rights.push(Right {
            verbs: &["get", "patch"],
            resource: "configmaps",
            name: asked.history,
            what_for: "keep its history beyond its end",
            level: Level::Advice,
            ..RIGHT
        });
    }
    if asked.adaptive {
        rights.push(Right {
            verbs: &["patch"],
            resource: "pods",
            what_for: "mark idle TaskManagers as the first to go",
            ..RIGHT
        });
    }
    rights
}

/// Asks for each verb, and answers one finding for the right.
pub(super) async fn finding(client: &Client, namespace: &str, right: &Right<'_>) -> Result<Finding, kube::Error> {
    let mut missing = Vec::new();
    let mut reason = String::new();
    for verb in right.verbs {
        let review = Api::<SelfSubjectAccessReview>::all(client.clone());
        let answer = review.create(&PostParams::default(), &right.review(verb, namespace)).await?;
        let status = answer.status.unwrap_or_default();
        if !status.allowed {
            missing.push(*verb);
            reason = status.evaluation_error.or(status.reason).unwrap_or_default();
        }
    }
    Ok(right.judge(namespace, &missing, &reason))
}

impl Right<'_> {
    fn review(&self, verb: &str, namespace: &str) -> SelfSubjectAccessReview {
        let owned = |text: &str| Some(text.to_owned());
        let attributes = ResourceAttributes {
            namespace: owned(namespace),
            verb: owned(verb),
            group: owned(self.group),
            resource: owned(self.resource),
            subresource: self.subresource.map(str::to_owned),
            name: self.name.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        SelfSubjectAccessReview { spec, ..Default::default() }
    }

    fn judge(&self, namespace: &str, missing: &[&str], reason: &str) -> Finding {
        let what = self.what();
        if missing.is_empty() {
            return Finding::ok("permission", format!("{} {what}", self.verbs.join(", ")));
        }
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        Finding {
            level: self.level,
            subject: "permission",
            found: format!("the agent may not {} {what}{reason}: it cannot {}", missing.join(", "), self.what_for),
            mend: Some(self.rule(namespace, missing)),
        }
    }

    /// The rule of a Role, in one line of YAML.
    fn rule(&self, namespace: &str, verbs: &[&str]) -> String {
        let names = self.name.map_or_else(String::new, |name| format!(", resourceNames: [{name}]"));
        let group = if self.group.is_empty() { "\"\"" } else { self.group };
        format!(
            "add to the Role of its ServiceAccount in namespace {namespace}: {{apiGroups: [{group}], resources: [{}]{names}, \
             verbs: [{}]}}",
            self.plural(),
            verbs.join(", ")
        )
    }

    fn what(&self) -> String {
        let name = self.name.map_or_else(String::new, |name| format!(" {name}"));
        format!("{}{name}", self.plural())
    }

    fn plural(&self) -> String {
        self.subresource.map_or_else(|| self.resource.to_owned(), |sub| format!("{}/{sub}", self.resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked<'static> {
        let lease = Some("sluice-flink-taskmanager".to_owned());
        Asked { deployment: "flink-taskmanager", lease, history: None, adaptive: false }
    }

    #[test]
    fn a_missing_right_is_told_as_the_rule_to_add() {
        let asked = Asked { adaptive: true, ..asked() };
        let rights = needed(&asked);
        let scale = rights.iter().find(|right| right.subresource == Some("scale")).unwrap();
        let finding = scale.judge("flink", &["patch"], "");
        assert_eq!(finding.level, Level::Problem);
        assert_eq!(
            finding.mend.as_deref(),
            Some(
                "add to the Role of its ServiceAccount in namespace flink: {apiGroups: [apps], resources: \
                 [deployments/scale], resourceNames: [flink-taskmanager], verbs: [patch]}"
            )
        );
        let ok = scale.judge("flink", &[], "");
        assert_eq!((ok.level, ok.found.as_str()), (Level::Ok, "get, patch deployments/scale flink-taskmanager"));
        let events = rights.iter().find(|right| right.resource == "events").unwrap();
        assert_eq!(events.judge("flink", &["create"], "no").level, Level::Advice);
    }

    #[test]
    fn what_is_not_used_needs_no_right() {
        let marks = |right: &Right<'_>| right.resource == "pods" && right.verbs == ["patch"];
        assert!(!needed(&asked()).iter().any(marks));
        assert!(needed(&Asked { adaptive: true, ..asked() }).iter().any(marks));
        let about = |asked: &Asked<'_>, resource| needed(asked).iter().any(|right| right.resource == resource);
        assert!(about(&asked(), "leases") && !about(&Asked { lease: None, ..asked() }, "leases"));
        assert!(!about(&asked(), "configmaps") && about(&Asked { history: Some("past"), ..asked() }, "configmaps"));
    }
}
