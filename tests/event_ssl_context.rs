//! `EventSslContext`: its constants, options, files and setters. Their effect on connections
//! is tested beside the code.
#![cfg(feature = "openssl")]

use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use php_event::{Error, EventSslContext, Result, SslMethod, SslOption, SslValue, SslVersion};
use test_support::tls::{Authority, Files, Folder, Identity};

const CREATE: &str = "EventSslContext::__construct";

fn server(options: &[(SslOption, SslValue)]) -> Result<EventSslContext> {
    EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, options)
}

fn client(options: &[(SslOption, SslValue)]) -> Result<EventSslContext> {
    EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, options)
}

fn cert(path: &Path) -> (SslOption, SslValue) {
    (EventSslContext::OPT_LOCAL_CERT, path.into())
}

fn key(path: &Path) -> (SslOption, SslValue) {
    (EventSslContext::OPT_LOCAL_PK, path.into())
}

fn passphrase(text: &str) -> (SslOption, SslValue) {
    (EventSslContext::OPT_PASSPHRASE, text.into())
}

/// The cause of a failed call.
#[track_caller]
fn cause<T>(result: Result<T>, call: &str) -> String {
    let error = result.err().expect("it was taken");
    assert!(matches!(error, Error::Call { .. }), "{error:?}");
    assert_eq!(error.call(), call);
    let cause = error.error_info().expect("no cause").to_owned();
    assert!(!cause.contains('\n'), "{cause:?}");
    assert!(ErrorStack::get().errors().is_empty(), "left in the queue");
    cause
}

/// The text of a refused argument.
#[track_caller]
fn argument<T>(result: Result<T>, call: &str) -> String {
    let error = result.err().expect("it was taken");
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert_eq!(error.call(), call);
    error.to_string()
}

#[test]
#[expect(deprecated, reason = "these are among the names to test")]
fn constants_have_the_numbers_of_php() {
    type Class = EventSslContext;
    let methods = [
        (Class::TLS_CLIENT_METHOD, "TLS_CLIENT_METHOD", 4, false),
        (Class::TLS_SERVER_METHOD, "TLS_SERVER_METHOD", 8, true),
        (
            Class::TLSv11_CLIENT_METHOD,
            "TLSv11_CLIENT_METHOD",
            9,
            false,
        ),
        (
            Class::TLSv11_SERVER_METHOD,
            "TLSv11_SERVER_METHOD",
            10,
            true,
        ),
        (
            Class::TLSv12_CLIENT_METHOD,
            "TLSv12_CLIENT_METHOD",
            11,
            false,
        ),
        (
            Class::TLSv12_SERVER_METHOD,
            "TLSv12_SERVER_METHOD",
            12,
            true,
        ),
    ];
    for (method, name, number, server) in methods {
        assert_eq!((method.name(), method.number()), (name, number));
        assert_eq!(method.is_server(), server, "{name}");
        let made = EventSslContext::new(method, &[]).unwrap();
        assert_eq!(made.method(), method);
    }
    let options = [
        (Class::OPT_LOCAL_CERT, "OPT_LOCAL_CERT", 1),
        (Class::OPT_LOCAL_PK, "OPT_LOCAL_PK", 2),
        (Class::OPT_PASSPHRASE, "OPT_PASSPHRASE", 3),
        (Class::OPT_CA_FILE, "OPT_CA_FILE", 4),
        (Class::OPT_CA_PATH, "OPT_CA_PATH", 5),
        (Class::OPT_ALLOW_SELF_SIGNED, "OPT_ALLOW_SELF_SIGNED", 6),
        (Class::OPT_VERIFY_PEER, "OPT_VERIFY_PEER", 7),
        (Class::OPT_VERIFY_DEPTH, "OPT_VERIFY_DEPTH", 8),
        (Class::OPT_CIPHERS, "OPT_CIPHERS", 9),
        (Class::OPT_NO_SSLv2, "OPT_NO_SSLv2", 10),
        (Class::OPT_NO_SSLv3, "OPT_NO_SSLv3", 11),
        (Class::OPT_NO_TLSv1, "OPT_NO_TLSv1", 12),
        (Class::OPT_NO_TLSv1_1, "OPT_NO_TLSv1_1", 13),
        (Class::OPT_NO_TLSv1_2, "OPT_NO_TLSv1_2", 14),
        (
            Class::OPT_CIPHER_SERVER_PREFERENCE,
            "OPT_CIPHER_SERVER_PREFERENCE",
            15,
        ),
        (
            Class::OPT_REQUIRE_CLIENT_CERT,
            "OPT_REQUIRE_CLIENT_CERT",
            16,
        ),
        (Class::OPT_VERIFY_CLIENT_ONCE, "OPT_VERIFY_CLIENT_ONCE", 17),
    ];
    for (option, name, number) in options {
        assert_eq!((option.name(), option.number()), (name, number));
    }
    let versions = [
        (Class::SSL3_VERSION, "SSL3_VERSION", 768),
        (Class::TLS1_VERSION, "TLS1_VERSION", 769),
        (Class::TLS1_1_VERSION, "TLS1_1_VERSION", 770),
        (Class::TLS1_2_VERSION, "TLS1_2_VERSION", 771),
        (Class::TLS1_3_VERSION, "TLS1_3_VERSION", 772),
        (Class::DTLS1_VERSION, "DTLS1_VERSION", 65279),
        (Class::DTLS1_2_VERSION, "DTLS1_2_VERSION", 65277),
    ];
    for (version, name, number) in versions {
        assert_eq!((version.name(), version.number()), (name, number));
    }
}

