//! The one line that a person needs of a Java stack trace.

/// Says only that something else went wrong.
const WRAPPERS: [&str; 7] = [
    "CompletionException",
    "ExecutionException",
    "FlinkException",
    "RestHandlerException",
    "RuntimeException",
    "SerializedThrowable",
    "UndeclaredThrowableException",
];

/// The exception that says why, without its package: what a `CheckpointException` says wherever it
/// stands, or else the outermost exception that is more than a wrapper.
pub(super) fn summary(stack_trace: &str) -> String {
    let headlines = || {
        stack_trace
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("at ") && !line.starts_with("..."))
            .filter(|line| *line != "<Exception on server side:" && *line != "End of exception on server side>")
            .map(|line| line.strip_prefix("Caused by: ").unwrap_or(line))
            .map(unwrapped)
    };
    let checkpoint = headlines().find_map(|line| line.strip_prefix("CheckpointException: ").map(str::to_owned));
    let line = checkpoint.or_else(|| headlines().find(|line| !line.is_empty())).unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
    if line.is_empty() { "Flink gives no cause".into() } else { line }
}

/// `a.b.Wrapper: a.b.Cause: text` becomes `Cause: text`; a wrapper alone becomes nothing.
fn unwrapped(headline: &str) -> String {
    let mut rest = headline;
    loop {
        let (class, message) = rest.split_once(": ").unwrap_or((rest, ""));
        if class.is_empty() || class.contains(char::is_whitespace) {
            return rest.to_owned();
        }
        let name = class.rsplit(['.', '$']).next().unwrap_or(class);
        let is_exception = ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end));
        if !is_exception {
            return rest.to_owned();
        }
        if !WRAPPERS.contains(&name) {
            return if message.is_empty() { name.to_owned() } else { format!("{name}: {message}") };
        }
        rest = message;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_that_says_why() {
        for (stack_trace, expected) in [
            (
                "java.util.concurrent.CompletionException: \
                 org.apache.flink.runtime.checkpoint.CheckpointException: The Flink job is currently not \
                 executing.\n\tat java.base/java.lang.Thread.run(Thread.java:840)",
                "The Flink job is currently not executing.",
            ),
            (
                "java.util.concurrent.CompletionException: java.lang.RuntimeException: it broke\n\tat a.B.c(B.java:1)\n\
                 Caused by: org.apache.flink.runtime.checkpoint.CheckpointException: Checkpoint expired before \
                 completing.\n\t... 3 more",
                "Checkpoint expired before completing.",
            ),
            (
                "java.util.concurrent.CompletionException: \
                 org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job (00)\n\tat x",
                "FlinkJobNotFoundException: Could not find Flink job (00)",
            ),
            (
                "java.util.concurrent.CompletionException\nCaused by: java.io.IOException: disk full",
                "IOException: disk full",
            ),
            ("java.lang.StackOverflowError", "StackOverflowError"),
            ("Unable to load requested file /nope.", "Unable to load requested file /nope."),
            ("Could not do it: too late", "Could not do it: too late"),
            ("", "Flink gives no cause"),
            ("java.util.concurrent.CompletionException", "Flink gives no cause"),
        ] {
            assert_eq!(summary(stack_trace), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_one_short_line(text in "(?s).{0,500}") {
            let line = summary(&text);
            prop_assert!(!line.is_empty() && line.chars().count() <= 300 && !line.contains('\n'));
        }
    }
}
