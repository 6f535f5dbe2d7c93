use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/portico/portico.toml"))
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_defaults_and_they_are_valid() {
    let mut defaults = Config::default();
    defaults.resolve(Path::new("/etc/portico"));
    assert_eq!(parse("").unwrap(), defaults);
    assert_eq!(Config::default().validate(), []);
}

#[test]
fn the_sample_with_its_defaults_uncommented_is_the_default_config() {
    let sample = reference::sample();
    let mut skip = false;
    let mut text = String::new();
    for line in sample.lines() {
        let key = line
            .strip_prefix('#')
            .filter(|rest| !rest.starts_with(' ') && rest.contains(" = "));
        if let Some(key) = key.filter(|_| !skip) {
            text.push_str(key);
        } else if line.starts_with('[') {
            text.push_str(line);
        }
        skip = line == "# Not set by default.";
        text.push('\n');
    }
    let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(config, Config::default());
    assert!(text.matches(" = ").count() > 50, "{text}");
}

#[test]
fn the_sample_with_everything_uncommented_reads_too() {
    let text: Vec<_> = reference::sample()
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with(' '))
                .unwrap_or(line)
                .to_owned()
        })
        .collect();
    let config: Config = toml::from_str(&text.join("\n")).unwrap();
    assert!(config.server.tls_cert.is_some() && config.mail.smtp.password.is_some());
}

#[test]
fn every_key_has_a_description() {
    for text in [reference::sample(), reference::page()] {
        assert!(!text.contains("# \n") && !text.contains("|  |"), "{text}");
    }
    assert!(
        reference::page()
            .contains("| `public_url` | text | `\"http://localhost:8080/\"` | The address customers have")
    );
}

#[test]
fn an_unknown_key_names_its_line() {
    let text = error("[server]\nlisten = \"127.0.0.1:1\"\n[store]\npaht = \"x\"\n");
    assert!(
        text.starts_with("the config `/etc/portico/portico.toml` is wrong in line 4: unknown field `paht`"),
        "{text}"
    );
    assert!(error("[server]\nlisten = 8080\n").contains("in line 2"));
    assert!(error("[serve]\n").contains("unknown field `serve`"));
}

#[test]
fn all_wrong_values_are_named_at_once_with_their_remedies() {
    let text = error(
        "[server]\npublic_url = \"http://panel.example.com\"\ntls_cert = \"c\"\ntrusted_proxies = [\"0.0.0.0/0\"]\n\
         [mail]\nfrom = \"nobody\"\nsmtp = { host = \"mail.example.com\", user = \"u\", password = { env = \"P\" } }\n\
         [jobs]\nper_node = 0\n[log]\nfilter = \"=loud=\"\n[limits]\ntick_ms = 0\n[sessions]\nidle_minutes = 120\nabsolute_hours = 1\n",
    );
    for part in [
        "`server.public_url` is not `https`\n    hint: browsers keep the session cookie only over https",
        "`server.tls_key` is missing beside `tls_cert`",
        "`server.trusted_proxies` trusts everybody",
        "`mail.from` is not an e-mail address",
        "`mail.smtp.security` would send the password in clear",
        "`jobs.per_node` must be 1 to 64, not 0",
        "`log.filter` is not a filter",
        "`limits.tick_ms` is out of range",
        "`sessions.idle_minutes` is longer than `absolute_hours`",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

#[test]
fn relative_paths_start_from_the_folder_of_the_file() {
    let config = parse(
        "[store]\npath = \"data\"\n[secrets]\nkey_file = \"/keys/k\"\n[mail.smtp]\nuser = \"u\"\nsecurity = \"tls\"\npassword = { file = \"smtp\" }\n",
    )
    .unwrap();
    assert_eq!(
        config.store.admin_socket(),
        Path::new("/etc/portico/data/admin.sock")
    );
    assert_eq!(config.secrets.key_file, Path::new("/keys/k"));
    assert_eq!(
        config.mail.smtp.password,
        Some(crate::domain::SecretRef::File("/etc/portico/smtp".into()))
    );
}

#[test]
fn one_time_limit_can_be_set_by_itself() {
    let config = parse("[limits.job]\nwall_ms = 90000\n").unwrap();
    let mut expected = portico_runtime::Limits::default();
    expected.job.wall_ms = 90_000;
    assert_eq!(config.limits, expected);
}

#[test]
fn http_is_allowed_on_the_machine_itself_only() {
    for good in [
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:80",
        "https://panel.example.com",
    ] {
        assert!(
            parse(&format!("[server]\npublic_url = \"{good}\"")).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "http://192.0.2.1",
        "https://panel.example.com/area",
        "https://a:b@panel.example.com",
        "ftp://localhost",
    ] {
        assert!(
            parse(&format!("[server]\npublic_url = \"{bad}\"")).is_err(),
            "{bad}"
        );
    }
}
