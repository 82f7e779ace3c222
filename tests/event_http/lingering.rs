//! A client goes on sending while the server refuses its request. Only over TCP: a client of TLS
//! here closes when the server says that no more comes.

use std::thread;
use std::time::{Duration, Instant};

use super::OVER;
use crate::{Client, Server};
use php_event::EventHttpRequest;
use test_support::ms;

/// A socket that is closed answers what still comes with a reset, which can overtake the answer.
#[test]
fn a_client_that_goes_on_sending_after_a_refusal_is_not_reset() {
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    for (request, status) in [
        ("refused\r\n\r\n".to_owned(), 400),
        (format!("{post}Content-Length: 2000\r\n\r\nbegun"), 413),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n7d0\r\n"),
            413,
        ),
    ] {
        for streamed in [false, true] {
            let server = Server::new(OVER);
            server.http.set_max_body_size(Some(1000)).unwrap();
            if streamed {
                let take = |request: &EventHttpRequest| {
                    request.set_body_callback(|_, _| {}).unwrap();
                };
                let stream = server.http.set_stream_callback("/", Some(1000), take);
                stream.unwrap();
            }
            let sent = request.clone();
            let answer = server.serve(move |address| {
                let mut client = Client::new(OVER, address);
                client.send(sent);
                let answer = client.rest();
                for _ in 0..20 {
                    client.send([b'x'; 1000]);
                }
                answer
            });
            let line = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&line), "{request:?}: {answer:?}");
            assert!(answer.ends_with("</HTML>\n"), "{request:?}: {answer:?}");
        }
    }
}

#[test]
fn a_client_that_never_stops_sending_after_a_refusal_is_cut_off() {
    let server = Server::new(OVER);
    server.http.set_timeout(ms(1000)).unwrap();
    let took = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send("refused\r\n\r\n");
        client.rest();
        let begun = Instant::now();
        while client.try_send([b'x'; 1000]) {
            thread::sleep(Duration::from_millis(10)); // the pace of the client
        }
        begun.elapsed()
    });
    assert!(took > Duration::from_millis(800), "{took:?}");
}
