//! The files inside a guest: a few that every system has, made of the VM's configuration, and those that the agent
//! wrote.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::vm::Vm;

/// Why a file is not read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no such file, or no such directory to write it to.
    Missing,
    /// It is a directory.
    Directory,
    /// What should be a directory is a file.
    NotDirectory,
}

impl Trouble {
    /// What the system says.
    pub(crate) fn text(self, windows: bool) -> &'static str {
        match (self, windows) {
            (Self::Missing, false) => "No such file or directory",
            (Self::Directory, false) => "Is a directory",
            (Self::NotDirectory, false) => "Not a directory",
            (Self::Missing, true) => "The system cannot find the file specified.",
            (Self::Directory, true) => "Access is denied.",
            (Self::NotDirectory, true) => "The system cannot find the path specified.",
        }
    }
}

/// The files that were written, by their paths as [`canonical`] has them.
pub(crate) type Written = BTreeMap<String, Vec<u8>>;

/// The path of a file with one separator and, on Windows, in one case: the agent's working directory is the root.
fn canonical(path: &str, windows: bool) -> String {
    let path = if windows {
        let path = path.replace('\\', "/").to_ascii_lowercase();
        path.strip_prefix("c:").map_or(path.clone(), str::to_owned)
    } else {
        path.to_owned()
    };
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    let mut kept = Vec::new();
    for part in parts {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    format!("/{}", kept.join("/"))
}

/// The directories that are there whether something is in them or not.
fn directories(windows: bool) -> &'static [&'static str] {
    if windows {
        return &[
            "/windows/temp",
            "/users/administrator",
            "/program files",
            "/programdata",
        ];
    }
    &[
        "/bin",
        "/boot",
        "/dev",
        "/etc/cloud",
        "/etc/cron.d",
        "/etc/ssh",
        "/etc/sudoers.d",
        "/home",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/srv",
        "/tmp",
        "/usr/local/bin",
        "/var/lib",
        "/var/log",
        "/var/tmp",
    ]
}

/// What the system had without anybody writing to it.
fn own(vm: &Vm) -> BTreeMap<String, String> {
    let name = vm.name().replace(' ', "-");
    let host = name.split('.').next().unwrap_or_default();
    if super::is_windows(vm) {
        let hosts = "127.0.0.1 localhost\r\n::1 localhost\r\n".to_owned();
        return BTreeMap::from([("/windows/system32/drivers/etc/hosts".to_owned(), hosts)]);
    }
    let user = vm.get("ciuser").unwrap_or("debian");
    let (home, login) = match user {
        "root" => ("/root".to_owned(), String::new()),
        _ => (
            format!("/home/{user}"),
            format!("{user}:x:1000:1000:{user}:/home/{user}:/bin/bash\n"),
        ),
    };
    let mut files = BTreeMap::from([
        ("/etc/hostname", format!("{host}\n")),
        (
            "/etc/hosts",
            format!(
                "127.0.1.1 {name} {host}\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
            ),
        ),
        ("/etc/os-release", super::OS_RELEASE.to_owned()),
        ("/etc/debian_version", "13.1\n".to_owned()),
        (
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n{login}"
            ),
        ),
        ("/etc/resolv.conf", resolver(vm)),
        ("/etc/timezone", "Etc/UTC\n".to_owned()),
    ])
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text))
    .collect::<BTreeMap<_, _>>();
    let keys = vm.get("sshkeys").map(|keys| {
        let text = percent_encoding::percent_decode_str(keys).decode_utf8_lossy();
        format!("{}\n", text.trim_end())
    });
    if let Some(keys) = keys {
        files.insert(format!("{home}/.ssh/authorized_keys"), keys);
    }
    files.insert(format!("{home}/.bashrc"), "# ~/.bashrc\n".to_owned());
    files
}

fn resolver(vm: &Vm) -> String {
    let servers = vm.get("nameserver").unwrap_or_default();
    let servers = crate::schema::format::items(servers).map(|server| format!("nameserver {server}\n"));
    let search = vm.get("searchdomain").map(|domain| format!("search {domain}\n"));
    servers.chain(search).collect()
}