#[test]
fn the_openssl_version_is_that_of_the_headers_and_fits_the_library() {
    let text = EventSslContext::OPENSSL_VERSION_TEXT;
    let [name, version, ..] = text.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert_eq!(name, "OpenSSL");
    let number = EventSslContext::OPENSSL_VERSION_NUMBER;
    let (major, minor) = (number >> 28, number >> 20 & 0xff);
    assert!(
        version.starts_with(&format!("{major}.{minor}.")),
        "{text}, {number:#x}"
    );
    let running = EventSslContext::openssl_version();
    assert!(
        running.starts_with(&format!("OpenSSL {major}.")),
        "{running}"
    );
    assert_eq!(openssl::version::version(), running);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_the_name_of_its_key() {
    let (path, flag, text) = (
        "a path, as text",
        "true or false",
        "ciphers' names, as text",
    );
    let depth = "a number from 0 to 2147483647";
    type Class = EventSslContext;
    let cases: Vec<(SslOption, &str, Vec<SslValue>)> = vec![
        (Class::OPT_LOCAL_CERT, path, vec![5.into(), true.into()]),
        (Class::OPT_LOCAL_PK, path, vec![5.into(), true.into()]),
        (Class::OPT_PASSPHRASE, "a text", vec![true.into()]),
        (Class::OPT_CA_FILE, path, vec![5.into(), true.into()]),
        (Class::OPT_CA_PATH, path, vec![5.into(), true.into()]),
        (Class::OPT_CIPHERS, text, vec![5.into(), true.into()]),
        (
            Class::OPT_VERIFY_DEPTH,
            depth,
            vec!["5".into(), true.into()],
        ),
        (
            Class::OPT_VERIFY_DEPTH,
            depth,
            vec![(-1).into(), (1i64 << 31).into()],
        ),
        (
            Class::OPT_ALLOW_SELF_SIGNED,
            flag,
            vec![1.into(), "1".into()],
        ),
        (Class::OPT_VERIFY_PEER, flag, vec![1.into(), "1".into()]),
        (Class::OPT_NO_SSLv2, flag, vec![1.into(), "1".into()]),
        (Class::OPT_NO_SSLv3, flag, vec![1.into(), "1".into()]),
        (Class::OPT_NO_TLSv1, flag, vec![1.into(), "1".into()]),
        (Class::OPT_NO_TLSv1_1, flag, vec![1.into(), "1".into()]),
        (Class::OPT_NO_TLSv1_2, flag, vec![1.into(), "1".into()]),
        (
            Class::OPT_CIPHER_SERVER_PREFERENCE,
            flag,
            vec![1.into(), "1".into()],
        ),
        (
            Class::OPT_REQUIRE_CLIENT_CERT,
            flag,
            vec![1.into(), "1".into()],
        ),
        (
            Class::OPT_VERIFY_CLIENT_ONCE,
            flag,
            vec![1.into(), "1".into()],
        ),
    ];
    for (option, wanted, values) in cases {
        for value in values {
            let given = match &value {
                SslValue::Bool(value) => value.to_string(),
                SslValue::Int(value) => format!("the number {value}"),
                SslValue::Text(_) => "a text".to_owned(),
                other => panic!("{other:?}"),
            };
            let expected = format!("{CREATE}: {} wants {wanted}, not {given}", option.name());
            assert_eq!(argument(client(&[(option, value)]), CREATE), expected);
        }
    }
}

#[test]
fn a_text_that_c_would_truncate_is_refused_and_not_shown() {
    let texts = [
        (
            EventSslContext::OPT_PASSPHRASE,
            "hun\0ter2".to_owned(),
            "a text without NUL",
        ),
        (
            EventSslContext::OPT_PASSPHRASE,
            "hunter2".repeat(147),
            "at most 1024 bytes",
        ),
        (
            EventSslContext::OPT_CIPHERS,
            "hunter2\0".to_owned(),
            "without NUL",
        ),
    ];
    for (option, text, wanted) in texts {
        let message = argument(client(&[(option, text.into())]), CREATE);
        assert!(message.contains(option.name()), "{message}");
        assert!(message.contains(wanted), "{message}");
        assert!(!message.contains("ter2"), "{message}");
    }
    let bytes = std::ffi::OsString::from_vec(vec![0xff]);
    let list = (EventSslContext::OPT_CIPHERS, PathBuf::from(bytes).into());
    assert!(argument(client(&[list]), CREATE).contains("OPT_CIPHERS"));
}

#[test]
fn every_option_of_the_right_type_is_accepted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let files = authority.sign(&["localhost"]).save(&folder, "own");
    let options = [
        cert(&files.cert),
        key(&files.key),
        passphrase("secret"),
        (
            EventSslContext::OPT_CA_FILE,
            authority.save(&folder, "ca").into(),
        ),
        (
            EventSslContext::OPT_CA_PATH,
            authority.save_hashed(&folder, "cas").into(),
        ),
        (EventSslContext::OPT_ALLOW_SELF_SIGNED, true.into()),
        (EventSslContext::OPT_VERIFY_PEER, true.into()),
        (EventSslContext::OPT_VERIFY_DEPTH, 3.into()),
        (EventSslContext::OPT_CIPHERS, "HIGH".into()),
        (EventSslContext::OPT_NO_SSLv2, false.into()),
        (EventSslContext::OPT_NO_SSLv3, false.into()),
        (EventSslContext::OPT_NO_TLSv1, true.into()),
        (EventSslContext::OPT_NO_TLSv1_1, true.into()),
        (EventSslContext::OPT_NO_TLSv1_2, true.into()),
        (EventSslContext::OPT_CIPHER_SERVER_PREFERENCE, true.into()),
        (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into()),
        (EventSslContext::OPT_VERIFY_CLIENT_ONCE, true.into()),
    ];
    for make in [server, client] {
        let context = make(&options).unwrap();
        assert_eq!(context.local_cert().as_deref(), Some(&*files.cert));
        assert_eq!(context.local_pk().as_deref(), Some(&*files.key));
        assert!(ErrorStack::get().errors().is_empty());
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_its_path() {
    let folder = Folder::new();
    let files = Identity::self_signed(&[]).save(&folder, "own");
    let nowhere = folder.path().join("nowhere");
    let lists = [
        vec![cert(&nowhere)],
        vec![key(&nowhere)],
        vec![cert(&files.cert), key(&nowhere)],
        vec![(EventSslContext::OPT_CA_FILE, nowhere.as_path().into())],
        vec![(EventSslContext::OPT_CA_PATH, nowhere.as_path().into())],
        vec![cert(Path::new("a\0b"))],
        vec![(EventSslContext::OPT_CA_PATH, "a\0b".into())],
    ];
    for list in lists {
        let error = server(&list).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{list:?}: {error:?}");
        assert_eq!(error.call(), CREATE);
        if error.kind() == ErrorKind::NotFound {
            let text = format!("{CREATE}: {}: No such file", nowhere.display());
            assert!(error.to_string().starts_with(&text), "{error}");
        } else {
            assert!(error.to_string().contains("a\0b"), "{error}");
        }
    }
    let error = server(&[cert(folder.path())]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
}

#[test]
fn a_file_without_what_it_should_hold_is_an_error_with_its_path() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let files = own.save(&folder, "own");
    let junk = folder.write("junk", "no PEM at all\n");
    let empty = folder.write("empty", "");
    let wrapped = |kind: &str| format!("-----BEGIN {kind}-----\naGVsbG8=\n-----END {kind}-----\n");
    let bad_cert = folder.write("bad.crt", wrapped("CERTIFICATE"));
    let bad_key = folder.write("bad.key", wrapped("PRIVATE KEY"));
    let second_bad = folder.write(
        "2.crt",
        [own.cert_pem(), wrapped("CERTIFICATE").into()].concat(),
    );
    let marked =
        "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let encrypted = folder.write(
        "encrypted.crt",
        marked.to_owned() + "aGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    let ca_file = |path: &Path| (EventSslContext::OPT_CA_FILE, path.into());
    let cases = [
        (
            vec![cert(&encrypted)],
            &encrypted,
            "bad certificate: it is encrypted", // OpenSSL would prompt
        ),
        (vec![cert(&junk)], &junk, "no certificate in it"),
        (vec![cert(&empty)], &empty, "no certificate in it"),
        (vec![cert(&files.key)], &files.key, "no certificate in it"),
        (vec![cert(&files.cert)], &files.cert, "no private key in it"),
        (
            vec![cert(&files.both), key(&files.cert)],
            &files.cert,
            "no private key in it",
        ),
        (vec![key(&empty)], &empty, "no private key in it"),
        (
            vec![ca_file(&files.key)],
            &files.key,
            "no certificate in it",
        ),
        (vec![ca_file(&second_bad)], &second_bad, "bad certificate: "),
        (
            vec![cert(&second_bad), key(&files.key)],
            &second_bad,
            "bad certificate: ",
        ),
        (vec![cert(&bad_cert)], &bad_cert, "bad certificate: "),
        (
            vec![cert(&files.cert), key(&bad_key)],
            &bad_key,
            "bad private key: ",
        ),
        (
            vec![(EventSslContext::OPT_CA_PATH, empty.as_path().into())],
            &empty,
            "not a directory",
        ),
    ];
    for (options, path, expected) in cases {
        let cause = cause(server(&options), CREATE);
        let start = format!("{}: {expected}", path.display());
        assert!(cause.starts_with(&start), "{cause}");
        assert!(cause.len() < start.len() + 100, "{cause}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    let one = Identity::self_signed(&[]).save(&folder, "one");
    let other = Identity::self_signed(&[]).save(&folder, "other");
    let rsa = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
    let rsa = folder.write("rsa.key", rsa.private_key_to_pem_pkcs8().unwrap());
    for key_file in [&other.key, &rsa] {
        let expected = format!(
            "{}: not the key of the certificate in {}",
            key_file.display(),
            one.cert.display()
        );
        let both_orders = [
            [cert(&one.cert), key(key_file)],
            [key(key_file), cert(&one.cert)],
        ];
        for options in both_orders {
            assert_eq!(cause(server(&options), CREATE), expected);
        }
    }
    // The key file is preferred to a key in the certificate file, as in PHP.
    let options = [cert(&one.both), key(&other.key)];
    assert!(cause(server(&options), CREATE).contains("not the key"));
}

#[test]
fn a_certificate_too_weak_for_this_openssl_is_refused() {
    let folder = Folder::new();
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(512).unwrap()).unwrap();
    let own = Identity::self_signed_with(key, &[]);
    let files = own.save(&folder, "weak");
    let cause = cause(server(&[cert(&files.both)]), CREATE);
    assert_eq!(cause, format!("{}: ee key too small", files.both.display()));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_wherever_that_stands() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let cert_file = folder.write("own.crt", own.cert_pem());
    let limit = "p".repeat(1024);
    let secrets = ["secret", "7", "", &limit, "pässwörd"];
    let pem_forms: [fn(&Identity, &str) -> Vec<u8>; 2] = [
        |own, secret| own.encrypted_key_pem(secret.as_bytes()),
        |own, secret| own.encrypted_traditional_key_pem(secret.as_bytes()),
    ];
    for (form, pem) in pem_forms.into_iter().enumerate() {
        for secret in secrets {
            if secret.is_empty() && form == 1 {
                continue; // OpenSSL requires 4 characters for this form
            }
            let key_file = folder.write("own.key", pem(&own, secret));
            let both = folder.write("own.pem", [own.cert_pem(), pem(&own, secret)].concat());
            let lists = [
                vec![passphrase(secret), cert(&cert_file), key(&key_file)],
                vec![cert(&cert_file), key(&key_file), passphrase(secret)],
                vec![key(&key_file), passphrase(secret), cert(&cert_file)],
                vec![cert(&both), passphrase(secret)],
            ];
            for list in lists {
                let made = server(&list);
                assert!(made.is_ok(), "{form} {secret:?}: {made:?}");
            }
        }
    }
    let key_file = folder.write("own.key", own.encrypted_key_pem(b"7"));
    let number = (EventSslContext::OPT_PASSPHRASE, 7.into());
    drop(server(&[cert(&cert_file), key(&key_file), number]).unwrap());
}

#[test]
fn a_wrong_or_missing_passphrase_is_an_error_without_a_prompt() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let cert_file = folder.write("own.crt", own.cert_pem());
    let pems = [
        own.encrypted_key_pem(b"secret"),
        own.encrypted_traditional_key_pem(b"secret"),
    ];
    for pem in pems {
        let key_file = folder.write("own.key", pem);
        let files = [cert(&cert_file), key(&key_file)];
        let expected = format!(
            "{}: the key is encrypted; give OPT_PASSPHRASE",
            key_file.display()
        );
        assert_eq!(cause(server(&files), CREATE), expected);
        for wrong in ["Secret", "", "secret2"] {
            let mut options = files.to_vec();
            options.push(passphrase(wrong));
            let cause = cause(server(&options), CREATE);
            let start = format!(
                "{}: OPT_PASSPHRASE does not open the key: ",
                key_file.display()
            );
            assert!(cause.starts_with(&start), "{cause}");
        }
    }
}

#[test]
fn a_file_larger_than_the_limit_is_refused_and_one_at_it_read() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let pem = [own.cert_pem(), own.key_pem()].concat();
    for (size, taken) in [
        ((16 << 20) - pem.len(), true),
        ((16 << 20) + 1 - pem.len(), false),
    ] {
        let file = folder.write("large.pem", [pem.clone(), vec![b'\n'; size]].concat());
        let made = server(&[cert(&file)]);
        if taken {
            drop(made.unwrap());
        } else {
            assert!(cause(made, CREATE).ends_with("larger than 16 MiB"));
        }
    }
}

#[test]
fn a_path_that_leads_to_no_regular_file_is_refused_without_waiting() {
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let files = Identity::self_signed(&[]).save(&folder, "own");
    let cas = folder.path().join("cas");
    std::fs::create_dir(&cas).unwrap();
    let hashed = cas.join("0123abcd.0");
    std::os::unix::fs::symlink(&fifo, &hashed).unwrap();
    for path in [fifo.as_path(), Path::new("/dev/zero")] {
        for options in [
            vec![cert(path)],
            vec![key(path)],
            vec![cert(&files.cert), key(path)],
            vec![(EventSslContext::OPT_CA_FILE, path.into())],
        ] {
            let expected = format!("{}: not a regular file", path.display());
            assert_eq!(cause(server(&options), CREATE), expected);
        }
    }
    let directory = (EventSslContext::OPT_CA_PATH, cas.as_path().into());
    let expected = format!("{}: not a regular file", hashed.display());
    assert_eq!(cause(client(&[directory]), CREATE), expected);

    let context = server(&[]).unwrap();
    let set = cause(
        context.set_local_cert(&fifo),
        "EventSslContext::$local_cert",
    );
    assert!(set.ends_with("not a regular file"), "{set}");
    let set = cause(context.set_local_pk(&fifo), "EventSslContext::$local_pk");
    assert!(set.ends_with("not a regular file"), "{set}");
}

#[test]
fn a_directory_name_that_openssl_would_misread_is_refused() {
    let folder = Folder::new();
    for name in ["a:b".into(), std::ffi::OsString::from_vec(vec![b'a', 0xff])] {
        let dir = folder.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let option = (EventSslContext::OPT_CA_PATH, dir.into());
        assert!(cause(client(&[option]), CREATE).contains("not UTF-8, or contains a colon"));
    }
}

#[test]
fn ciphers_that_openssl_does_not_know_are_refused() {
    let ciphers = |list: &str| client(&[(EventSslContext::OPT_CIPHERS, list.into())]);
    assert_eq!(
        cause(ciphers("NOSUCH"), CREATE),
        "OPT_CIPHERS: no cipher match"
    );
    assert_eq!(cause(ciphers(""), CREATE), "OPT_CIPHERS: no cipher match");
    drop(ciphers("NOSUCH:ECDHE+AESGCM").unwrap());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let options = [
        (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into()),
        (EventSslContext::OPT_VERIFY_PEER, false.into()),
    ];
    let message = argument(server(&options), CREATE);
    assert!(message.contains("OPT_REQUIRE_CLIENT_CERT"), "{message}");
    assert!(message.contains("OPT_VERIFY_PEER"), "{message}");
    drop(client(&options).unwrap()); // has no effect on a client
}

#[test]
fn the_last_value_of_a_repeated_option_counts() {
    let folder = Folder::new();
    let files = Identity::self_signed(&[]).save(&folder, "own");
    let nowhere = folder.path().join("nowhere");
    let context = server(&[cert(&nowhere), cert(&files.both)]).unwrap();
    assert_eq!(context.local_cert(), Some(files.both.clone()));
    server(&[cert(&files.both), cert(&nowhere)]).unwrap_err();
}

#[test]
fn version_bounds_that_leave_no_version_are_refused() {
    const MIN: &str = "EventSslContext::setMinProtoVersion";
    const MAX: &str = "EventSslContext::setMaxProtoVersion";
    let fresh = || client(&[]).unwrap();
    for version in [SslVersion::Ssl3, SslVersion::Dtls1, SslVersion::Dtls1_2] {
        let expected = format!(
            "a context does not speak {}; TLS1_VERSION to TLS1_3_VERSION are possible",
            version.name()
        );
        let set = |call: &str| format!("{call}: {expected}");
        assert_eq!(
            argument(fresh().set_min_proto_version(version), MIN),
            set(MIN)
        );
        assert_eq!(
            argument(fresh().set_max_proto_version(version), MAX),
            set(MAX)
        );
    }
    let context = fresh();
    let expected = "no version is left between the minimum, TLS1_2_VERSION, and the maximum, \
                    TLS1_1_VERSION";
    let refused = context.set_max_proto_version(EventSslContext::TLS1_1_VERSION);
    assert_eq!(argument(refused, MAX), format!("{MAX}: {expected}"));
    context
        .set_min_proto_version(EventSslContext::TLS1_3_VERSION)
        .expect("the refused maximum is still there");
    context
        .set_min_proto_version(EventSslContext::TLS1_2_VERSION)
        .unwrap();
    context
        .set_max_proto_version(EventSslContext::TLS1_2_VERSION)
        .unwrap();
    let refused = context.set_min_proto_version(EventSslContext::TLS1_3_VERSION);
    assert!(argument(refused, MIN).contains("no version is left"));
    context
        .set_min_proto_version(EventSslContext::TLS1_VERSION)
        .unwrap();
    context
        .set_max_proto_version(EventSslContext::TLS1_VERSION)
        .unwrap();
    context
        .set_max_proto_version(EventSslContext::TLS1_3_VERSION)
        .unwrap();
    context
        .set_min_proto_version(EventSslContext::TLS1_3_VERSION)
        .unwrap();

    let without = client(&[(EventSslContext::OPT_NO_TLSv1_2, true.into())]).unwrap();
    let refused = without.set_max_proto_version(EventSslContext::TLS1_2_VERSION);
    assert!(argument(refused, MAX).contains("no version is left"));
}

#[test]
fn a_certificate_set_later_is_loaded_and_read_back() {
    const CALL: &str = "EventSslContext::$local_cert";
    let folder = Folder::new();
    let one = Identity::self_signed(&[]).save(&folder, "one");
    let other = Identity::self_signed(&[]).save(&folder, "other");
    let context = server(&[]).unwrap();
    assert_eq!((context.local_cert(), context.local_pk()), (None, None));

    context.set_local_cert(&one.both).unwrap();
    assert_eq!(context.local_cert(), Some(one.both.clone()));
    assert_eq!(context.local_pk(), None);

    let clone = context.clone();
    clone.set_local_cert(&other.both).unwrap();
    assert_eq!(context.local_cert(), Some(other.both.clone()));

    let expected = format!("{}: no private key in it", one.cert.display());
    assert_eq!(cause(context.set_local_cert(&one.cert), CALL), expected);
    assert_eq!(context.local_cert(), Some(other.both.clone()));
}

#[test]
fn a_key_set_before_its_certificate_waits_for_it() {
    const CALL: &str = "EventSslContext::$local_pk";
    let folder = Folder::new();
    let one = Identity::self_signed(&[]).save(&folder, "one");
    let other = Identity::self_signed(&[]).save(&folder, "other");
    let context = server(&[]).unwrap();

    context.set_local_pk(&one.key).unwrap();
    assert_eq!(context.local_pk(), Some(one.key.clone()));
    context.set_local_cert(&one.cert).unwrap();
    assert_eq!(context.local_cert(), Some(one.cert.clone()));

    let expected = format!(
        "{}: not the key of the certificate in {}",
        other.key.display(),
        one.cert.display()
    );
    assert_eq!(cause(context.set_local_pk(&other.key), CALL), expected);
    assert_eq!(context.local_pk(), Some(one.key.clone()));
    let refused = context.set_local_cert(&other.cert);
    assert!(cause(refused, "EventSslContext::$local_cert").contains("not the key"));
    assert_eq!(context.local_cert(), Some(one.cert.clone()));
}

#[test]
fn a_key_file_that_opens_with_the_passphrase_is_read_by_the_setters_too() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let cert_file = folder.write("own.crt", own.cert_pem());
    let key_file = folder.write("own.key", own.encrypted_key_pem(b"secret"));
    let context = server(&[passphrase("secret")]).unwrap();
    context.set_local_pk(&key_file).unwrap();
    context.set_local_cert(&cert_file).unwrap();
    let without = server(&[]).unwrap();
    let refused = cause(
        without.set_local_pk(&key_file),
        "EventSslContext::$local_pk",
    );
    assert!(refused.contains("give OPT_PASSPHRASE"), "{refused}");
}

