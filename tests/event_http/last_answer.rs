//! What a client sends after its last request stays unread, and a socket that is closed then is
//! reset: what the client has not read yet of the answer would be lost.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

use socket2::SockRef;

use super::OVER;
use crate::transport::Stream;
use crate::{Server, buffer, get, say, serve};
use php_event::EventHttpRequest;
use test_support::LIMIT;

const LONG: usize = 256 * 1024;

/// An address of the server whose sockets take a long answer at once.
fn roomy(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = SockRef::from(&listener);
    socket.set_send_buffer_size(4 * LONG).unwrap();
    server.http.accept(listener).unwrap();
    address
}

/// Tells when the server has ended the connection.
fn tell_end(request: &EventHttpRequest, told: &Sender<()>) {
    let (conn, told) = (request.get_connection().unwrap(), told.clone());
    conn.set_close_callback(move |_| told.send(()).unwrap())
        .unwrap();
}

/// Answers at length, and tells when the server has ended the connection.
fn answer(request: &EventHttpRequest, told: &Sender<()>) {
    tell_end(request, told);
    say(request, "~".repeat(LONG));
}

/// A client without a relay, which would take the answer while the client does not read.
fn client(address: SocketAddr, request: &str) -> Box<dyn Stream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
    let mut client = OVER.direct(stream);
    client.write_all(request.as_bytes()).unwrap();
    client
}

/// Begins to read the answer, sends `more`, and reads on when the server has ended the connection.
/// Returns how much of the body came.
fn read_late(mut client: Box<dyn Stream>, more: &str, ended: &Receiver<()>) -> usize {
    let mut answer = vec![0; 100];
    client.read_exact(&mut answer).unwrap();
    client.write_all(more.as_bytes()).unwrap();
    ended.recv_timeout(LIMIT / 2).unwrap();
    client.read_to_end(&mut answer).ok(); // of a reset, what came before it counts
    answer.iter().filter(|byte| **byte == b'~').count()
}

const MORE: [&str; 3] = ["\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no request"];

#[test]
fn the_last_answer_arrives_whatever_the_client_sends_behind_the_request() {
    for (request, announced) in [
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET http://other/ HTTP/1.1\r\nHost: other\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
    ] {
        for more in MORE {
            let (told, ended) = mpsc::channel();
            let server = Server::with(OVER, move |request| {
                if announced {
                    let side = EventHttpRequest::OUTPUT_HEADER;
                    request.add_header("Connection", "Close", side).unwrap();
                }
                answer(request, &told);
            });
            let address = roomy(&server);
            let came = server.serve(move |_| read_late(client(address, request), more, &ended));
            assert_eq!(came, LONG, "{request:?}, then {more:?}");
        }
    }
}

/// Without saying so: HTTP/1.0 knows no other end of such a body.
#[test]
fn an_answer_that_ends_with_the_connection_arrives_as_well() {
    for more in MORE {
        let (told, ended) = mpsc::channel();
        let server = Server::with(OVER, move |request| {
            tell_end(request, &told);
            request.send_reply_start(200, "OK").unwrap();
            let body = buffer("~".repeat(LONG));
            request.send_reply_chunk(&body).unwrap();
            request.send_reply_end().unwrap();
        });
        let address = roomy(&server);
        let request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let came = server.serve(move |_| read_late(client(address, request), more, &ended));
        assert_eq!(came, LONG, "then {more:?}");
    }
}

#[test]
fn the_last_answer_of_a_server_without_handles_arrives_as_well() {
    for more in MORE {
        let (told, ended) = mpsc::channel();
        let (server, kept) = Server::keeping(OVER);
        let address = roomy(&server);
        let client = server.serve(move |_| client(address, &get("/")));
        server.until(|| !kept.borrow().is_empty());
        answer(&kept.borrow_mut().pop().unwrap(), &told);
        let Server { base, http, .. } = server;
        drop(http);
        let came = serve(&base, move || read_late(client, more, &ended));
        assert_eq!(came, LONG, "then {more:?}");
    }
}
