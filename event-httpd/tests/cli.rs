//! The command line of `event-httpd`: options, their environment, help, failures, exit codes.

mod support_http;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use support_http::{Address, Client, Process, Server, event_httpd, output, shell, until};

/// Options of `serve`, and their defaults where they have a value by default.
const OPTIONS: [(&str, &str); 14] = [
    ("listen", "127.0.0.1:9999"),
    ("backlog", "102400"),
    ("share-port", ""),
    ("header", ""),
    ("date", ""),
    ("max-connections", ""),
    ("header-timeout", "10s"),
    ("idle-timeout", "75s"),
    ("max-header-size", "16KiB"),
    ("max-body-size", "1MiB"),
    ("max-queue", "4MiB"),
    ("grace", "5s"),
    ("echo", ""),
    ("log-format", "text"),
];

fn variable(option: &str) -> String {
    format!("EVENT_HTTPD_{}", option.to_uppercase().replace('-', "_"))
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it is text")
}

/// Asserts a failure with one line on stderr that contains these parts.
#[track_caller]
fn assert_failed(output: &Output, parts: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    assert_no_panic(output);
}

/// Asserts bad usage, in one line that contains these parts.
#[track_caller]
fn assert_bad_usage(output: &Output, parts: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{parts:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    assert_eq!(text(&output.stdout), "");
    assert_no_panic(output);
}

#[track_caller]
fn assert_no_panic(output: &Output) {
    let stderr = text(&output.stderr);
    for word in ["panicked", "stack backtrace", "RUST_BACKTRACE", "src/"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
}

fn serve(options: &[&str]) -> Output {
    output(event_httpd(
        ["serve"].into_iter().chain(options.iter().copied()),
    ))
}

#[test]
fn a_port_in_use_is_a_failure_that_names_the_address() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let other = TcpListener::bind(listen).unwrap();
        let address = other.local_addr().unwrap().to_string();
        assert_failed(&serve(&["--listen", &address]), &[&address]);
    }
    let server = Server::start(&[]);
    let address = server.address().to_string();
    assert_failed(&serve(&["--listen", &address]), &[&address]);
}

#[test]
fn an_address_of_another_machine_is_a_failure_that_names_it() {
    for address in ["192.0.2.1:8080", "[2001:db8::1]:8080"] {
        assert_failed(&serve(&["--listen", address]), &[address]);
    }
}

#[test]
fn an_impossible_path_is_a_failure_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let file = format!("{path}/file");
    fs::write(&file, "not a socket").unwrap();
    for path in [
        format!("{path}/missing/socket"),
        path.to_owned(),
        file.clone(),
    ] {
        assert_failed(&serve(&["--listen", &format!("unix:{path}")]), &[&path]);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "not a socket");
    let long = format!("unix:{path}/{}", "a".repeat(200));
    assert_bad_usage(
        &serve(&["--listen", &long]),
        &[&long, "longer than the system allows"],
    );
}

#[test]
fn a_port_or_path_that_is_not_permitted_is_a_failure_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let open = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(directory.path(), open(0o755)).unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, open(0o555)).unwrap();
    // The binary may lie where nobody else may look. Another process copies it: a file that this one
    // has open to write, and a child of another test inherits, cannot be executed.
    let binary = directory.path().join("event-httpd");
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_event-httpd")).arg(&binary);
    assert!(copy.status().unwrap().success());
    fs::set_permissions(&binary, open(0o755)).unwrap();

    let run = |listen: &str| {
        let mut command = if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&binary);
            command
        } else {
            Command::new(&binary)
        };
        command
            .args(["serve", "--listen", listen])
            .env_clear()
            .stdin(Stdio::null());
        output(command)
    };
    let socket = closed.join("socket").display().to_string();
    assert_failed(
        &run(&format!("unix:{socket}")),
        &[&socket, "ermission denied"],
    );
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u16>().unwrap() > 80 {
        assert_failed(&run("127.0.0.1:80"), &["127.0.0.1:80", "ermission denied"]);
    } else {
        println!("skipped: here every port is open to everybody");
    }
}

