//! Options of `hub`: what makes a hub, and what is refused.

use std::fs;

use super::support::{KEY, Publisher, Subscriber, ask, bearer, full_token, get, post};
use super::support_http::{Server, event_httpd, output};

/// The message of a hub that does not start.
#[track_caller]
fn refused(options: &[&str]) -> String {
    let arguments = ["hub", "--listen", "127.0.0.1:0"].into_iter();
    let output = output(event_httpd(arguments.chain(options.iter().copied())));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains(KEY), "{error}");
    error
}

#[test]
fn options_that_make_no_hub_are_bad_usage() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let garbage = file("keys.json", "{}");
    let longest = file("longest", &"x".repeat(1 << 20));
    let too_long = file("too long", &"x".repeat((1 << 20) + 1));
    let private = file(
        "key.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    for (options, says) in [
        (&["--anonymous"][..], "--publisher-key"),
        (&["--publisher-key", KEY], "--anonymous"),
        (&["--anonymous", "--publisher-key", ""], "empty"),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--subscriber-algorithm",
                "RS256",
            ],
            "--subscriber-key-file",
        ),
        (&["--anonymous", "--issuer", ""], "--issuer"),
        (&["--anonymous", "--audience", ""], "--audience"),
        (
            &["--anonymous", "--protocol", "deployed", "--issuer", "a"],
            "--issuer is for tokens of the standard form: leave out --issuer or --protocol deployed",
        ),
        (
            &["--anonymous", "--protocol", "deployed", "--audience", "a"],
            "--audience is for tokens of the standard form",
        ),
        (
            &["--anonymous", "--publisher-key-file", "/nowhere"],
            "/nowhere",
        ),
        (&["--anonymous", "--publisher-jwks-file", &garbage], "JWKS"),
        (&["--anonymous", "--publisher-jwks-file", &longest], "JWKS"),
        (
            &["--anonymous", "--publisher-jwks-file", &too_long],
            "longer than 1 MiB",
        ),
        (
            &["--anonymous", "--publisher-key-file", &private],
            "public key",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--publisher-algorithm",
                "none",
            ],
            "HS256",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--cors-origin",
                "https://x/y",
            ],
            "origin",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--cors-origin",
                "https://*.example.com",
            ],
            "without a path, or * alone",
        ),
        (
            &["--anonymous", "--publisher-key", KEY, "--history=-1"],
            "write a whole number",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--store",
                "redis://x:0",
            ],
            "--store: the port must be from 1 to 65535",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--store",
                "redis://:hidden@/1",
            ],
            "--store: the URL",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--store",
                "rediss://x",
                "--store-ca-file",
                "/nonesuch",
            ],
            "--store: /nonesuch: No such file",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--store",
                "redis://x",
                "--store-ca-file",
                "authorities.pem",
            ],
            "rediss:",
        ),
        (
            &["--anonymous", "--publisher-key", KEY, "--public-url", "/x"],
            "URL",
        ),
        (
            &[
                "--anonymous",
                "--publisher-key",
                KEY,
                "--public-url",
                "https://x/healthz",
            ],
            "--public-url: the path /healthz is taken",
        ),
    ] {
        let error = refused(options);
        assert!(error.contains(says), "{options:?}: {error}");
        assert!(!error.contains("hidden"), "a password is shown: {error}");
    }
}

#[test]
fn options_for_redis_are_refused_for_the_store_in_memory() {
    for (option, value) in [
        ("--store-timeout", "5s"),
        ("--store-ca-file", "/nonesuch"),
        ("--store-queue", "0"),
    ] {
        for store in [&[][..], &["--store", "memory"]] {
            let hub = ["--anonymous", "--publisher-key", KEY, option, value];
            let error = refused(&[&hub, store].concat());
            assert!(
                error.contains(&format!("{option} is for a store in Redis: give --store")),
                "{error}"
            );
        }
    }
}

#[test]
fn an_option_of_the_store_that_needs_another_names_it() {
    let needs = [
        (["--store-queue-size", "1MiB"], "--store-queue"),
        (["--store-queue-time", "1s"], "--store-queue"),
        (["--store-cert-file", "/nonesuch"], "--store-key-file"),
        (["--store-key-file", "/nonesuch"], "--store-cert-file"),
    ];
    for (option, other) in needs {
        let hub = [
            "--anonymous",
            "--publisher-key",
            KEY,
            "--store",
            "rediss://x",
        ];
        let error = refused(&[&hub[..], &option].concat());
        let [option, _] = option;
        assert!(
            error.contains(&format!("{option} needs {other}: give both")),
            "{error}"
        );
    }
}

#[test]
fn keys_come_from_files_and_variables_and_no_help_shows_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, format!("{KEY}\n")).unwrap();
    let options = ["hub", "--listen", "127.0.0.1:0", "--publisher-key-file"];
    let mut command = event_httpd(options.into_iter().chain([path.to_str().unwrap()]));
    command.env("EVENT_HTTPD_SUBSCRIBER_KEY", KEY);
    let server = Server::run(command);
    let mut subscriber = Subscriber::with(&server, "topic=a", &bearer(&full_token()));
    let id = Publisher::connect(&server).publish(&[("topic", "a"), ("data", "x")]);
    subscriber.expect_update(&id, "x");
    let mut help = event_httpd(["hub", "--help"]);
    help.env("EVENT_HTTPD_SUBSCRIBER_KEY", KEY);
    help.env("EVENT_HTTPD_STORE", "redis://:hidden@127.0.0.1");
    let help = String::from_utf8(output(help).stdout).unwrap();
    assert!(
        help.contains("EVENT_HTTPD_SUBSCRIBER_KEY")
            && !help.contains(KEY)
            && !help.contains("hidden"),
        "{help}"
    );
}

#[test]
fn the_hub_answers_at_the_path_of_its_public_url_alone() {
    let url = "https://example.com/push";
    let server = super::support::open_hub(&["--public-url", url, "--max-body-size", "1KiB"]);
    assert_eq!(
        ask(&server, &get("/.well-known/mercure?topic=a", "")).status,
        404
    );
    let mut client = server.connect();
    client.send(get("/push?topic=a", ""));
    assert_eq!(client.answer_to_head().status, 200);
    let lines = bearer(&full_token());
    let request = |body: &str| post(body, &lines).replace("/.well-known/mercure", "/push");
    assert_eq!(ask(&server, &request("topic=a")).status, 200);
    assert_eq!(ask(&server, &request("topic=/push/x")).status, 400);
    let long = format!("topic=a&data={}", "x".repeat(1100));
    assert_eq!(ask(&server, &request(&long)).status, 413);
}

#[test]
fn a_limit_for_each_address_is_refused_where_peers_have_none() {
    let options = ["--subscribers-per-address", "1"];
    let hub = [
        "hub",
        "--listen",
        "unix:nonesuch/socket",
        "--anonymous",
        "--publisher-key",
        KEY,
    ];
    let output = output(event_httpd([&hub[..], &options].concat()));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("--subscribers-per-address is for a port"),
        "{error}"
    );
}
