//! How answers of the control API are printed.

use std::fmt::Write as _;

use serde_json::Value;

use super::Command;

impl Command {
    /// An answer as it is printed: lines for lists, JSON for the rest, nothing for an order that was carried out.
    pub(super) fn shown(&self, answer: &Value) -> String {
        let rows = |list: &Value, row: &dyn Fn(&Value) -> String| {
            let rows = list.as_array().into_iter().flatten();
            rows.map(|item| row(item) + "\n").collect::<String>()
        };
        match self {
            Self::Requests => {
                let endpoints = answer.get("endpoints").unwrap_or(&Value::Null);
                let mut out = rows(endpoints, &|item| {
                    format!(
                        "{:>8}  {:<6} {}",
                        word(item, "count"),
                        word(item, "method"),
                        word(item, "path")
                    )
                });
                // Writing to a string does not fail.
                let _ = writeln!(out, "{:>8}  in all", word(answer, "total"));
                out
            }
            Self::Effects => rows(answer, &|item| {
                let name = item.get("name").filter(|name| !name.is_null());
                let name = name.map_or(String::new(), |_| format!(" {}", word(item, "name")));
                format!(
                    "{:>8}  VM {} {}{name}",
                    word(item, "count"),
                    word(item, "vmid"),
                    word(item, "effect")
                )
            }),
            Self::Log { .. } => rows(answer, &|item| {
                format!(
                    "{} {} {} {} {}",
                    word(item, "status"),
                    word(item, "method"),
                    word(item, "path"),
                    word(item, "user"),
                    word(item, "reason")
                )
            }),
            Self::Console { .. } => {
                let lines = answer.get("lines").and_then(Value::as_array);
                let lines = lines.into_iter().flatten().filter_map(Value::as_str);
                let text = lines.collect::<Vec<_>>().join("\n");
                format!("{}\n", text.trim_end())
            }
            Self::Tasks => rows(answer, &|item| {
                format!("{} {}", word(item, "upid"), word(item, "exit"))
            }),
            Self::Vms { vmid: None } => rows(answer, &|item| {
                let name = item
                    .get("config")
                    .map_or(String::new(), |config| word(config, "name"));
                format!(
                    "{:>9} {:<10} {:<8} {name}",
                    word(item, "vmid"),
                    word(item, "node"),
                    word(item, "status")
                )
            }),
            Self::Faults => rows(answer, &Value::to_string),
            _ if answer.is_null() => String::new(),
            _ => format!("{answer:#}\n"),
        }
    }
}

/// A field as one word; `-` where there is none.
fn word(item: &Value, name: &str) -> String {
    match item.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_printed_as_lines() {
        let answer =
            json!({ "total": 3, "endpoints": [{ "method": "GET", "path": "/version", "count": 3 }] });
        assert_eq!(
            Command::Requests.shown(&answer),
            "       3  GET    /version\n       3  in all\n"
        );
        let answer = json!({ "lines": ["web1 login: root", "Password:", "", ""], "cursor": [10, 1] });
        assert_eq!(
            Command::Console { vmid: 100 }.shown(&answer),
            "web1 login: root\nPassword:\n"
        );
        assert_eq!(Command::Clear.shown(&Value::Null), "");
    }
}