#[test]
fn an_unknown_option_or_command_is_bad_usage() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "serve"),
        (&["--nonsense"], "--nonsense"),
        (&["nonsense"], "nonsense"),
        (&["nonsense"], "try event-httpd --help"),
        (&["serve", "--nonsense"], "--nonsense"),
        (&["serve", "--grace", "x"], "try event-httpd serve --help"),
        (&["serve", "--max-header"], "--max-header"),
        (&["serve", "-x"], "-x"),
        (&["serve", "nonsense"], "nonsense"),
        (&["serve", "--date=maybe"], "--date"),
        (&["serve", "--listen"], "--listen"),
        (&["serve", "--grace", "1s", "--grace", "2s"], "--grace"),
    ];
    for (arguments, part) in cases {
        assert_bad_usage(&output(event_httpd(arguments.iter().copied())), &[part]);
    }
}

/// Invalid values, by option.
const BAD: [(&str, &[&str]); 12] = [
    (
        "listen",
        &[
            "",
            "nonsense",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "::1:80",
            "unix:",
            ":80",
            "*:80",
        ],
    ),
    ("backlog", &["", "x", "-1", "1.5", "99999999999", "0x10"]),
    (
        "max-connections",
        &["", "x", "-1", "1.5", "99999999999", "10k"],
    ),
    (
        "header-timeout",
        &["", "1.5", "x", "-1s", "1 parsec", "99999999999999999999s"],
    ),
    ("idle-timeout", &["", "+75", "soon", "-75s", "7.5.s"]),
    ("grace", &["", "5 5", "x", "-5s"]),
    ("max-header-size", &["", "x", "-1", "16 potatoes", "1e99"]),
    (
        "max-body-size",
        &["", "x", "-1", "KiB", "99999999999999999999999"],
    ),
    ("max-queue", &["", "x", "-4MiB", "4 M i B"]),
    (
        "header",
        &[
            "",
            "NoColon",
            ": x",
            "Bad Name: x",
            "A : x",
            "A: \u{7f}",
            "Content-Length: 5",
        ],
    ),
    ("log-format", &["", "xml", "TEXT "]),
    ("socket-mode", &["", "888", "1000", "rw", "-1", "0x1"]),
];

#[test]
fn a_bad_value_is_bad_usage_that_names_option_and_value() {
    for (option, values) in BAD {
        for value in values {
            let option = format!("--{option}");
            let output = serve(&[&format!("{option}={value}")]);
            let shown = if value.is_ascii() && !value.contains('\u{7f}') {
                value
            } else {
                ""
            };
            assert_bad_usage(&output, &[&option, shown]);
        }
    }
    for value in [
        "A: b\r\nC: d",
        "A\r\nB: c",
        "A: b\nContent-Length: 5",
        "A: b\n\nc",
    ] {
        assert_bad_usage(&serve(&["--header", value]), &["--header"]);
    }
}

#[test]
fn a_bad_value_in_the_environment_is_bad_usage_that_names_option_and_value() {
    for (option, values) in BAD {
        for value in values
            .iter()
            .filter(|value| !value.is_empty() && !value.contains('\u{7f}'))
        {
            let mut command = event_httpd(["serve"]);
            command.env(variable(option), value);
            assert_bad_usage(&output(command), &[&format!("--{option}"), value]);
        }
    }
}

