//! What `pravega-client` says when a call fails: it has no codes, only words.

/// The client's words without the headers of the request that it adds: they hold the password.
pub(super) fn plain(reason: &str) -> String {
    let end = [", details: [", ", metadata: MetadataMap"].iter().filter_map(|mark| reason.find(mark)).min();
    let reason = &reason[..end.unwrap_or(reason.len())];
    reason.strip_prefix("Controller client failed to perform operation ").unwrap_or(reason).to_owned()
}

/// What an error text of the client means for us: it carries no codes, only words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Missing,
    Denied,
    Final,
    TryAgain,
}

impl Verdict {
    pub(super) fn on(reason: &str) -> Self {
        let says = |word: &str| reason.contains(word);
        if says("Unauthenticated") || says("PermissionDenied") {
            Self::Denied
        } else if says("status: NotFound") {
            Self::Missing
        } else if says("Invalid") {
            Self::Final
        } else {
            Self::TryAgain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_gets_into_a_message() {
        let reason = "Controller client failed to perform operation CreateScope due to status: Unauthenticated, \
                      message: \"\", details: [], metadata: MetadataMap { headers: {\"authorization\": \"Basic c2VjcmV0\"} }";
        assert_eq!(plain(reason), "CreateScope due to status: Unauthenticated, message: \"\"");
        assert_eq!(plain("anything else"), "anything else");
    }

    #[test]
    fn the_words_of_the_controller_are_told_apart() {
        for (reason, verdict) in [
            ("... due to status: NotFound, message: \"\"", Verdict::Missing),
            ("... due to status: Unauthenticated, ...", Verdict::Denied),
            ("... due to status: PermissionDenied, ...", Verdict::Denied),
            ("... due to Invalid Stream/Scope Not Found", Verdict::Final),
            ("... due to Operation failed", Verdict::TryAgain),
            ("Could not connect to controller due to ...", Verdict::TryAgain),
        ] {
            assert_eq!(Verdict::on(reason), verdict, "{reason}");
        }
    }
}
