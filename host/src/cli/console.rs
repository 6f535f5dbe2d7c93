//! Where a command prints and asks.

use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use super::CliError;
use crate::admin::protocol::Password;

/// The ends of a command: results, talk, and answers.
pub struct Console<'a> {
    out: Box<dyn Write + 'a>,
    talk: Box<dyn Write + 'a>,
    input: Box<dyn BufRead + 'a>,
    interactive: bool,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Console")
            .field("interactive", &self.interactive)
            .finish_non_exhaustive()
    }
}

impl<'a> Console<'a> {
    /// The console of the process.
    pub fn system() -> Self {
        Self {
            out: Box::new(io::stdout()),
            talk: Box::new(io::stderr()),
            input: Box::new(io::BufReader::new(io::stdin())),
            interactive: io::stdin().is_terminal(),
        }
    }

    /// A console on any ends. `interactive` says whether somebody can answer.
    pub fn new(
        out: impl Write + 'a,
        talk: impl Write + 'a,
        input: impl BufRead + 'a,
        interactive: bool,
    ) -> Self {
        Self {
            out: Box::new(out),
            talk: Box::new(talk),
            input: Box::new(input),
            interactive,
        }
    }

    /// Prints a result. A reader that has seen enough, as `head`, is no error.
    pub(super) fn print(&mut self, text: &str) -> io::Result<()> {
        let printed = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        match printed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Prints a result as JSON.
    pub(super) fn print_json<T: serde::Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed(&error, ""))?;
        Ok(self.print(&format!("{text}\n"))?)
    }

    /// Says something about what is done.
    pub(super) fn talk(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.talk, "{text}")
    }

    /// Says what went wrong.
    pub(super) fn error(&mut self, message: &str, hint: &str) {
        let hint = if hint.is_empty() {
            String::new()
        } else {
            format!("hint: {hint}\n")
        };
        // Where not even this can be written, the exit code is left.
        let _ = write!(self.talk, "error: {message}\n{hint}");
    }

    /// Asks a question that only `yes` answers.
    pub(super) fn confirm(&mut self, question: &str) -> Result<(), CliError> {
        if !self.interactive {
            return Err(CliError::refused(
                "nobody is here to be asked",
                "say `--yes` to go on without a question",
            ));
        }
        write!(self.talk, "{question} Type `yes` to go on: ")?;
        self.talk.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        if answer.trim() == "yes" {
            Ok(())
        } else {
            Err(CliError::refused("not confirmed; nothing was changed", ""))
        }
    }

    /// Asks for a password, unseen, twice.
    pub(super) fn ask_password(&mut self) -> Result<Password, CliError> {
        if !self.interactive {
            return Err(CliError::refused(
                "nobody is here to be asked",
                "use `--password-stdin`, or have one made",
            ));
        }
        let first = Password::new(rpassword::prompt_password("New password: ")?);
        let second = Password::new(rpassword::prompt_password("Again: ")?);
        if first == second {
            Ok(first)
        } else {
            Err(CliError::refused("the two are not the same", ""))
        }
    }

    /// Reads a password from the input: its first line.
    pub(super) fn read_password(&mut self) -> Result<Password, CliError> {
        let mut line = Zeroizing::new(String::new());
        let read = io::Read::take(&mut self.input, 4096).read_line(&mut line)?;
        if read == 0 {
            return Err(CliError::refused("there is no password on stdin", ""));
        }
        let text = line.strip_suffix('\n').unwrap_or(&line);
        Ok(Password::new(text.strip_suffix('\r').unwrap_or(text)))
    }
}
