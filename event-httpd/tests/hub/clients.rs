//! Clients that people use.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::support::{PATH, bearer, full_token, open_hub};
use super::support_http::{Process, output};

#[test]
fn curl_subscribes_and_publishes() {
    let server = open_hub(&[]);
    let url = format!("http://{}{PATH}", server.address());
    let mut subscribe = Command::new("curl");
    subscribe.args([
        "-sSN",
        "--get",
        "--data-urlencode",
        "topic=https://example.com/{id}",
    ]);
    subscribe.args(["--dump-header", "/dev/stderr", &url]);
    subscribe.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut subscriber = Process::spawn(subscribe);
    let mut head = BufReader::new(subscriber.stderr()).lines();
    assert!(
        head.any(|line| line.unwrap().is_empty()),
        "the head arrives"
    );
    let mut publish = Command::new("curl");
    publish.args(["-sS", "--header", bearer(&full_token()).trim_end()]);
    publish.args(["--data-urlencode", "topic=https://example.com/1"]);
    publish.args(["--data-urlencode", "data=hello & goodbye", &url]);
    let id = String::from_utf8(output(publish).stdout).unwrap();
    let lines = BufReader::new(subscriber.stdout()).lines().take(3);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(lines, [&format!("id: {id}"), "data: hello & goodbye", ""]);
}
