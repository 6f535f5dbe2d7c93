//! The guest on the screen: boots, asks for a login, and answers a few commands like a shell.
//!
//! Any name and password let one in: it is a picture of a machine, there is nothing behind it.

use super::boot;
use super::font::{CELL_HEIGHT, CELL_WIDTH};
use super::shell::{self, Reaction};
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::world::vm::{Run, Vm};

/// The longest line that can be typed, in characters.
const LONGEST_LINE: usize = 200;
/// The screen's size after power-on, in pixels: VGA's text mode, 80×25 characters.
const FIRST_SIZE: (u16, u16) = (80 * CELL_WIDTH, 25 * CELL_HEIGHT);

/// Where the pointer is and what it presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Pixels from the left.
    pub(crate) x: u16,
    /// Pixels from the top.
    pub(crate) y: u16,
    /// Bit 0 is the left button.
    pub(crate) buttons: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Booting,
    Login,
    Password,
    Shell,
}

/// The machine that the guest believes it is.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Its name, without a domain.
    pub(super) hostname: String,
    /// Its processors.
    pub(super) cpus: u64,
    /// Its memory in bytes.
    pub(super) memory: u64,
}

/// A guest with its screen.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    process: u32,
    machine: Machine,
    booted: f64,
    /// How many lines of the boot log are on the screen.
    printed: usize,
    mood: Mood,
    user: String,
    line: String,
    control: bool,
    alt: bool,
    terminal: Terminal,
    pixels: (u16, u16),
    pointer: Option<Pointer>,
    generation: u64,
}

impl Guest {
    /// The guest of a VM, from its start on.
    pub(crate) fn of(vm: &Vm, run: &Run) -> Self {
        let name = vm.name();
        let machine = Machine {
            hostname: name.split('.').next().unwrap_or_default().replace(' ', "-"),
            cpus: vm.cpus(),
            memory: vm.memory(),
        };
        Self::new(machine, run.pid, run.since)
    }

    fn new(machine: Machine, process: u32, booted: f64) -> Self {
        Self {
            process,
            machine,
            booted,
            printed: 0,
            mood: Mood::Booting,
            user: String::new(),
            line: String::new(),
            control: false,
            alt: false,
            terminal: Terminal::new(80, 25),
            pixels: FIRST_SIZE,
            pointer: None,
            generation: 1,
        }
    }

    /// The QEMU process that shows it.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Another QEMU process shows it from now on.
    pub(super) fn shown_by(&mut self, process: u32) {
        self.process = process;
    }

    /// The text on its screen.
    pub(crate) fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The screen's size in pixels.
    pub(crate) fn pixels(&self) -> (u16, u16) {
        self.pixels
    }

    /// The pointer, once it was moved.
    pub(crate) fn pointer(&self) -> Option<Pointer> {
        self.pointer
    }

    /// Changes whenever the screen does.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Boots again, as after a reset.
    pub(crate) fn boot_again(&mut self, now: f64) {
        self.booted = now;
        self.printed = 0;
        self.mood = Mood::Booting;
        self.line.clear();
        self.terminal.clear();
        self.generation += 1;
    }

    /// Does what the guest has done by itself until now.
    pub(crate) fn advance(&mut self, clock: &Clock) {
        if self.mood != Mood::Booting {
            return;
        }
        let up = clock.simulated((clock.now() - self.booted).max(0.0));
        let log = boot::log(&self.machine);
        while let Some((at, line)) = log.get(self.printed)
            && *at <= up
        {
            self.terminal.write(line);
            self.terminal.write("\n");
            self.printed += 1;
            self.generation += 1;
        }
        if self.printed >= log.len() {
            self.ask_login();
        }
    }

    fn ask_login(&mut self) {
        self.mood = Mood::Login;
        self.user.clear();
        self.line.clear();
        let text = format!(
            "Debian GNU/Linux 13 {0} tty1\n\n{0} login: ",
            self.machine.hostname
        );
        self.terminal.write(&text);
        self.generation += 1;
    }

    fn prompt(&mut self) {
        let sign = if self.user == "root" { '#' } else { '$' };
        let text = format!("{}@{}:~{sign} ", self.user, self.machine.hostname);
        self.terminal.write(&text);
    }

    /// A key by its X11 keysym.
    pub(crate) fn key(&mut self, keysym: u32, down: bool, now: f64) {
        match keysym {
            0xFFE3 | 0xFFE4 => self.control = down,
            0xFFE9 | 0xFFEA => self.alt = down,
            _ if !down => {}
            0xFFFF | 0xFF9F if self.control && self.alt => self.boot_again(now),
            // A guest reads its keys when it is up.
            _ if self.mood == Mood::Booting => {}
            0xFF0D | 0xFF8D => self.enter(now),
            0xFF08 => {
                if self.line.pop().is_some() && self.mood != Mood::Password {
                    self.terminal.rub_out();
                }
            }
            other => {
                if let Some(character) = character(other) {
                    self.typed(character);
                }
            }
        }
        self.generation += 1;
    }

