//! A name server on this host that does what a test tells it to.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::limited;

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    A,
    Aaaa,
    Other(u16),
}

/// A query, taken apart.
#[derive(Clone, Debug)]
pub struct Query {
    /// The name as it was written.
    pub written: String,
    /// The name in small letters.
    pub name: String,
    pub kind: Kind,
    packet: Vec<u8>,
    question: Vec<u8>,
}

/// What is done with a query.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The addresses, of which those of the query's kind are sent.
    Addresses(Vec<IpAddr>),
    /// An error number, or 0 and no record.
    Code(u8),
    /// Nothing comes.
    Silence,
    /// An answer to another query.
    WrongId,
    /// First an answer to another query, then these addresses.
    WrongIdFirst(Vec<IpAddr>),
    /// An answer to another question.
    WrongName,
    /// Bytes that are no answer at all.
    Noise,
    /// The number of the query, and then bytes that make no sense.
    Garbage,
    /// An answer that says it was cut.
    Truncated,
    /// The addresses, in an answer whose question is in small letters.
    SmallLetters(Vec<IpAddr>),
    /// The addresses of another name, which the name is an alias of.
    Alias(String, Vec<IpAddr>),
    /// Only the other name that the name is an alias of.
    AliasAlone(String),
    /// The addresses, after a false answer to the same question from another port, and one from
    /// another address.
    ForgedFirst(Vec<IpAddr>),
    /// The addresses, when [`Server::release`] is called.
    Held(Vec<IpAddr>),
}

/// The address in false answers.
const LIAR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66));

impl Query {
    /// Takes a packet apart; none where it is no query.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (mut at, mut labels) = (12, Vec::new());
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8(packet.get(at..at + length)?.to_vec()).ok()?);
            at += length;
        }
        let kind = match u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?) {
            1 => Kind::A,
            28 => Kind::Aaaa,
            other => Kind::Other(other),
        };
        let written = labels.join(".");
        Some(Self {
            name: written.to_lowercase(),
            written,
            kind,
            packet: packet.to_vec(),
            question: packet.get(12..at + 4)?.to_vec(),
        })
    }

    fn id(&self) -> [u8; 2] {
        [self.packet[0], self.packet[1]]
    }

    /// The answer with these addresses.
    pub fn addresses(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let of_kind = addresses.iter().filter(|address| match self.kind {
            Kind::A => address.is_ipv4(),
            Kind::Aaaa => address.is_ipv6(),
            Kind::Other(_) => false,
        });
        let records = of_kind.map(|address| match address {
            IpAddr::V4(v4) => (1_u16, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        });
        let records = records.collect::<Vec<_>>();
        let mut answer = self.head(0, records.len());
        for (kind, data) in records {
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 60]);
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        answer
    }

    fn head(&self, flags: u16, answers: usize) -> Vec<u8> {
        let mut answer = self.id().to_vec();
        answer.extend((0x8180 | flags).to_be_bytes());
        answer.extend([0, 1]);
        answer.extend((answers as u16).to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(&self.question);
        answer
    }

    fn with_another_id(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let mut answer = self.addresses(addresses);
        answer[0] ^= 0x55;
        answer
    }

    /// What is sent for a reply at once, one packet after the other.
    fn packets(&self, reply: &Reply) -> Vec<Vec<u8>> {
        let liar = [LIAR];
        match reply {
            Reply::Addresses(addresses) | Reply::ForgedFirst(addresses) => {
                vec![self.addresses(addresses)]
            }
            Reply::Code(code) => vec![self.head(u16::from(*code), 0)],
            Reply::Silence | Reply::Held(_) => vec![],
            Reply::WrongId => vec![self.with_another_id(&liar)],
            Reply::WrongIdFirst(addresses) => {
                vec![self.with_another_id(&liar), self.addresses(addresses)]
            }
            Reply::WrongName => {
                let mut answer = self.addresses(&liar);
                answer[13] = b'~';
                vec![answer]
            }
            Reply::Noise => vec![
                vec![],
                vec![7],
                b"no answer at all, but long enough".to_vec(),
            ],
            Reply::Garbage => {
                let mut answer = self.head(0, 7);
                answer.extend([0xff; 40]);
                vec![answer]
            }
            Reply::Truncated => vec![self.head(0x0200, 0)],
            Reply::SmallLetters(addresses) => {
                let mut answer = self.addresses(addresses);
                answer[12..12 + self.question.len()].make_ascii_lowercase();
                vec![answer]
            }
            Reply::Alias(name, addresses) => vec![self.alias(name, addresses)],
            Reply::AliasAlone(name) => vec![self.alias(name, &[])],
        }
    }

    fn alias(&self, name: &str, addresses: &[IpAddr]) -> Vec<u8> {
        let labels = name
            .split('.')
            .map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        let name = [labels.collect::<Vec<_>>().concat(), vec![0]].concat();
        let mut answer = self.head(0, 1 + addresses.len());
        answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60]);
        answer.extend((name.len() as u16).to_be_bytes());
        answer.extend(&name);
        let of_owner = self.addresses(addresses);
        for record in of_owner[12 + self.question.len()..].chunks(16) {
            answer.extend(&name);
            answer.extend(&record[2..]); // without the pointer to the question
        }
        answer
    }
}

