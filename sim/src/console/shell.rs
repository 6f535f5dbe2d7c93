//! The few commands that the shell on the screen knows.

use super::guest::Machine;
use crate::units::{float, whole};

/// What a command does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Prints this.
    Print(String),
    /// Empties the screen.
    Clear,
    /// Ends the session.
    Leave,
    /// Boots the guest again.
    Reboot,
}

/// Runs a line that a user typed on a machine that has been up for so many seconds.
pub(super) fn run(line: &str, machine: &Machine, user: &str, up: f64) -> Reaction {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    Reaction::Print(match command {
        "" => String::new(),
        "clear" => return Reaction::Clear,
        "echo" => format!("{rest}\n"),
        "exit" | "logout" => return Reaction::Leave,
        "help" => "clear echo exit help hostname nproc reboot uname uptime whoami\n".to_owned(),
        "hostname" => format!("{}\n", machine.hostname),
        "nproc" => format!("{}\n", machine.cpus),
        "reboot" => return Reaction::Reboot,
        "uname" => "Linux\n".to_owned(),
        "uptime" => uptime(up, machine.cpus),
        "whoami" => format!("{user}\n"),
        other => format!("-bash: {other}: command not found\n"),
    })
}

fn uptime(up: f64, cpus: u64) -> String {
    let minutes = whole(up) / 60;
    format!(
        " up {} days, {:02}:{:02}, 1 user, load average: {:.2}\n",
        minutes / 1440,
        minutes / 60 % 24,
        minutes % 60,
        float(cpus) * 0.07
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_answer_of_the_machine_and_unknown_ones_are_not_found() {
        let machine = Machine {
            hostname: "web1".into(),
            cpus: 2,
            memory: 2 << 30,
        };
        let print = |line| run(line, &machine, "anna", 90_061.0);
        assert_eq!(print("nproc"), Reaction::Print("2\n".into()));
        assert_eq!(print("echo a  b"), Reaction::Print("a  b\n".into()));
        assert_eq!(
            print("uptime"),
            Reaction::Print(" up 1 days, 01:01, 1 user, load average: 0.14\n".into())
        );
        assert_eq!(print("exit"), Reaction::Leave);
        assert_eq!(
            print("rm -rf"),
            Reaction::Print("-bash: rm: command not found\n".into())
        );
    }
}
