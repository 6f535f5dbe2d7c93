//! Templates of backups' notes.

use super::Checked;

/// The template of a backup's notes: one line, `\n` and `\\`, and the variables that [`fill_notes`] knows.
pub(crate) fn notes_template(_: &str, text: &str) -> Checked {
    if text.contains('\n') {
        return Err("contains a line feed\n".to_owned());
    }
    let mut problems = Vec::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        if c == '\\'
            && let Some((_, escaped)) = rest.next()
            && escaped != 'n'
            && escaped != '\\'
        {
            problems.push(format!("escape sequence '\\{escaped}' at char {at}"));
        }
    }
    for (at, _) in text.match_indices("{{") {
        let name = text
            .get(at + 2..)
            .and_then(|rest| rest.split_once("}}"))
            .map(|(name, _)| name);
        let is_name =
            |name: &&str| !name.is_empty() && !name.contains(|c: char| "{}".contains(c) || c.is_whitespace());
        if let Some(name) = name.filter(is_name)
            && !["cluster", "guestname", "node", "vmid"].contains(&name)
        {
            problems.push(format!("variable '{name}' at char {}", at + 2));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("found unknown: {}\n", problems.join(", ")))
    }
}

/// Notes made of their template and the values of its variables.
pub(crate) fn fill_notes(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push(c),
            },
            other => out.push(other),
        }
    }
    values.iter().fold(out, |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_of_notes_names_what_it_does_not_know() {
        assert!(notes_template("", "{{guestname}} on {{node}}\\nsecond \\\\ line").is_ok());
        assert!(notes_template("", "{{ spaced }} {{}}").is_ok());
        let refused = notes_template("", "\\x {{host}}").unwrap_err();
        assert_eq!(
            refused,
            "found unknown: escape sequence '\\x' at char 0, variable 'host' at char 5\n"
        );
        assert!(notes_template("", "two\nlines").is_err());
    }

    #[test]
    fn notes_are_filled_with_values_and_line_breaks() {
        let values = [("guestname", "web"), ("vmid", "100")];
        let notes = fill_notes("{{guestname}} ({{vmid}})\\n{{other}}", &values);
        assert_eq!(notes, "web (100)\n{{other}}");
    }
}
