//! A running hub, its publishers and its subscribers.

use std::thread;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::support_http::{Client, Response, Server, event_httpd};

pub(crate) const KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";
pub(crate) const PATH: &str = "/.well-known/mercure";

/// Starts a hub with the key, on a free port. It sends no heartbeats unless the options say so: they
/// would stand between the events of a slow test.
#[track_caller]
pub(crate) fn hub(options: &[&str]) -> Server {
    Server::run(event_httpd(arguments(options)))
}

/// The arguments of such a hub.
pub(crate) fn arguments<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let keys = ["--publisher-key", KEY, "--subscriber-key", KEY];
    let silent = ["--heartbeat", "0"].into_iter();
    let silent = silent.filter(|_| !options.contains(&"--heartbeat"));
    let arguments = ["hub", "--listen", "127.0.0.1:0"].into_iter();
    let arguments = arguments.chain(keys).chain(silent);
    arguments.chain(options.iter().copied()).collect()
}

/// A hub that anybody may subscribe to.
#[track_caller]
pub(crate) fn open_hub(options: &[&str]) -> Server {
    hub(&[&["--anonymous"], options].concat())
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

pub(crate) fn signed(claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_secret(key.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// A token that allows publishing to `publish` and reading `subscribe`.
pub(crate) fn token(publish: &[&str], subscribe: &[&str]) -> String {
    let claims = json!({ "mercure": { "publish": publish, "subscribe": subscribe } });
    signed(&claims, KEY)
}

/// A token that allows everything.
pub(crate) fn full_token() -> String {
    token(&["*"], &["*"])
}

/// A form as `application/x-www-form-urlencoded`.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A request to publish, with further header lines.
pub(crate) fn post(body: &str, lines: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    )
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A connection that publishes with a token for everything.
pub(crate) struct Publisher {
    pub(crate) client: Client,
    token: String,
}

impl Publisher {
    pub(crate) fn connect(server: &Server) -> Self {
        Self {
            client: server.connect(),
            token: full_token(),
        }
    }

    pub(crate) fn request(&self, fields: &[(&str, &str)]) -> String {
        post(&form(fields), &bearer(&self.token))
    }

    /// Publishes, and returns the id.
    #[track_caller]
    pub(crate) fn publish(&mut self, fields: &[(&str, &str)]) -> String {
        let request = self.request(fields);
        self.client.send(request);
        self.published()
    }

    /// Takes the answer to a request to publish.
    #[track_caller]
    pub(crate) fn published(&mut self) -> String {
        let answer = self.client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let kind = answer.field("Content-Type");
        assert_eq!(kind, Some("text/plain; charset=utf-8"), "{answer:?}");
        String::from_utf8(answer.body).unwrap()
    }
}

/// Sends one request on a new connection, and returns the answer.
#[track_caller]
pub(crate) fn ask(server: &Server, request: &str) -> Response {
    let mut client = server.connect();
    client.send(request);
    client.answer()
}

pub(crate) fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
}

/// A subscriber, and the head of its answer.
pub(crate) struct Subscriber {
    pub(crate) client: Client,
    pub(crate) head: Response,
}

impl Subscriber {
    /// Subscribes with that query, without a token.
    #[track_caller]
    pub(crate) fn to(server: &Server, query: &str) -> Self {
        Self::with(server, query, "")
    }

    /// Subscribes with that query and further header lines.
    #[track_caller]
    pub(crate) fn with(server: &Server, query: &str, lines: &str) -> Self {
        let mut client = server.connect();
        client.send(get(&format!("{PATH}?{query}"), lines));
        let head = client.answer_to_head();
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
        Self { client, head }
    }

    /// Takes one event, which has these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, event: &str) {
        let got = self.client.take_exactly(event.len());
        assert_eq!(String::from_utf8_lossy(&got), event);
    }

    /// Takes an event with that id and data, and nothing else.
    #[track_caller]
    pub(crate) fn expect_update(&mut self, id: &str, data: &str) {
        self.expect(&format!("id: {id}\ndata: {data}\n\n"));
    }

    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.client.expect_silence(Duration::from_millis(200));
    }
}

/// Publishes updates whose ids and data are the numbers.
pub(crate) fn publish(hub: &Server, range: std::ops::Range<u32>) {
    let mut publisher = Publisher::connect(hub);
    for n in range {
        let text = n.to_string();
        publisher.publish(&[("topic", "a"), ("id", &text), ("data", &text)]);
    }
}

#[track_caller]
pub(crate) fn expect(subscriber: &mut Subscriber, range: std::ops::Range<u32>) {
    for n in range {
        let text = n.to_string();
        subscriber.expect_update(&text, &text);
    }
}

/// Publishes `count` long updates, and 100 more while a subscriber reads the history.
#[track_caller]
pub(crate) fn expect_long_history(server: &Server, count: u32) {
    let filler = "x".repeat(4000);
    let mut publisher = Publisher::connect(server);
    let mut next = 0;
    let mut publish = move |more: u32| {
        let requests = (next..next + more).map(|n| {
            publisher.request(&[("topic", "a"), ("id", &n.to_string()), ("data", &filler)])
        });
        let requests = requests.collect::<String>();
        publisher.client.send(requests);
        (0..more).for_each(|_| drop(publisher.published()));
        next += more;
    };
    publish(count);
    let mut subscriber = Subscriber::to(server, "topic=a&lastEventID=earliest");
    let publishing = thread::spawn(move || {
        for _ in 0..10 {
            publish(10);
        }
    });
    let filler = "x".repeat(4000);
    for n in 0..count + 100 {
        subscriber.expect_update(&n.to_string(), &filler);
    }
    publishing.join().unwrap();
    subscriber.expect_silence();
}
