//! The page of `--demo` in a browser.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::chromium::{Browser, Tab};
use super::support::{KEY, Publisher};
use super::support_broadcast::{every_worker, kill, until_gone};
use super::support_http::{Server, event_httpd};

/// A hub with the page, at an address that may be that of a former one.
fn hub(address: &str) -> Server {
    Server::run(event_httpd([
        "hub",
        "--listen",
        address,
        "--workers",
        "2",
        "--demo",
        "--anonymous",
        "--subscriptions",
        "--publisher-key",
        KEY,
        "--subscriber-key",
        KEY,
    ]))
}

/// Opens the page, and subscribes there.
fn subscribe(browser: &mut Browser, server: &Server, name: &str) -> Tab {
    let tab = browser.open(&format!("http://{}/", server.address()));
    let fill = |id: &str, text: &str| format!("$('{id}').value = {};", json!(text));
    let script = [
        fill("secret", KEY),
        fill("name", name),
        fill("topics", "https://example.com/books/{id}"),
        "$('subscribe').requestSubmit();".to_owned(),
    ];
    browser.run(&tab, &script.concat());
    browser.until(&tab, "$('status').textContent === 'Subscribed.'");
    tab
}

/// Waits until a tab shows these messages, the first that came first.
#[track_caller]
fn expect(browser: &mut Browser, tab: &Tab, messages: &[&str]) {
    const SHOWN: &str = "[...$('received').querySelectorAll('pre')].map((one) => one.textContent)";
    let count = messages.len();
    browser.until(tab, &format!("{SHOWN}.length >= {count}"));
    let shown = browser.run(tab, &format!("{SHOWN}.reverse()"));
    assert_eq!(shown, json!(messages));
}

fn publish(server: &Server, text: &str) {
    let topic = "https://example.com/books/2";
    Publisher::connect(server).publish(&[("topic", topic), ("data", text)]);
}

#[test]
fn two_tabs_show_each_message_once_while_workers_die_and_the_hub_restarts() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = hub("127.0.0.1:0");
    publish(&server, "before");
    let tabs = [
        subscribe(&mut browser, &server, "Ada"),
        subscribe(&mut browser, &server, "Grace"),
    ];
    let [ada, grace] = &tabs;
    for tab in &tabs {
        browser.until(tab, "$('present').childElementCount === 2");
        let present = browser.run(tab, "$('present').textContent");
        let present = present.as_str().unwrap();
        assert!(
            present.contains("Ada") && present.contains("Grace"),
            "{present}"
        );
    }
    // By keyboard.
    browser.run(ada, "$('data').value = 'by keyboard'; $('data').focus()");
    browser.press(ada, "Enter", 13, true);
    for tab in &tabs {
        expect(&mut browser, tab, &["before", "by keyboard"]);
    }
    for number in 1..=2 {
        let worker = every_worker(&server, 2, None).pid(number);
        kill(worker, Signal::SIGKILL);
        until_gone(worker);
    }
    publish(&server, "after the workers");
    for tab in &tabs {
        expect(
            &mut browser,
            tab,
            &["before", "by keyboard", "after the workers"],
        );
    }
    let address = server.address().to_string();
    server.stop();
    let server = hub(&address);
    publish(&server, "after the hub");
    let all = [
        "before",
        "by keyboard",
        "after the workers",
        "after the hub",
    ];
    for tab in &tabs {
        expect(&mut browser, tab, &all);
        browser.until(tab, "$('present').childElementCount === 2");
    }
    browser.run(grace, "$('stop').click()");
    browser.until(ada, "$('present').childElementCount === 1");
    thread::sleep(Duration::from_millis(300));
    for tab in &tabs {
        expect(&mut browser, tab, &all);
        let outside = "performance.getEntriesByType('resource').map((one) => one.name)\
                       .filter((name) => !name.startsWith(location.origin + '/'))";
        assert_eq!(browser.run(tab, outside), Value::from(Vec::<Value>::new()));
    }
}