#[test]
fn renewed_files_are_read_again_and_half_renewed_ones_change_nothing() {
    let folder = Folder::new();
    let files = Identity::self_signed(&[]).save(&folder, "own");
    let context = server(&[cert(&files.cert), key(&files.key)]).unwrap();
    let renewed = Identity::self_signed(&[]);
    folder.write("own.crt", renewed.cert_pem());
    let half = context.set_local_cert(&files.cert);
    assert!(cause(half, "EventSslContext::$local_cert").contains("not the key"));
    context.set_verify_host(false).unwrap(); // rebuilt from memory, not from the files
    folder.write("own.key", renewed.key_pem());
    context.set_local_cert(&files.cert).unwrap();
}

#[test]
fn protocol_names_that_do_not_fit_the_wire_are_refused() {
    const CALL: &str = "EventSslContext::set_alpn_protocols";
    for make in [server, client] {
        let context = make(&[]).unwrap();
        for name in ["", &"x".repeat(256)] {
            let message = argument(context.set_alpn_protocols(&["h2", name]), CALL);
            assert!(message.contains("1 to 255 bytes"), "{message}");
        }
        let long = "x".repeat(255);
        context.set_alpn_protocols(&[&*long; 255]).unwrap();
        let message = argument(context.set_alpn_protocols(&[&*long; 256]), CALL);
        assert!(message.contains("too long"), "{message}");
        context.set_alpn_protocols(&[]).unwrap();
    }
}