    fn typed(&mut self, character: char) {
        if self.control {
            match character.to_ascii_lowercase() {
                'c' => {
                    self.terminal.write("^C\n");
                    self.after_break();
                }
                'd' if self.line.is_empty() && self.mood == Mood::Shell => {
                    self.terminal.write("logout\n\n");
                    self.ask_login();
                }
                'l' if self.mood == Mood::Shell => {
                    self.terminal.clear();
                    self.prompt();
                    let line = self.line.clone();
                    self.terminal.write(&line);
                }
                _ => {}
            }
        } else if self.line.chars().count() < LONGEST_LINE {
            self.line.push(character);
            if self.mood != Mood::Password {
                self.terminal.write(character.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn after_break(&mut self) {
        self.line.clear();
        if self.mood == Mood::Shell {
            self.prompt();
        } else {
            self.terminal.write("\n");
            self.ask_login();
        }
    }

    fn enter(&mut self, now: f64) {
        let line = std::mem::take(&mut self.line);
        self.terminal.write("\n");
        match self.mood {
            Mood::Booting => {}
            Mood::Login if line.trim().is_empty() => {
                let text = format!("{} login: ", self.machine.hostname);
                self.terminal.write(&text);
            }
            Mood::Login => {
                line.trim().clone_into(&mut self.user);
                self.mood = Mood::Password;
                self.terminal.write("Password: ");
            }
            Mood::Password => {
                self.mood = Mood::Shell;
                let text = format!("Linux {} 6.12.48+deb13-amd64 x86_64\n\n", self.machine.hostname);
                self.terminal.write(&text);
                self.prompt();
            }
            Mood::Shell => self.run(line.trim(), now),
        }
    }

    fn run(&mut self, line: &str, now: f64) {
        let up = (now - self.booted).max(0.0);
        match shell::run(line, &self.machine, &self.user, up) {
            Reaction::Print(text) => self.terminal.write(&text),
            Reaction::Clear => self.terminal.clear(),
            Reaction::Leave => {
                self.terminal.write("\n");
                return self.ask_login();
            }
            Reaction::Reboot => return self.boot_again(now),
        }
        self.prompt();
    }

    /// The pointer moved or a button was pressed or let go.
    pub(crate) fn point(&mut self, pointer: Pointer) {
        let (width, height) = self.pixels;
        let moved = Pointer {
            x: pointer.x.min(width.saturating_sub(1)),
            y: pointer.y.min(height.saturating_sub(1)),
            ..pointer
        };
        if self.pointer != Some(moved) {
            self.pointer = Some(moved);
            self.generation += 1;
        }
    }

    /// The screen takes another size, which the caller has checked.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        if self.pixels == (width, height) {
            return;
        }
        self.pixels = (width, height);
        self.terminal
            .resize(usize::from(width / CELL_WIDTH), usize::from(height / CELL_HEIGHT));
        self.pointer = None;
        self.generation += 1;
    }
}

/// The character that a keysym types: Latin-1, the number pad, or Unicode.
fn character(keysym: u32) -> Option<char> {
    let code = match keysym {
        0x20..=0x7E | 0xA0..=0xFF => keysym,
        0xFFAA..=0xFFB9 => keysym - 0xFF80,
        0x0100_00A0..=0x0110_FFFF => keysym - 0x0100_0000,
        _ => return None,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(clock: &Clock, up: f64) -> Guest {
        let machine = Machine {
            hostname: "web1".into(),
            cpus: 2,
            memory: 2 << 30,
        };
        let mut guest = Guest::new(machine, 1, clock.now() - up);
        guest.advance(clock);
        guest
    }

    fn press(guest: &mut Guest, text: &str) {
        for key in text.chars() {
            let keysym = if key == '\n' { 0xFF0D } else { u32::from(key) };
            guest.key(keysym, true, 0.0);
            guest.key(keysym, false, 0.0);
        }
    }

    fn last(guest: &Guest) -> String {
        guest.terminal().text()[guest.terminal().cursor().1].clone()
    }

    #[test]
    fn a_guest_that_just_started_shows_its_boot_log_and_one_that_is_up_asks_for_a_login() {
        let clock = Clock::new(1.0);
        let young = guest(&clock, 0.5);
        assert!(young.terminal().text()[0].starts_with("SeaBIOS"));
        assert!(!young.terminal().text().join("\n").contains("login:"));
        let old = guest(&clock, 100.0);
        assert_eq!(last(&old), "web1 login:");
    }

    #[test]
    fn typed_keys_are_echoed_but_the_password_is_not() {
        let clock = Clock::new(1.0);
        let mut guest = guest(&clock, 100.0);
        press(&mut guest, "rooo");
        guest.key(0xFF08, true, 0.0);
        press(&mut guest, "t");
        assert_eq!(last(&guest), "web1 login: root");
        press(&mut guest, "\nsecret");
        assert_eq!(last(&guest), "Password:");
        press(&mut guest, "\nhostname\n");
        let text = guest.terminal().text();
        let row = guest.terminal().cursor().1;
        assert_eq!(
            text[row - 2..=row],
            ["root@web1:~# hostname", "web1", "root@web1:~#"]
        );
        assert!(!text.join("\n").contains("secret"));
    }

    #[test]
    fn ctrl_alt_delete_boots_the_guest_again() {
        let clock = Clock::new(1.0);
        let mut guest = guest(&clock, 100.0);
        for key in [0xFFE3, 0xFFE9, 0xFFFF] {
            guest.key(key, true, clock.now());
        }
        guest.advance(&clock);
        assert!(guest.terminal().text()[0].starts_with("SeaBIOS"));
    }

    #[test]
    fn lines_have_a_longest_length_and_foreign_keys_do_nothing() {
        let clock = Clock::new(1.0);
        let mut guest = guest(&clock, 100.0);
        for keysym in [0, 0xFE03, 0xFFE1, 0xFF1B, 0x0110_FFFF, u32::MAX, 0x0100_D800] {
            guest.key(keysym, true, 0.0);
        }
        press(&mut guest, &"x".repeat(1_000));
        assert_eq!(guest.line.chars().filter(|c| *c == 'x').count() + 1, LONGEST_LINE);
    }
}
