//! An HTTP client, with TLS and without: makes a request and prints the answer.
//!
//! `cargo run --example http_client example.com 80 /`, and with TLS
//! `cargo run --example http_client example.com 443 / tls`. Instead of `tls`, give the file of an
//! authority's certificate to trust that one and not the system's.

use std::net::IpAddr;
use std::process::exit;
use std::time::Duration;

use php_event::{EventBase, EventDnsBase, EventHttpConnection, EventHttpRequest, EventSslContext, Result};

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [host, port, path, tls @ ..] = args.as_slice() else {
        eprintln!("usage: http_client HOST PORT PATH [tls | AUTHORITY.pem]");
        exit(2);
    };
    let port = port.parse().unwrap_or(80);

    let base = EventBase::new()?;
    let flags = EventDnsBase::INITIALIZE_NAMESERVERS | EventDnsBase::DISABLE_WHEN_INACTIVE;
    let is_name = host.parse::<IpAddr>().is_err();
    let dns = if is_name { Some(EventDnsBase::new(&base, flags)?) } else { None };
    let connection = if let Some(authority) = tls.first() {
        let file = (EventSslContext::OPT_CA_FILE, authority.as_str().into());
        let options = if authority == "tls" { vec![] } else { vec![file] };
        let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options)?;
        EventHttpConnection::with_ssl(&base, dns.as_ref(), host, port, &context)?
    } else {
        EventHttpConnection::new(&base, dns.as_ref(), host, port)?
    };
    connection.set_timeout(Some(Duration::from_secs(10)))?;

    let stop = base.clone();
    let request = EventHttpRequest::new(move |answer| {
        if let Some(answer) = answer.filter(|answer| answer.error().is_none()) {
            print(answer).ok();
        }
        stop.stop().ok(); // the connection stays open for the next request
    })?;
    request.add_header("Accept", "*/*", EventHttpRequest::OUTPUT_HEADER)?;
    connection.make_request(&request, EventHttpRequest::CMD_GET, path)?;
    base.dispatch()?;
    if let Some(error) = request.error() {
        eprintln!("{error}");
        exit(1);
    }
    Ok(())
}

fn print(answer: &EventHttpRequest) -> Result<()> {
    println!("{}", answer.get_response_code()?);
    for (name, value) in answer.get_input_headers()? {
        println!("{name}: {value}");
    }
    let body = answer.get_input_buffer().read(usize::MAX)?.unwrap_or_default();
    println!("\n{}", String::from_utf8_lossy(&body));
    Ok(())
}
