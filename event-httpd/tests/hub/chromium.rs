//! A headless Chromium, driven over its DevTools protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support_http::{Process, output};

/// For an answer of the browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const OPTIONS: [&str; 9] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox", // which a container may not make, and the page is ours
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
];

pub(crate) struct Browser {
    _process: Process,
    requests: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    _profile: TempDir, // goes after the process
}

/// A page that is open, by its session.
#[derive(Clone, Debug)]
pub(crate) struct Tab(String);

impl Browser {
    /// Starts it; `None`, and a line that says so, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let is_there = |program: &&str| {
            let mut which = Command::new("sh");
            which.args(["-c", &format!("command -v {program}")]);
            output(which).status.success()
        };
        let Some(program) = ["chromium", "chromium-browser"].into_iter().find(is_there) else {
            println!("skipped: there is no chromium; vendor/libevent/install.sh --browser has it");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // The pipe's ends are descriptors 3 and 4 there.
        let script = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", program]).args(OPTIONS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(command);
        let (requests, answers) = (process.stdin(), process.stdout());
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            _process: process,
            requests,
            messages,
            last_id: 0,
            _profile: profile,
        })
    }

    #[track_caller]
    fn call(&mut self, session: Option<&Tab>, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(Tab(session)) = session {
            request["sessionId"] = json!(session);
        }
        write!(self.requests, "{request}\0").unwrap();
        self.requests.flush().unwrap();
        loop {
            let message = self.messages.recv_timeout(LIMIT);
            let message = message.unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == json!(self.last_id) {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a page in a tab of its own, and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) -> Tab {
        let target = self.call(None, "Target.createTarget", json!({ "url": url }));
        let params = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", params);
        let tab = Tab(session["sessionId"].as_str().unwrap().to_owned());
        self.until(
            &tab,
            "location.href !== 'about:blank' && document.readyState === 'complete'",
        );
        tab
    }

    /// Runs a script in a page, and returns its value.
    #[track_caller]
    pub(crate) fn run(&mut self, tab: &Tab, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let result = self.call(Some(tab), "Runtime.evaluate", params);
        assert_eq!(result["exceptionDetails"], Value::Null, "{script}");
        result["result"]["value"].clone()
    }

    /// Waits until a script in a page has a true value.
    #[track_caller]
    pub(crate) fn until(&mut self, tab: &Tab, script: &str) {
        let begun = Instant::now();
        while self.run(tab, script) != json!(true) {
            if begun.elapsed() > LIMIT {
                let page = self.run(tab, "document.body.innerText");
                panic!(
                    "not within {LIMIT:?}: {script}\n{}",
                    page.as_str().unwrap_or("")
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key in a page, with `Ctrl` if `control`.
    #[track_caller]
    pub(crate) fn press(&mut self, tab: &Tab, key: &str, code: u32, control: bool) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({
                "type": kind,
                "key": key,
                "code": key,
                "windowsVirtualKeyCode": code,
                "modifiers": if control { 2 } else { 0 },
            });
            self.call(Some(tab), "Input.dispatchKeyEvent", params);
        }
    }
}
