//! Looks up the addresses of hosts, all at once, without blocking the loop.
//!
//! `cargo run --example dns example.com nowhere.invalid`. With `@127.0.0.1:5353` among the names,
//! it asks that name server instead of those in `/etc/resolv.conf`.

use php_event::{EventBase, EventDnsBase, LookupOptions, Result};

fn main() -> Result<()> {
    let (servers, hosts): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with('@'));

    let base = EventBase::new()?;
    let mut flags = EventDnsBase::DISABLE_WHEN_INACTIVE; // the loop ends when all is answered
    if servers.is_empty() {
        flags |= EventDnsBase::INITIALIZE_NAMESERVERS;
    }
    let dns = EventDnsBase::new(&base, flags)?;
    for server in &servers {
        dns.add_nameserver_ip(server.trim_start_matches('@'))?;
    }

    let mut lookups = Vec::new(); // dropping a lookup cancels it
    for host in hosts {
        let name = host.clone();
        let lookup = dns.resolve(&host, LookupOptions::default(), move |addresses| match addresses {
            Ok(addresses) => println!("{name}: {addresses:?}"),
            Err(error) => println!("{name}: {error}"),
        })?;
        lookups.push(lookup);
    }
    base.dispatch()?;
    Ok(())
}