/// What is done with a query over TCP.
#[derive(Clone, Debug)]
pub enum TcpReply {
    /// What a datagram would hold.
    Whole(Reply),
    /// The same, byte by byte.
    InPieces(Reply),
    /// A length, and then the end before as many bytes.
    Short,
    /// The end.
    Close,
    /// Nothing, while the connection stays.
    Silence,
}

/// A name server. It ends with this.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Query>>>,
    askers: Arc<Mutex<BTreeSet<u16>>>,
    threads: Vec<JoinHandle<()>>,
    asked_over_tcp: Arc<Mutex<Vec<Query>>>,
}

const RELEASE: &[u8] = b"release";
const STOP: &[u8] = b"stop";

impl Server {
    /// Answers each query as `script` says.
    pub fn new(script: impl FnMut(&Query) -> Reply + Send + 'static) -> Self {
        Self::on(UdpSocket::bind("127.0.0.1:0").unwrap(), script)
    }

    fn on(socket: UdpSocket, script: impl FnMut(&Query) -> Reply + Send + 'static) -> Self {
        let address = socket.local_addr().unwrap();
        let (asked, askers) = (Arc::default(), Arc::default());
        let (queries, ports) = (Arc::clone(&asked), Arc::clone(&askers));
        let thread = thread::spawn(move || serve(&socket, &queries, &ports, script));
        Self {
            address,
            asked,
            askers,
            threads: vec![thread],
            asked_over_tcp: Arc::default(),
        }
    }

