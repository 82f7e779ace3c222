//! Memory and start of a server that runs alone.

use std::time::{Duration, Instant};

use super::client::Peer;
use super::process::{Processors, Server, until};
use super::{Result, SHORT, request, server};

/// Silent connections before the first look at the memory, and before the second.
const CONNECTIONS: [usize; 2] = [2000, 6000];

/// How often the server is started. The shortest time counts: a busy machine only adds to it.
const STARTS: usize = 20;

/// Bytes of memory for each connection that sends nothing.
pub(crate) fn bytes_per_connection(processors: Processors, program: &str) -> Result<f64> {
    let server = server::start(processors, &[program])?;
    let before = server.descriptors()?;
    let mut peers = Vec::new();
    let mut resident = [0, 0];
    for (count, resident) in CONNECTIONS.into_iter().zip(&mut resident) {
        while peers.len() < count {
            peers.push(Peer::connect(server.address())?);
        }
        until("all are accepted", || {
            Ok(server.descriptors()? >= before + count)
        })?;
        *resident = server.memory()?;
    }
    let connections = CONNECTIONS[1] - CONNECTIONS[0];
    Ok(resident[1].saturating_sub(resident[0]) as f64 / connections as f64)
}

/// Bytes of memory after the first answer.
pub(crate) fn resident_at_start(processors: Processors) -> Result<f64> {
    let (server, _) = answering(processors)?;
    Ok(server.memory()? as f64)
}

/// Microseconds from the start of the process to its first answer.
pub(crate) fn microseconds_to_first_answer(processors: Processors) -> Result<f64> {
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        shortest = shortest.min(answering(processors)?.1);
    }
    Ok(shortest.as_secs_f64() * 1e6)
}

/// A server that has answered, and how long that took.
fn answering(processors: Processors) -> Result<(Server, Duration)> {
    let start = Instant::now();
    let server = server::start(processors, &["serve"])?;
    let mut peer = Peer::connect(server.address())?;
    peer.write(request(0, SHORT).as_bytes())?;
    peer.read_answers(1)?;
    Ok((server, start.elapsed()))
}
