//! The order in which the extension and `sockets` are loaded does not matter; PECL's has to come
//! after `sockets`.

mod support;

use support::{extension, php, php_with_extension, run, shared};

const PROGRAM: &str = r#"
    $socket = socket_create(AF_INET, SOCK_STREAM, 0);
    [$stream] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $again = EventUtil::createSocket(EventUtil::getSocketFd($stream));
    $event = new Event(new EventBase, $socket, Event::READ, function () {});
    echo get_class($again), " ", var_export($event->add(), true);
"#;

#[test]
fn sockets_may_be_loaded_before_and_after() {
    let Some(sockets) = shared("sockets") else {
        return; // built in: there is no order
    };
    let event = format!("extension={}", extension().display());
    for [first, second] in [[&event, &sockets], [&sockets, &event]] {
        let printed = run(php().args(["-d", first, "-d", second, "-r", PROGRAM]));
        assert_eq!(printed, "Socket true", "{first}, then {second}");
    }
}

#[test]
fn without_sockets_a_socket_cannot_be_made_and_a_warning_says_why() {
    if shared("sockets").is_none() {
        return;
    }
    let printed = php_with_extension(&["-r", "var_dump(EventUtil::createSocket(0));"]);
    assert!(printed.contains("`sockets` is not loaded"), "{printed}");
    assert!(printed.ends_with("bool(false)\n"), "{printed}");
}
