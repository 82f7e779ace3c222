//! Buffer events against `openssl s_client`, `openssl s_server` and curl.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread;

use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventSslContext, SslVersion};

use crate::peers::{CONNECTED, CONNECTING, EOF, NO_OPTIONS, Seen, World, errors};
use test_support::{run, spawn};

/// A process that is killed at the end of the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one connection reported.
#[derive(Default, Debug)]
struct Visit {
    what: Vec<php_event::BufferEventFlags>,
    errors: Vec<String>,
    protocol: Option<String>,
}

/// Serves one connection with `context`, while `visit` runs in a thread with the port.
/// `answer` gets all bytes received so far, and returns what to send before closing.
fn serve<T: Send + 'static>(
    context: &EventSslContext,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>> + 'static,
    visit: impl FnOnce(u16) -> T + Send + 'static,
) -> (Visit, T) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let visitor = thread::spawn(move || visit(port));
    let (socket, _) = listener.accept().unwrap();
    drop(listener);
    let base = EventBase::new().unwrap();
    let state = EventBufferEvent::SSL_ACCEPTING;
    let bev = EventBufferEvent::ssl_socket(&base, socket, context, state, NO_OPTIONS).unwrap();
    let told = Rc::new(RefCell::new(Visit::default()));
    let note = told.clone();
    let come = RefCell::new(Vec::new());
    let callbacks = Callbacks::new()
        .on_read(move |bev| {
            come.borrow_mut()
                .extend(bev.read(1 << 20).unwrap().unwrap());
            let answered = answer(&come.borrow());
            if let Some(bytes) = answered {
                bev.write(&bytes).unwrap();
                let ends = Callbacks::new().on_write(EventBufferEvent::free);
                bev.set_callbacks(ends).unwrap();
            }
        })
        .on_event(move |bev, what| {
            let mut told = note.borrow_mut();
            told.what.push(what);
            if what == CONNECTED {
                told.protocol = bev.ssl_get_protocol().unwrap();
            } else {
                told.errors.extend(errors(bev));
                drop(told);
                bev.free();
            }
        });
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(Event::READ).unwrap();
    run(&base);
    let result = visitor.join().unwrap();
    (told.take(), result)
}

fn http(come: &[u8]) -> Option<Vec<u8>> {
    let whole = come.ends_with(b"\r\n\r\n");
    whole.then(|| b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
}

/// Runs curl against a server of this crate: its exit code and what it received.
fn curl(context: &EventSslContext, host: &str, arguments: &[&str]) -> (Visit, i32, String) {
    let host = host.to_owned();
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    let (visit, output) = serve(context, http, move |port| {
        Command::new("curl")
            .args(["--silent", "--max-time", "20", "--noproxy", "*"])
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(arguments)
            .arg(format!("https://{host}:{port}/"))
            .output()
            .unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    (visit, output.status.code().unwrap(), text)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn curl_accepts_the_right_certificate_and_refuses_the_wrong_one() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "authority");
    let server = world.server();
    let right = ["--cacert", text(&trusted)];
    let (visit, code, got) = curl(&server, "localhost", &right);
    assert_eq!((code, &*got), (0, "hello"), "{visit:?}");
    let (visit, code, _) = curl(&server, "example.com", &right);
    assert_eq!(code, 60, "{visit:?}"); // wrong host name
    let (visit, code, _) = curl(&server, "localhost", &[]);
    assert_eq!(code, 60, "{visit:?}"); // unknown authority
    assert!(visit.errors[0].contains("unknown ca"), "{visit:?}");
    let expired = world.server_as(&world.authority.sign_expired(&["localhost"]), &[]);
    let (visit, code, _) = curl(&expired, "localhost", &right);
    assert_eq!(code, 60, "{visit:?}");
    assert!(visit.errors[0].contains("certificate expired"), "{visit:?}");
}

#[test]
fn curl_speaks_either_version() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "authority");
    let server = world.server();
    for (arguments, protocol) in [
        (&["--tlsv1.3"][..], "TLSv1.3"),
        (&["--tls-max", "1.2"], "TLSv1.2"),
    ] {
        let arguments = [&["--cacert", text(&trusted)], arguments].concat();
        let (visit, code, got) = curl(&server, "localhost", &arguments);
        assert_eq!((code, &*got), (0, "hello"));
        assert_eq!(visit.protocol.as_deref(), Some(protocol));
    }
    server.set_min_proto_version(SslVersion::Tls1_3).unwrap();
    let arguments = ["--cacert", text(&trusted), "--tls-max", "1.2"];
    let (visit, code, _) = curl(&server, "localhost", &arguments);
    assert_eq!(code, 35, "{visit:?}");
}

#[test]
fn curl_sends_its_certificate_where_one_is_required() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "authority");
    let server = world.server_as(
        &world.authority.sign(&["localhost"]),
        &[
            (EventSslContext::OPT_CA_FILE, trusted.as_path().into()),
            (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into()),
        ],
    );
    let files = world.authority.sign(&[]).save(&world.folder, "client");
    let with = ["--cacert", text(&trusted), "--cert", text(&files.both)];
    let (visit, code, got) = curl(&server, "localhost", &with);
    assert_eq!((code, &*got), (0, "hello"), "{visit:?}");
    // The exit code depends on whether curl is still writing when the server closes.
    let (visit, code, got) = curl(&server, "localhost", &with[..2]);
    assert_ne!(code, 0, "{visit:?}");
    assert_eq!(got, "", "{visit:?}");
    assert!(
        visit.errors[0].contains("did not return a certificate"),
        "{visit:?}"
    );
}