#[test]
fn the_version_is_the_crates() {
    let version = concat!("event-httpd ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"]] {
        let output = output(event_httpd(arguments.iter().copied()));
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout), version);
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn the_help_names_the_commands() {
    for arguments in [&["--help"][..], &["-h"], &["help"]] {
        let output = output(event_httpd(arguments.iter().copied()));
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("serve"));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn the_help_of_each_command_begins_with_what_it_does() {
    for (command, does, warns) in [
        (
            "serve",
            "Answer every HTTP request",
            "every method but CONNECT",
        ),
        ("broadcast", "Pass on what one", "not behind a proxy"),
        ("hub", "Push updates to browsers", "docs/hub.md"),
        (
            "isolation",
            "Show that forked processes",
            "never sees the change",
        ),
    ] {
        for option in ["-h", "--help"] {
            let output = output(event_httpd([command, option]));
            let help = text(&output.stdout);
            assert!(help.starts_with(does), "{help}");
            if option == "--help" {
                let (before, _) = help.split_once("Usage:").expect("a usage");
                let before = before.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(before.contains(warns), "{before}");
            }
        }
    }
}

#[test]
fn the_help_of_serve_names_every_option_its_variable_and_its_default() {
    for arguments in [&["serve", "--help"][..], &["help", "serve"]] {
        let output = output(event_httpd(arguments.iter().copied()));
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for (option, default) in OPTIONS {
            assert!(
                help.contains(&format!(" --{option}")),
                "no --{option} in {help}"
            );
            if !default.is_empty() {
                let default = format!("[default: {default}]");
                assert!(help.contains(&default), "no {default} in {help}");
            }
        }
    }
}

#[test]
fn every_option_in_the_help_of_every_command_has_its_variable() {
    for command in ["serve", "broadcast", "isolation"] {
        let output = output(event_httpd([command, "--help"]));
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        let options: Vec<&str> = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .filter_map(|line| line.split_once(" --"))
            .map(|(_, option)| option.split([' ', '.']).next().unwrap())
            .filter(|option| !["help", "version"].contains(option))
            .collect();
        assert!(options.len() > 4, "{options:?}");
        for option in options {
            let variable = format!("[env: {}=", variable(option));
            assert!(help.contains(&variable), "no {variable} in {help}");
        }
    }
}

/// Starts `serve` with these options and variables on a socket of its own.
fn started(options: &[&str], variables: &[(&str, &str)]) -> Server {
    let mut command = event_httpd(["serve"].into_iter().chain(options.iter().copied()));
    command.envs(variables.iter().copied());
    Server::run(command)
}

#[test]
fn a_variable_stands_for_its_option_and_the_option_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("unix:{}", directory.path().join(name).display());
    let (one, two, three) = (path("one"), path("two"), path("three"));
    let server = started(&[], &[("EVENT_HTTPD_LISTEN", &one)]);
    assert_eq!(server.address().to_string(), one);
    let server = started(&["--listen", &two], &[("EVENT_HTTPD_LISTEN", &three)]);
    assert_eq!(server.address().to_string(), two);
    assert!(!directory.path().join("three").exists());

    let listen = ("EVENT_HTTPD_LISTEN", "127.0.0.1:0");
    let field = |server: &Server, name: &str| server.connect().ask().field(name).map(str::to_owned);
    let header = ("EVENT_HTTPD_HEADER", "A: variable");
    let server = started(&[], &[listen, header]);
    assert_eq!(field(&server, "A").as_deref(), Some("variable"));
    let server = started(&["--header", "A: option"], &[listen, header]);
    assert_eq!(field(&server, "A").as_deref(), Some("option"));
    let server = started(&[], &[listen, ("EVENT_HTTPD_HEADER", "A: 1\nB: 2")]);
    assert_eq!(field(&server, "A").as_deref(), Some("1"));
    assert_eq!(field(&server, "B").as_deref(), Some("2"));
    let server = started(&[], &[listen, ("EVENT_HTTPD_HEADER", "A: 1\nB: 2\n")]);
    assert_eq!(field(&server, "B").as_deref(), Some("2"));

    let server = started(&[], &[listen, ("EVENT_HTTPD_DATE", "true")]);
    assert!(field(&server, "Date").is_some());
    let server = started(&[], &[listen, ("EVENT_HTTPD_DATE", "false")]);
    assert!(field(&server, "Date").is_none());
    let server = started(&["--date"], &[listen, ("EVENT_HTTPD_DATE", "false")]);
    assert!(field(&server, "Date").is_some());

    let status = |server: &Server, length: usize| {
        let mut client = server.connect();
        client.send(format!(
            "POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send("a".repeat(length));
        client.answer().status
    };
    let limit = ("EVENT_HTTPD_MAX_BODY_SIZE", "100");
    let server = started(&[], &[listen, limit]);
    assert_eq!((status(&server, 100), status(&server, 101)), (200, 413));
    let server = started(&["--max-body-size", "200"], &[listen, limit]);
    assert_eq!((status(&server, 200), status(&server, 201)), (200, 413));

    let json = ("EVENT_HTTPD_LOG_FORMAT", "json");
    let server = started(&[], &[listen, json]);
    assert!(server.line("listening on ").starts_with('{'));
    let server = started(&["--log-format", "text"], &[listen, json]);
    assert!(!server.line("listening on ").starts_with('{'));
}

#[test]
fn every_value_may_come_from_the_environment() {
    let server = started(
        &[],
        &[
            ("EVENT_HTTPD_LISTEN", "127.0.0.1:0"),
            ("EVENT_HTTPD_BACKLOG", "10"),
            ("EVENT_HTTPD_SHARE_PORT", "true"),
            ("EVENT_HTTPD_MAX_CONNECTIONS", "5"),
            ("EVENT_HTTPD_HEADER_TIMEOUT", "1500ms"),
            ("EVENT_HTTPD_IDLE_TIMEOUT", "1m 15s"),
            ("EVENT_HTTPD_MAX_HEADER_SIZE", "8KiB"),
            ("EVENT_HTTPD_MAX_QUEUE", "65536"),
            ("EVENT_HTTPD_GRACE", "0s"),
            ("EVENT_HTTPD_ECHO", "true"),
        ],
    );
    server.connect().ask();
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_server_runs_with_closed_standard_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let scripts = [
        "2>&-",
        ">&-",
        "<&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        "2>/dev/full",
    ];
    for (index, script) in scripts.into_iter().enumerate() {
        let path = directory.path().join(index.to_string());
        let mut command = shell(&format!("exec {script};"));
        command.args(["serve", "--echo", "-v", "--listen"]);
        command
            .arg(format!("unix:{}", path.display()))
            .stderr(Stdio::null());
        serves_unseen(command, Address::Unix(path), script);
    }
}

/// Asserts that a server whose stderr cannot be read serves, handles signals, and ends in order.
#[track_caller]
fn serves_unseen(command: Command, address: Address, what: &str) {
    let mut process = Process::spawn(command);
    let mut client = until("a server that listens", || {
        assert!(!process.has_ended(), "{what}: it has ended instead");
        Client::connect(&address).ok()
    });
    for _ in 0..10 {
        client.ask();
    }
    process.signal(Signal::SIGUSR1);
    client.ask();
    process.signal(Signal::SIGTERM);
    client.expect_close();
    assert_eq!(process.end().code(), Some(0), "{what}");
}

#[test]
fn the_server_runs_when_the_reader_of_stderr_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = event_httpd([
        "serve",
        "--listen",
        &format!("unix:{}", path.display()),
        "-v",
    ]);
    command.stderr(writer);
    serves_unseen(command, Address::Unix(path), "a pipe without a reader");
}

#[test]
fn unread_messages_do_not_change_the_exit_code() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["serve", "--help"], 0),
        (&["--version"], 0),
        (&["serve", "--nonsense"], 2),
        (&["serve", "--listen", "192.0.2.1:8080"], 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = event_httpd(arguments.iter().copied());
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        assert_eq!(
            Process::spawn(command).end().code(),
            Some(code),
            "{arguments:?}"
        );
    }
}

