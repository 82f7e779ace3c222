//! Searching a buffer for lines and words, and taking out no more than is wanted.
//!
//! `cargo run --example buffer_search`

use php_event::{EventBuffer, Result};

fn main() -> Result<()> {
    let buffer = EventBuffer::new()?;
    buffer.add("GET /index.html HTTP/1.1\r\n")?;
    buffer.add("Host: example.com\r\nAccept: */*\r\n\r\nthe rest")?;
    println!("{} bytes", buffer.length());

    // A line comes out of the buffer without its end.
    let request = buffer.read_line(EventBuffer::EOL_CRLF)?.unwrap_or_default();
    println!("request: {}", text(&request));

    // Looking for something takes nothing out. The answer is a place, or none.
    println!("Accept is at {:?}", buffer.search("Accept", 0, None)?);
    println!("a cookie at {:?}", buffer.search("Cookie", 0, None)?);

    // All places of something: each search begins after the last place.
    let mut from = 0;
    while let Some(at) = buffer.search("e", from, None)? {
        print!("e at {at}; ");
        from = at + 1;
    }
    println!();

    // Copying a part: what is between the colon and the end of the line.
    if let (Some(colon), Some(end)) = (buffer.search(": ", 0, None)?, buffer.search_eol(0, EventBuffer::EOL_CRLF)?) {
        println!("host: {}", text(&buffer.substr(colon + 2, Some(end - colon - 2))?));
    }

    // Copying the front: the buffer is as long as before.
    let mut front = Vec::new();
    let n = buffer.copyout(&mut front, 4)?;
    println!("{n} bytes in front: {}, of {}", text(&front), buffer.length());

    // The head ends with an empty line.
    while let Some(line) = buffer.read_line(EventBuffer::EOL_CRLF)? {
        println!("line: {:?}", text(&line));
    }
    println!("no line: {:?}", buffer.read(100)?.as_deref().map(text));
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
