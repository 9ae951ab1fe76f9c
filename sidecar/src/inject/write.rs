//! Writes a value as YAML in block style, at the indentation that the file around it has.

use serde_yaml_ng::Value;

/// How a file indents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// From a key to the keys inside its value.
    pub step: usize,
    /// From a key to the dashes of its list; many write 0.
    pub dash: usize,
    /// From a dash to what stands behind it.
    pub item: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { step: 2, dash: 2, item: 2 }
    }
}

impl Style {
    /// `key: value`, as lines.
    #[must_use]
    pub fn entry(self, key: &str, value: &Value, indent: usize) -> Vec<String> {
        let key = scalar(&Value::from(key));
        let pad = " ".repeat(indent);
        match value {
            Value::Mapping(mapping) if !mapping.is_empty() => {
                let inner = self.mapping(mapping, indent + self.step);
                std::iter::once(format!("{pad}{key}:")).chain(inner).collect()
            }
            Value::Sequence(items) if !items.is_empty() => {
                let inner = items.iter().flat_map(|item| self.item(item, indent + self.dash));
                std::iter::once(format!("{pad}{key}:")).chain(inner).collect()
            }
            value => vec![format!("{pad}{key}: {}", scalar(value))],
        }
    }

    /// `- value`, as lines; the dash stands at `indent`.
    #[must_use]
    pub fn item(self, value: &Value, indent: usize) -> Vec<String> {
        let mut lines = match value {
            Value::Mapping(mapping) if !mapping.is_empty() => self.mapping(mapping, indent + self.item),
            Value::Sequence(items) if !items.is_empty() => {
                items.iter().flat_map(|item| self.item(item, indent + self.item)).collect()
            }
            value => vec![format!("{}{}", " ".repeat(indent + self.item), scalar(value))],
        };
        if let Some(first) = lines.first_mut() {
            first.replace_range(indent..=indent, "-");
        }
        lines
    }

    /// The keys of a mapping, as lines.
    #[must_use]
    pub fn mapping(self, mapping: &serde_yaml_ng::Mapping, indent: usize) -> Vec<String> {
        let entry = |(key, value): (&Value, &Value)| self.entry(key.as_str().unwrap_or_default(), value, indent);
        mapping.iter().flat_map(entry).collect()
    }
}

/// A value on one line. Text is quoted wherever one of YAML's versions might take it for something else.
#[must_use]
pub fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if plain(text) => text.clone(),
        Value::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Mapping(_) => "{}".to_owned(),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Tagged(tagged) => scalar(&tagged.value),
    }
}

fn plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@".contains(letter);
    let Some(first) = text.chars().next() else { return false };
    let starts_well = first.is_ascii_alphabetic() || first == '/' || quantity(text);
    starts_well
        && text.chars().all(usual)
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// `32Mi`, `10m`, `30s`: no number in any version of YAML.
fn quantity(text: &str) -> bool {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    unit.len() < text.len() && ["m", "s", "h", "ms", "Ki", "Mi", "Gi"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back_as_itself(text in "\\PC*|[0-9eExob_.:+-]{1,6}|(?i)yes|no|null|true|~") {
            let written = format!("k: {}\n", scalar(&Value::from(text.clone())));
            let read: Value = serde_yaml_ng::from_str(&written).unwrap();
            prop_assert_eq!(read.get("k").and_then(Value::as_str), Some(text.as_str()), "{}", written);
        }

        #[test]
        fn any_style_is_read_back(step in 1_usize..6, dash in 0_usize..5, item in 2_usize..6) {
            let value: Value = serde_yaml_ng::from_str(
                "{a: {b: [1, two, {c: d, e: [x, [y, z], []]}], f: {}}, g: {h: {i: j}}}",
            ).unwrap();
            let lines = Style { step, dash, item }.entry("root", &value, 0);
            let read: Value = serde_yaml_ng::from_str(&lines.join("\n")).unwrap();
            prop_assert_eq!(read.get("root"), Some(&value));
        }
    }
}