    /// Answers each datagram as `script` says, and each query over TCP as `tcp` does.
    pub fn with_tcp(
        script: impl FnMut(&Query) -> Reply + Send + 'static,
        tcp: impl FnMut(&Query) -> TcpReply + Send + 'static,
    ) -> Self {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, listener);
            }
        };
        let mut server = Self::on(socket, script);
        let queries = Arc::clone(&server.asked_over_tcp);
        let thread = thread::spawn(move || serve_tcp(&listener, &queries, tcp));
        server.threads.push(thread);
        server
    }

    /// The names and kinds that were asked for over TCP since the last look, in order.
    pub fn asked_over_tcp(&self) -> Vec<(String, Kind)> {
        let asked = std::mem::take(&mut *self.asked_over_tcp.lock().unwrap());
        asked
            .into_iter()
            .map(|query| (query.name, query.kind))
            .collect()
    }

    /// Gives every query the same reply.
    pub fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone())
    }

    /// The address, for `add_nameserver_ip`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The names and kinds that were asked for since the last look, in order.
    pub fn asked(&self) -> Vec<(String, Kind)> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked
            .into_iter()
            .map(|query| (query.name, query.kind))
            .collect()
    }

    /// As [`asked`](Self::asked), the names as they were written.
    pub fn written(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().map(|query| query.written).collect()
    }

    /// The sockets that it was asked from, which are open.
    pub fn sockets(&self) -> Sockets {
        let ports = self.askers.lock().unwrap();
        limited(|| {
            loop {
                // The kernel gives its table in pieces, between which it may change.
                let open = || {
                    let mut sockets = udp_sockets();
                    sockets.retain(|(port, inode)| ports.contains(port) && is_open(*inode));
                    sockets
                };
                let sockets = open();
                if sockets == open() {
                    return Sockets(sockets.into_iter().map(|(_, inode)| inode).collect());
                }
            }
        })
    }

    /// Sends the answers that are held back.
    pub fn release(&self) {
        self.tell(RELEASE);
    }

    fn tell(&self, what: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(what, self.address).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tell(STOP);
        if self.threads.len() > 1 {
            TcpStream::connect(self.address).ok(); // without a query it stops, if it has not
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// Sockets by their numbers in the kernel, which are not used again soon.
pub struct Sockets(Vec<u64>);

impl Sockets {
    pub fn are_closed(&self) -> bool {
        !self.0.iter().any(|inode| is_open(*inode))
    }
}

/// Whether this process has the socket.
fn is_open(inode: u64) -> bool {
    let link = PathBuf::from(format!("socket:[{inode}]"));
    let mut all = fs::read_dir("/proc/self/fd").unwrap();
    all.any(|file| fs::read_link(file.unwrap().path()).is_ok_and(|target| target == link))
}

/// The port and the number of every UDP socket that is open.
fn udp_sockets() -> BTreeSet<(u16, u64)> {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let sockets = table.lines().skip(1).map(|line| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        let (_, port) = fields[1].split_once(':').unwrap();
        (
            u16::from_str_radix(port, 16).unwrap(),
            fields[9].parse().unwrap(),
        )
    });
    sockets.collect()
}

fn serve(
    socket: &UdpSocket,
    queries: &Mutex<Vec<Query>>,
    ports: &Mutex<BTreeSet<u16>>,
    mut script: impl FnMut(&Query) -> Reply,
) {
    let (mut packet, mut held) = ([0; 1500], Vec::<(Vec<u8>, SocketAddr)>::new());
    loop {
        let (length, from) = socket.recv_from(&mut packet).unwrap();
        match &packet[..length] {
            STOP => return,
            RELEASE => {
                for (answer, to) in held.drain(..) {
                    send(socket, &answer, to);
                }
            }
            packet => {
                let query = Query::parse(packet).expect("libevent sent no query");
                ports.lock().unwrap().insert(from.port());
                queries.lock().unwrap().push(query.clone());
                let reply = script(&query);
                if let Reply::ForgedFirst(_) = reply {
                    forge(socket, &query.addresses(&[LIAR]), from);
                }
                for answer in query.packets(&reply) {
                    send(socket, &answer, from);
                }
                if let Reply::Held(addresses) = reply {
                    held.push((query.addresses(&addresses), from));
                }
            }
        }
    }
}

/// Stops at a connection that ends without a query.
fn serve_tcp(
    listener: &TcpListener,
    queries: &Mutex<Vec<Query>>,
    mut script: impl FnMut(&Query) -> TcpReply,
) {
    let mut open = Vec::new();
    loop {
        let (mut connection, _) = listener.accept().unwrap();
        let mut length = [0; 2];
        if connection.read_exact(&mut length).is_err() {
            return;
        }
        let mut packet = vec![0; u16::from_be_bytes(length).into()];
        connection.read_exact(&mut packet).unwrap();
        let query = Query::parse(&packet).expect("no query over TCP");
        queries.lock().unwrap().push(query.clone());
        let message = |reply: &Reply| {
            let message = query.packets(reply).concat();
            [&(message.len() as u16).to_be_bytes(), &message[..]].concat()
        };
        match script(&query) {
            TcpReply::Whole(reply) => drop(connection.write_all(&message(&reply))),
            TcpReply::InPieces(reply) => {
                connection.set_nodelay(true).unwrap();
                for byte in message(&reply) {
                    connection.write_all(&[byte]).ok(); // whoever asked may be gone
                }
            }
            TcpReply::Short => drop(connection.write_all(&[0, 100, 1, 2, 3])),
            TcpReply::Close => {}
            TcpReply::Silence => open.push(connection),
        }
    }
}

/// Sends an answer from where the query did not go.
fn forge(server: &UdpSocket, answer: &[u8], to: SocketAddr) {
    let port = server.local_addr().unwrap().port();
    for from in [("127.0.0.1", 0), ("127.0.0.2", port)] {
        send(&UdpSocket::bind(from).unwrap(), answer, to);
    }
}

/// Whoever asked may be gone.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    socket.send_to(answer, to).ok();
}

/// Addresses in text.
pub fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}
