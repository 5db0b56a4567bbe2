//! JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it: templates of prompts are made for that, and a model is
//! sensitive to each space.

use serde_json::Value;

/// The text of `value`, on one line or indented by `indent` spaces.
pub(super) fn dumps(value: &Value, indent: Option<usize>) -> String {
    let mut text = String::new();
    write(&mut text, value, indent, 0);
    text
}

fn write(text: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            enclose(text, ['[', ']'], items, indent, depth, |text, item| write(text, item, indent, depth + 1));
        }
        Value::Object(fields) if !fields.is_empty() => {
            enclose(text, ['{', '}'], fields, indent, depth, |text, (name, item)| {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push_str(": ");
                write(text, item, indent, depth + 1);
            })
        }
        other => text.push_str(&other.to_string()),
    }
}

fn enclose<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    indent: Option<usize>,
    depth: usize,
    mut each: impl FnMut(&mut String, T),
) {
    let line = |text: &mut String, depth: usize| {
        if let Some(indent) = indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    text.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(text, depth + 1);
        each(text, item);
    }
    line(text, depth);
    text.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What Python 3.11 prints.
    #[test]
    fn it_is_what_python_writes() {
        let value = json!({ "a": [1, "ü\n\"", {}], "b": [] });
        assert_eq!(dumps(&value, None), r#"{"a": [1, "ü\n\"", {}], "b": []}"#);
        let lines = "{\n  \"a\": [\n    1,\n    \"ü\\n\\\"\",\n    {}\n  ],\n  \"b\": []\n}";
        assert_eq!(dumps(&value, Some(2)), lines);
    }
}
