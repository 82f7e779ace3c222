//! wrk, where it is installed: the client of HTTP that others use, too.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::Result;
use super::client::Done;
use super::servers::{self, Servers, output};

/// Writes several requests at once.
const PIPELINE: &str = "init = function(args)\n\
    local requests = {}\n\
    for number = 1, tonumber(args[1]) do requests[number] = wrk.format() end\n\
    all = table.concat(requests)\n\
    end\n\
    request = function() return all end\n";

pub(crate) fn is_installed() -> bool {
    servers::is_installed("wrk")
}

pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    pipelined: usize,
    time: Duration,
    servers: &Servers,
) -> Result<Done> {
    let script = servers.directory().join("pipeline.lua");
    fs::write(&script, PIPELINE)?;
    let seconds = time.as_secs().max(1); // wrk knows only whole seconds
    let text = output(
        servers::installed("wrk")
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
            .arg("-s")
            .arg(script)
            .arg(format!("http://{address}/"))
            .arg(pipelined.to_string()),
    )?;
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        return Err(format!("wrk: {text}").into());
    }
    // "  123456 requests in 1.10s, 12.34MB read"
    let summary = text
        .lines()
        .find_map(|line| line.split_once(" requests in "));
    let (units, rest) = summary.ok_or_else(|| format!("wrk: {text}"))?;
    let (time, _) = rest
        .split_once("s,")
        .ok_or_else(|| format!("wrk: {text}"))?;
    Ok(Done {
        units: units.trim().parse()?,
        time: Duration::from_secs_f64(time.parse()?),
    })
}
