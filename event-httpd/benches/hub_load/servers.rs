//! The servers, each one process on one processor.

use std::fs;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

use super::Result;
use super::process::{Processors, Server, free_address};

const KEY: &str = "a secret of more than 32 bytes for this program";
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Makes the request that publishes a text.
type Publish = Box<dyn Fn(&str) -> Vec<u8>>;

/// How a server is spoken to.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) subscribe: Vec<u8>,
    /// The last bytes of the answer to a subscriber.
    pub(crate) subscribed: &'static [u8],
    pub(crate) publish: Publish,
    /// Whether the answer to a publisher is complete.
    pub(crate) answered: fn(&[u8]) -> bool,
    command: fn(&Path, u16, usize) -> Option<Command>,
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) target: Target,
    _directory: TempDir, // goes after the process
}

pub(crate) fn all() -> [Target; 5] {
    let hub_websocket = Target {
        name: "event-httpd hub, WebSocket",
        subscribe: websocket("/.well-known/mercure?topic=news"),
        ..hub()
    };
    let nchan_websocket = Target {
        name: "nchan, WebSocket",
        subscribe: websocket("/websocket"),
        subscribed: b"\r\n\r\n",
        ..nchan()
    };
    [hub(), nchan(), hub_websocket, nchan_websocket, redis()]
}

/// The request that opens a WebSocket.
fn websocket(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YSBrZXkgb2YgYSBiZW5jaA==\r\n\r\n"
    )
    .into_bytes()
}

fn hub() -> Target {
    let claims = json!({ "mercure": { "publish": ["*"] } });
    let key = EncodingKey::from_secret(KEY.as_bytes());
    let token =
        key.and_then(|key| jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key));
    let token = token.unwrap_or_default(); // else the first update is refused
    Target {
        name: "event-httpd hub",
        subscribe: b"GET /.well-known/mercure?topic=news HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        subscribed: b"\r\n\r\n",
        publish: Box::new(move |text| {
            let body = format!("topic=news&data={text}");
            post(
                "/.well-known/mercure",
                &format!(
                    "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer {token}\r\n"
                ),
                &body,
            )
        }),
        answered: is_whole,
        command: |_directory, port, _count| {
            let program = std::env::var_os("EVENT_HTTPD");
            let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_event-httpd").into());
            let mut command = Command::new(program);
            command.args([
                "hub",
                "--anonymous",
                "--heartbeat",
                "0",
                "--publisher-key",
                KEY,
            ]);
            command.args(["--listen", &format!("127.0.0.1:{port}")]);
            Some(command)
        },
    }
}

fn nchan() -> Target {
    Target {
        name: "nchan",
        subscribe: b"GET /sub HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".to_vec(),
        subscribed: b": hi\n\n",
        publish: Box::new(|text| post("/pub", "Content-Type: text/plain\r\n", text)),
        answered: is_whole,
        command: |directory, port, count| {
            if !Path::new(NCHAN).exists() {
                return None;
            }
            let file = directory.join("nginx.conf");
            let directory = directory.display();
            let settings = format!(
                "load_module {NCHAN};\n\
                 daemon off; worker_processes 1; user root; pid {directory}/pid; error_log {directory}/log;\n\
                 worker_rlimit_nofile {limit};\n\
                 events {{ worker_connections {limit}; }}\n\
                 http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {directory}/body;\n\
                   proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;\n\
                   uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n\
                   server {{ listen 127.0.0.1:{port} backlog=4096;\n\
                     location /sub {{ nchan_subscriber eventsource; nchan_channel_id news; }}\n\
                     location /websocket {{ nchan_subscriber websocket; nchan_channel_id news; }}\n\
                     location /pub {{ nchan_publisher; nchan_channel_id news; }} }} }}\n",
                limit = count + 1_000
            );
            fs::write(&file, settings).ok()?;
            let mut command = Command::new("nginx");
            command.arg("-c").arg(file);
            Some(command)
        },
    }
}

fn redis() -> Target {
    Target {
        name: "Redis, SUBSCRIBE",
        subscribe: b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n".to_vec(),
        subscribed: b":1\r\n",
        publish: Box::new(|text| {
            let length = text.len();
            format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${length}\r\n{text}\r\n").into_bytes()
        }),
        answered: |answer| answer.ends_with(b"\r\n"),
        command: |directory, port, count| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--save", "", "--appendonly", "no"]);
            command.args(["--maxclients", &(count + 1_000).to_string(), "--dir"]);
            command.arg(directory).args(["--tcp-backlog", "4096"]);
            Some(command)
        },
    }
}

fn post(path: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
        .into_bytes()
}

/// Whether an HTTP answer has its end.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_none_or(|length| length.trim().parse() == Ok(body.len()))
}

impl Target {
    /// Starts the server; `None` when it is not installed.
    pub(crate) fn start(self, processors: Processors, count: usize) -> Result<Option<Running>> {
        let address = free_address()?;
        let directory = tempfile::tempdir()?;
        let Some(mut command) = (self.command)(directory.path(), address.port(), count) else {
            eprintln!("{}: not installed", self.name);
            return Ok(None);
        };
        match Server::start(processors, &mut command, address) {
            Ok(server) => Ok(Some(Running {
                server,
                target: self,
                _directory: directory,
            })),
            Err(error) => {
                eprintln!("{}: not installed, or {error}", self.name);
                Ok(None)
            }
        }
    }
}