#[test]
fn an_environment_that_is_not_text_causes_no_panic() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    let mut command = event_httpd(["serve"]);
    command.env("EVENT_HTTPD_LISTEN", bytes);
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_no_panic(&ended);
    let mut command = event_httpd(["serve", "--header"]);
    command.arg(bytes);
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_no_panic(&ended);
}

#[test]
fn times_without_a_unit_are_seconds() {
    for option in [
        "--grace",
        "--header-timeout",
        "--idle-timeout",
        "--bus-timeout",
    ] {
        let mut command = event_httpd(["serve", option, "1", "--listen", "127.0.0.1:0"]);
        command.env("EVENT_HTTPD_GRACE", "7");
        if option == "--grace" {
            command.env_remove("EVENT_HTTPD_GRACE");
        }
        if option == "--bus-timeout" {
            command.args(["--workers", "1"]);
        }
        let server = Server::run(command);
        let (_status, log) = server.stop();
        let grace = if option == "--grace" { "1s" } else { "7s" };
        let stopping = format!("stopping within {grace}");
        assert!(log.iter().any(|line| line.contains(&stopping)), "{log:?}");
    }
}

#[test]
fn verbose_in_the_environment_is_a_number_or_yes_or_no() {
    for (value, connections) in [("true", true), ("1", true), ("0", false), ("false", false)] {
        let server = started(
            &["--listen", "127.0.0.1:0"],
            &[("EVENT_HTTPD_VERBOSE", value)],
        );
        server.connect().ask();
        let (_status, log) = server.stop();
        let connected = log.iter().any(|line| line.contains(" connected "));
        assert_eq!(connected, connections, "{value}: {log:?}");
    }
    let mut command = event_httpd(["serve"]);
    command.env("EVENT_HTTPD_VERBOSE", "very");
    assert_bad_usage(&output(command), &["--verbose", "very", "true or false"]);
}