/// Everything that is a directory: of the system, and above every file.
fn all_directories<'p>(paths: impl Iterator<Item = &'p String>, windows: bool) -> BTreeSet<String> {
    let fixed = directories(windows).iter().map(|path| format!("{path}/x"));
    let mut found = BTreeSet::from(["/".to_owned()]);
    for path in fixed.chain(paths.cloned()) {
        for (at, _) in path.match_indices('/').skip(1) {
            found.extend(path.get(..at).map(str::to_owned));
        }
    }
    found
}

/// The content of a file.
pub(crate) fn read(vm: &Vm, path: &str) -> Result<Vec<u8>, Trouble> {
    let windows = super::is_windows(vm);
    let path = canonical(path, windows);
    if let Some(content) = vm.guest.files.get(&path) {
        return Ok(content.clone());
    }
    let own = own(vm);
    if let Some(text) = own.get(&path) {
        return Ok(text.clone().into_bytes());
    }
    let directories = all_directories(own.keys().chain(vm.guest.files.keys()), windows);
    Err(if directories.contains(&path) {
        Trouble::Directory
    } else {
        Trouble::Missing
    })
}

/// Writes a file, whose directory has to be there.
pub(crate) fn write(vm: &mut Vm, path: &str, content: Vec<u8>) -> Result<(), Trouble> {
    let windows = super::is_windows(vm);
    let path = canonical(path, windows);
    let own = own(vm);
    let is_file = |path: &str| own.contains_key(path) || vm.guest.files.contains_key(path);
    let directories = all_directories(own.keys().chain(vm.guest.files.keys()), windows);
    let above = path.rsplit_once('/').map_or("/", |(above, _)| above);
    let above = if above.is_empty() { "/" } else { above };
    if directories.contains(&path) {
        return Err(Trouble::Directory);
    }
    if is_file(above) {
        return Err(Trouble::NotDirectory);
    }
    if !directories.contains(above) {
        return Err(Trouble::Missing);
    }
    vm.guest.files.insert(path, content);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(pairs: &[(&str, &str)]) -> Vm {
        let owned = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Vm::new(100, "pve1", owned.collect(), 1, 0.0)
    }

    fn text(vm: &Vm, path: &str) -> String {
        String::from_utf8(read(vm, path).unwrap()).unwrap()
    }

    #[test]
    fn the_system_has_files_of_its_configuration() {
        let vm = vm(&[
            ("name", "web1.example.net"),
            ("ciuser", "alice"),
            ("sshkeys", "ssh-ed25519%20AAAA%20a"),
        ]);
        assert_eq!(text(&vm, "/etc/hostname"), "web1\n");
        assert_eq!(text(&vm, "etc/../etc//hostname"), "web1\n");
        assert_eq!(
            text(&vm, "/home/alice/.ssh/authorized_keys"),
            "ssh-ed25519 AAAA a\n"
        );
        assert_eq!(read(&vm, "/nope"), Err(Trouble::Missing));
        assert_eq!(read(&vm, "/home/alice"), Err(Trouble::Directory));
    }

    #[test]
    fn what_was_written_is_read_back_and_needs_its_directory() {
        let mut vm = vm(&[]);
        write(&mut vm, "/etc/motd", b"hello".to_vec()).unwrap();
        assert_eq!(text(&vm, "/etc/motd"), "hello");
        write(&mut vm, "/etc/hostname", b"other\n".to_vec()).unwrap();
        assert_eq!(text(&vm, "/etc/hostname"), "other\n");
        let mut refused = |path| write(&mut vm, path, Vec::new()).unwrap_err();
        assert_eq!(refused("/nowhere/file"), Trouble::Missing);
        assert_eq!(refused("/etc"), Trouble::Directory);
        assert_eq!(refused("/etc/motd/x"), Trouble::NotDirectory);
    }

    #[test]
    fn paths_of_windows_have_either_separator_and_any_case() {
        let mut vm = vm(&[("ostype", "win11")]);
        write(&mut vm, r"C:\Windows\Temp\A.txt", b"x".to_vec()).unwrap();
        assert_eq!(text(&vm, "c:/windows/temp/a.TXT"), "x");
        assert_eq!(read(&vm, "/etc/hostname"), Err(Trouble::Missing));
    }
}
