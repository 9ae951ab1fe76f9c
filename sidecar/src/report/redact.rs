//! Nothing that is shown may hold a password, and addresses may carry one.

/// The same text with the user info of each URL in it left out: `https://…@host` for
/// `https://user:password@host`.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(scheme) = rest.find("://") {
        let (before, after) = rest.split_at(scheme + "://".len());
        shown.push_str(before);
        // A password may hold anything, unescaped: what comes before the last `@` is not shown.
        let word = &after[..after.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(after.len())];
        rest = match word.rfind('@') {
            Some(end) => {
                shown.push('…');
                &after[end..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_left_out_and_nothing_else() {
        for (text, shown) in [
            ("no address at all, a@b.c", "no address at all, a@b.c"),
            ("http://localhost:8081: connection refused", "http://localhost:8081: connection refused"),
            ("https://me:secret@flink:8081/jobs is away", "https://…@flink:8081/jobs is away"),
            ("tls://u:p@a:9090,tls://u:p@b:9090", "tls://…@b:9090"),
            ("'s3://key:se/cret@bucket/x' and ftp://x@y/z", "'s3://…@bucket/x' and ftp://…@y/z"),
            ("file:///savepoints/a", "file:///savepoints/a"),
            ("http://", "http://"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_password_stays(text in "(?s).{0,60}", password in "[a-z0-9:@/]{12,20}") {
            let _ = redact(&text);
            let shown = redact(&format!("{text} https://user:{password}@host/path {text}"));
            proptest::prop_assert!(!shown.contains(&password));
        }
    }
}