#[test]
fn a_variable_that_no_option_has_is_warned_of() {
    let listen = ("EVENT_HTTPD_LISTEN", "127.0.0.1:0");
    let server = started(
        &[],
        &[
            listen,
            ("EVENT_HTTPD_LISTN", "x"),
            ("EVENT_HTTPD_FRAMING", "raw"),
        ],
    );
    let (_status, log) = server.stop();
    let warnings: Vec<&String> = log.iter().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 1, "{log:?}");
    assert!(warnings[0].contains("EVENT_HTTPD_LISTN"), "{log:?}");
}

#[test]
fn an_address_without_a_host_is_refused_with_what_to_write() {
    for listen in [":9999", "*:9999"] {
        let output = serve(&["--listen", listen]);
        assert_bad_usage(&output, &["--listen", "0.0.0.0:9999", "[::]:9999"]);
    }
}

#[test]
fn options_of_a_socket_file_without_one_are_bad_usage() {
    for (option, value) in [("--socket-mode", "0660"), ("--socket-group", "0")] {
        let output = serve(&[option, value]);
        assert_bad_usage(&output, &[option, "unix:"]);
    }
}

#[test]
fn an_option_of_a_port_without_one_is_bad_usage() {
    let output = serve(&["--listen", "unix:nonesuch/socket", "--share-port"]);
    assert_bad_usage(
        &output,
        &["--share-port is for a port", "--listen HOST:PORT"],
    );
}

#[test]
fn a_time_that_is_too_long_is_bad_usage_with_or_without_a_unit() {
    for time in ["31536001", "99999999999", "99999999999999999999", "366days"] {
        let output = serve(&["--grace", time]);
        assert_bad_usage(&output, &[time, "must not be more than a year"]);
    }
}

#[test]
fn what_is_no_number_in_its_range_is_bad_usage_that_says_the_range() {
    for number in ["", "x", "-1", "0", "1.5", "99999999999999999999"] {
        for (option, range) in [
            ("--backlog", "from 1 to 2147483647"),
            ("--max-connections", "from 1 to 4294967295"),
            ("--worker-max-requests", "from 1 to 18446744073709551615"),
        ] {
            let output = serve(&[&format!("{option}={number}")]);
            assert_bad_usage(&output, &[option, "write a whole number", range]);
        }
    }
}