#[test]
fn an_older_openssl_error_is_not_reported_as_the_cause() {
    let stale = openssl::x509::X509::from_pem(b"junk").unwrap_err();
    stale.put();
    let made = client(&[(EventSslContext::OPT_CIPHERS, "NOSUCH".into())]);
    assert_eq!(cause(made, CREATE), "OPT_CIPHERS: no cipher match");
}

#[test]
fn a_context_has_a_debug_form_without_secrets() {
    let folder = Folder::new();
    let own = Identity::self_signed(&[]);
    let both = [own.cert_pem(), own.encrypted_key_pem(b"hunter2")].concat();
    let file = folder.write("own.pem", both);
    let context = server(&[cert(&file), passphrase("hunter2")]).unwrap();
    let text = format!("{context:?}");
    assert!(
        text.starts_with("EventSslContext { method: TlsServer"),
        "{text}"
    );
    assert!(text.contains("own.pem"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn option_values_convert_from_bools_numbers_texts_and_paths() {
    let path = Path::new("a/b");
    let values = [
        SslValue::from("a/b"),
        SslValue::from("a/b".to_owned()),
        SslValue::from(path),
        SslValue::from(path.to_owned()),
    ];
    for value in values {
        assert_eq!(value, SslValue::Text("a/b".into()));
    }
    assert_eq!(SslValue::from(5), SslValue::from(5i64));
    assert_eq!(SslValue::from(false), SslValue::Bool(false));
    assert_ne!(SslMethod::TlsClient, SslMethod::TlsServer);
}

/// A path that sets the certificate when it is asked for.
struct Setting<'a>(&'a EventSslContext, &'a Files);

impl AsRef<Path> for Setting<'_> {
    fn as_ref(&self) -> &Path {
        self.0.set_local_cert(&self.1.both).unwrap();
        &self.1.key
    }
}

#[test]
fn path_may_change_the_context_that_asks_for_it() {
    let folder = Folder::new();
    let files = Identity::self_signed(&[]).save(&folder, "own");
    let context = server(&[]).unwrap();
    context.set_local_pk(Setting(&context, &files)).unwrap();
    assert_eq!(context.local_cert(), Some(files.both.clone()));
    assert_eq!(context.local_pk(), Some(files.key.clone()));
}
