//! The programs that the demo runs, and their end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How long a program may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How often is looked whether something has happened.
const PAUSE: Duration = Duration::from_millis(100);

/// Running programs, in the order they were started. Whatever happens, none outlives this value.
#[derive(Default)]
pub(super) struct Children {
    running: Vec<(&'static str, Child)>,
}

impl Children {
    /// Starts a program.
    pub(super) fn start(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<&mut Child> {
        // A group of its own: Ctrl-C reaches this program alone, which then ends the panel before the cluster.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command
            .spawn()
            .with_context(|| format!("`{name}` cannot be run"))?;
        self.running.push((name, child));
        match self.running.last_mut() {
            Some((_, child)) => Ok(child),
            None => bail!("`{name}` is gone"),
        }
    }

    /// Starts a program and reads the first line it prints.
    pub(super) fn start_and_read_line(
        &mut self,
        name: &'static str,
        command: &mut Command,
        patience: Duration,
    ) -> anyhow::Result<String> {
        let child = self.start(name, command.stdout(Stdio::piped()))?;
        let output = child.stdout.take().context("no pipe")?;
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines();
            if let Some(Ok(line)) = lines.next() {
                // Nobody waits any more when the patience has ended.
                let _ = sender.send(line);
            }
            // Read on, so that the program never finds its pipe full or closed.
            lines.for_each(drop);
        });
        line.recv_timeout(patience)
            .with_context(|| format!("`{name}` did not say that it is ready"))
    }

    /// Waits until the panel answers its readiness page with 200.
    pub(super) fn wait_for_page(
        &mut self,
        address: SocketAddr,
        patience: Duration,
        interrupted: &mpsc::Receiver<()>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while !answers(address) {
            self.check()?;
            if start.elapsed() > patience {
                bail!("the panel did not answer within {} s", patience.as_secs());
            }
            if interrupted.recv_timeout(PAUSE).is_ok() {
                bail!("interrupted");
            }
        }
        Ok(())
    }

    /// Returns at Ctrl-C.
    ///
    /// # Errors
    /// When a program ends by itself.
    pub(super) fn watch(&mut self, interrupted: &mpsc::Receiver<()>) -> anyhow::Result<()> {
        while interrupted.recv_timeout(PAUSE).is_err() {
            self.check()?;
        }
        Ok(())
    }

    fn check(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait()? {
                bail!("`{name}` ended by itself ({status}): what it wrote is above");
            }
        }
        Ok(())
    }

    /// Ends all programs, the last started first; the one that does not end in time is killed.
    pub(super) fn end(&mut self) {
        while let Some((name, mut child)) = self.running.pop() {
            ask_to_end(&child);
            let start = Instant::now();
            while matches!(child.try_wait(), Ok(None)) {
                if start.elapsed() > GRACE {
                    crate::say(&format!("`{name}` does not end and is killed"));
                    // Fails only when it has ended meanwhile.
                    let _ = child.kill();
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    if let Ok(id) = i32::try_from(child.id()) {
        // Fails only when it has ended already; as it was not waited for, the id is still its own.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

#[cfg(not(unix))]
fn ask_to_end(_: &Child) {}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer.split_whitespace().nth(1) == Some("200"))
    };
    ask().unwrap_or(false)
}
