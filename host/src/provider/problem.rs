//! Problems of the provider's file: all of them at once, each with its place and its remedy.

use std::fmt;

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; none when the whole file is meant.
    pub line: Option<usize>,
    /// The path of the key, such as `product[pro].plan.cores`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Collects the problems of `file`; none when there are none.
    pub fn of(file: &str, mut list: Vec<Problem>) -> Option<Self> {
        if list.is_empty() {
            return None;
        }
        list.sort_by_key(|problem| problem.line.unwrap_or(0));
        list.dedup();
        Some(Self {
            file: file.to_owned(),
            list,
        })
    }

    /// The problems.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            out.write_str(&self.file)?;
            if let Some(line) = problem.line {
                write!(out, ":{line}")?;
            }
            out.write_str(": ")?;
            if !problem.key.is_empty() {
                write!(out, "`{}` ", problem.key)?;
            }
            writeln!(out, "{}", problem.message)?;
            if !problem.hint.is_empty() {
                writeln!(out, "    hint: {}", problem.hint)?;
            }
        }
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(out, "{count} {noun} in `{}`; nothing was changed", self.file)
    }
}

impl std::error::Error for Problems {}