/// Runs `openssl s_client` with `lines` as its input; returns what it printed.
fn s_client(context: &EventSslContext, arguments: &[&str], lines: &'static str) -> (Visit, String) {
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    let echo = |come: &[u8]| come.ends_with(b"end\n").then(|| come.to_ascii_uppercase());
    serve(context, echo, move |port| {
        let mut program = spawn(
            Command::new("openssl")
                .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
                .args(["-servername", "localhost", "-verify_return_error"])
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .map(Program)
        .unwrap();
        let mut input = program.0.stdin.take().unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(program.0.stdout.take().unwrap());
        // s_client takes a line as a command only if it reads it alone, so wait for the handshake.
        let mut errors = BufReader::new(program.0.stderr.take().unwrap());
        while !said.contains("Verify return code") && output.read_line(&mut said).unwrap() > 0 {}
        for line in lines.lines() {
            let _ = writeln!(input, "{line}");
            if line == "R" {
                let mut heard = String::new();
                while !heard.contains("RENEGOTIATING") {
                    assert!(errors.read_line(&mut heard).unwrap() > 0, "{heard}");
                }
            }
        }
        let _ = output.read_to_string(&mut said);
        drop(input);
        let _ = errors.read_to_string(&mut said);
        said
    })
}

#[test]
fn s_client_is_served_by_either_version() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "authority");
    for (flag, protocol) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let arguments = ["-CAfile", text(&trusted), flag];
        let (visit, said) = s_client(&world.server(), &arguments, "hello\nend");
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("HELLO\nEND\n"), "{said}");
        assert_eq!(visit.protocol.as_deref(), Some(protocol));
    }
}

#[test]
fn s_client_that_tries_to_renegotiate_is_refused() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "authority");
    let arguments = ["-CAfile", text(&trusted), "-tls1_2"];
    let (visit, said) = s_client(&world.server(), &arguments, "R\nend");
    assert!(said.contains("no renegotiation"), "{visit:?} {said}");
    assert!(!said.contains("END\n"), "{said}");
}

/// Runs a client against `openssl s_server -WWW`: its report, and the bytes it received.
fn s_server(
    world: &World,
    arguments: &[&str],
    context: &EventSslContext,
    host: &str,
) -> (Visit, Vec<u8>) {
    let files = world
        .authority
        .sign(&["localhost"])
        .save(&world.folder, "peer");
    let mut program = spawn(
        Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-naccept",
                "1",
                "-WWW",
            ])
            .args(["-cert", text(&files.cert), "-key", text(&files.key)])
            .args(arguments)
            .current_dir(world.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    )
    .map(Program)
    .unwrap();
    let mut output = BufReader::new(program.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    let address = line.trim().strip_prefix("ACCEPT ").unwrap().to_owned();

    let base = EventBase::new().unwrap();
    let bev = EventBufferEvent::ssl_unconnected(&base, context, CONNECTING, NO_OPTIONS).unwrap();
    bev.set_ssl_host(host).unwrap();
    bev.write("GET /page HTTP/1.0\r\n\r\n").unwrap();
    let (seen, got) = (Seen::default(), Rc::new(RefCell::new(Vec::new())));
    let (told, protocol) = (
        Rc::new(RefCell::new(Vec::new())),
        Rc::new(RefCell::new(None)),
    );
    let (note, all, why, spoken) = (seen.clone(), got.clone(), told.clone(), protocol.clone());
    let callbacks = Callbacks::new()
        .on_read(move |bev| all.borrow_mut().extend(bev.read(1 << 20).unwrap().unwrap()))
        .on_event(move |bev, what| {
            note.add("client", what);
            if what == CONNECTED {
                spoken.replace(bev.ssl_get_protocol().unwrap());
            } else {
                why.borrow_mut().extend(errors(bev));
                bev.free();
            }
        });
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(Event::READ).unwrap();
    bev.connect(&address).unwrap();
    run(&base);
    let visit = Visit {
        what: seen.of("client").to_vec(),
        errors: told.take(),
        protocol: protocol.take(),
    };
    (visit, got.take())
}

/// Writes the page that `s_server` serves.
fn page(world: &World) -> Vec<u8> {
    let page = b"a page\n".repeat(1000);
    File::create_new(world.folder.path().join("page"))
        .unwrap()
        .write_all(&page)
        .unwrap();
    page
}

#[test]
fn s_server_is_asked_by_a_client_of_ours() {
    let world = World::new();
    let page = page(&world);
    for (flag, protocol) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (visit, got) = s_server(&world, &[flag], &world.client(), "localhost");
        assert_eq!(visit.what, [CONNECTED, EOF], "{visit:?}");
        assert!(got.ends_with(&page), "{protocol}");
        assert_eq!(visit.protocol.as_deref(), Some(protocol));

        let (visit, _got) = s_server(&world, &[flag], &world.client(), "example.com");
        assert_eq!(visit.what, [crate::peers::ERROR]);
        assert!(visit.errors[0].contains("hostname mismatch"), "{visit:?}");
    }
}

#[test]
fn s_server_that_requires_a_certificate_gets_it_or_refuses() {
    let world = World::new();
    let page = page(&world);
    let authority = world.authority.save(&world.folder, "trusted");
    let own = world.authority.sign(&[]).save(&world.folder, "own");
    for flag in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            flag,
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
            text(&authority),
        ];
        let client = world.client();
        client.set_local_cert(&own.both).unwrap();
        let (visit, got) = s_server(&world, &arguments, &client, "localhost");
        assert_eq!(visit.what, [CONNECTED, EOF], "{flag} {visit:?}");
        assert!(got.ends_with(&page), "{flag}");

        let (visit, got) = s_server(&world, &arguments, &world.client(), "localhost");
        assert!(!visit.what.contains(&EOF), "{flag} {visit:?}");
        assert!(got.is_empty(), "{flag}");
    }
}
