//! What workers and the store tell each other: over the bus, or within one process.

use std::rc::Rc;

use super::listing::Active;
use crate::buffer::Buffer;

/// Names a request of a worker, in the answer to it.
pub(super) type Ticket = u64;

/// The place of an update in the order of all. In Redis it is the two numbers of an entry's id,
/// the first in the upper half.
pub(super) type Position = u128;

/// Pages of the history that a worker requests from a store in another process before it has the
/// first of them.
pub(super) const PAGES_UNDER_WAY: usize = 4;

/// Where a page of the history begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// With the next update.
    Latest,
    /// With the first update that is kept.
    Earliest,
    /// After the update with this id, or with the first if there is none.
    After(String),
    /// After the update at this position.
    Position(Position),
}

/// What a worker asks the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// To keep an encoded update, and to pass it to all workers.
    Publish(Ticket, &'a [u8]),
    /// For a page of the history.
    Page(Ticket, From),
    /// To tell all that a subscription begins.
    Began(Active),
    /// To tell all that the subscriptions of a subscriber end.
    Ended(&'a str),
    /// For all active subscriptions.
    List(Ticket),
}

/// What the store reports to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tell<'a> {
    /// The next update, or one of a page.
    Update(&'a [u8]),
    /// The update of that request is kept.
    Stored(Ticket),
    /// The request has failed, or may have failed.
    Refused(Ticket, Reason),
    /// The store is unavailable. It answers the other requests when it is back.
    Away,
    /// Updates are missing that cannot be had any more.
    Gap,
    /// The next messages are the updates of a page, or the active subscriptions.
    Page(Ticket, Page<'a>),
    /// One of the active subscriptions.
    Active(&'a [u8]),
}

/// Why the store refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is unavailable, or cannot do what was asked, and has not done it.
    Unavailable,
    /// It has not answered, and may have done it.
    Unconfirmed,
    /// The queue of updates that wait for it is full.
    QueueFull,
    /// The update has waited for as long as it may. The store does not have it.
    WaitedTooLong,
}

impl Reason {
    const ALL: [Self; 4] = [
        Self::Unavailable,
        Self::Unconfirmed,
        Self::QueueFull,
        Self::WaitedTooLong,
    ];
}

/// A part of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    /// How many updates it has.
    pub(super) count: usize,
    /// What it ends with.
    pub(super) end: PageEnd,
    /// The last position that it covers.
    pub(super) position: Position,
    /// The id of the update before the first one; empty if there is none.
    pub(super) anchor: &'a str,
}

/// What a page ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageEnd {
    /// The history: each update that follows arrives by itself.
    Complete,
    /// More history.
    More,
    /// Updates between the last page and this one are no longer kept.
    Gap,
}

const PUBLISH: u8 = 0;
const PAGE_EARLIEST: u8 = 1;
const PAGE_AFTER: u8 = 2;
const PAGE_POSITION: u8 = 3;
const BEGAN: u8 = 4;
const ENDED: u8 = 5;
const LIST: u8 = 6;
const PAGE_LATEST: u8 = 7;

const UPDATE: u8 = 0;
const STORED: u8 = 1;
const PAGE_COMPLETE: u8 = 2;
const PAGE_MORE: u8 = 3;
const PAGE_GAP: u8 = 4;
const ACTIVE: u8 = 5;
const REFUSED: u8 = 6;
const AWAY: u8 = 7;
const GAP: u8 = 8;

impl<'a> Ask<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Publish(ticket, update) => write(PUBLISH, &[*ticket], update),
            Self::Page(ticket, From::Latest) => write(PAGE_LATEST, &[*ticket], b""),
            Self::Page(ticket, From::Earliest) => write(PAGE_EARLIEST, &[*ticket], b""),
            Self::Page(ticket, From::After(id)) => write(PAGE_AFTER, &[*ticket], id.as_bytes()),
            Self::Page(ticket, From::Position(position)) => {
                write(PAGE_POSITION, &[*ticket], &position.to_le_bytes())
            }
            Self::Began(active) => write(BEGAN, &[], &active.encode()),
            Self::Ended(subscriber) => write(ENDED, &[], subscriber.as_bytes()),
            Self::List(ticket) => write(LIST, &[*ticket], b""),
        }
    }

    /// `None` for what [`encode`](Self::encode) does not write.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            BEGAN => return Active::decode(rest).map(Self::Began),
            ENDED => return str::from_utf8(rest).ok().map(Self::Ended),
            _ => {}
        }
        let (ticket, rest) = take_u64(rest)?;
        Some(match *kind {
            LIST => Self::List(ticket),
            PUBLISH => Self::Publish(ticket, rest),
            PAGE_EARLIEST => Self::Page(ticket, From::Earliest),
            PAGE_AFTER => Self::Page(ticket, From::After(str::from_utf8(rest).ok()?.to_owned())),
            PAGE_LATEST => Self::Page(ticket, From::Latest),
            PAGE_POSITION => Self::Page(ticket, From::Position(take_position(rest)?.0)),
            _ => return None,
        })
    }
}

impl<'a> Tell<'a> {
    pub(super) fn encode(&self) -> Rc<Buffer> {
        Buffer::uncounted(match self {
            Self::Update(update) => write(UPDATE, &[], update),
            Self::Active(active) => write(ACTIVE, &[], active),
            Self::Stored(ticket) => write(STORED, &[*ticket], b""),
            Self::Refused(ticket, reason) => write(REFUSED, &[*ticket], &[*reason as u8]),
            Self::Away => write(AWAY, &[], b""),
            Self::Gap => write(GAP, &[], b""),
            Self::Page(ticket, page) => {
                let kind = match page.end {
                    PageEnd::Complete => PAGE_COMPLETE,
                    PageEnd::More => PAGE_MORE,
                    PageEnd::Gap => PAGE_GAP,
                };
                let count = u64::try_from(page.count).unwrap_or(u64::MAX);
                let mut bytes = write(kind, &[*ticket], &page.position.to_le_bytes());
                bytes.extend_from_slice(&count.to_le_bytes());
                bytes.extend_from_slice(page.anchor.as_bytes());
                bytes
            }
        })
    }

    /// `None` for what [`encode`](Self::encode) does not write.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            UPDATE => return Some(Self::Update(rest)),
            ACTIVE => return Some(Self::Active(rest)),
            AWAY => return Some(Self::Away),
            GAP => return Some(Self::Gap),
            _ => {}
        }
        let (ticket, rest) = take_u64(rest)?;
        let end = match *kind {
            STORED => return Some(Self::Stored(ticket)),
            REFUSED => {
                let code = rest.first()?;
                let reason = Reason::ALL.into_iter().find(|one| *one as u8 == *code);
                return Some(Self::Refused(ticket, reason?));
            }
            PAGE_COMPLETE => PageEnd::Complete,
            PAGE_MORE => PageEnd::More,
            PAGE_GAP => PageEnd::Gap,
            _ => return None,
        };
        let (position, rest) = take_position(rest)?;
        let (count, anchor) = take_u64(rest)?;
        let page = Page {
            count: usize::try_from(count).ok()?,
            end,
            position,
            anchor: str::from_utf8(anchor).ok()?,
        };
        Some(Self::Page(ticket, page))
    }
}

fn write(kind: u8, numbers: &[u64], rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + size_of_val(numbers) + rest.len());
    bytes.push(kind);
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn take_position(bytes: &[u8]) -> Option<(Position, &[u8])> {
    let (position, rest) = bytes.split_first_chunk()?;
    Some((Position::from_le_bytes(*position), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_read_as_it_was_written_and_nothing_else_is() {
        for ask in [
            Ask::Publish(1, b"update"),
            Ask::Page(2, From::Earliest),
            Ask::Page(2, From::Latest),
            Ask::Page(3, From::After("urn:1".to_owned())),
            Ask::Page(u64::MAX, From::Position(7 << 64)),
            Ask::Ended("urn:1"),
            Ask::List(8),
        ] {
            assert_eq!(Ask::decode(&ask.encode()), Some(ask));
        }
        let page = |end| Page {
            count: 3,
            end,
            position: 9 << 64,
            anchor: "urn:1",
        };
        for tell in [
            Tell::Update(b"update"),
            Tell::Stored(4),
            Tell::Refused(5, Reason::Unavailable),
            Tell::Refused(5, Reason::Unconfirmed),
            Tell::Refused(5, Reason::QueueFull),
            Tell::Refused(5, Reason::WaitedTooLong),
            Tell::Away,
            Tell::Gap,
            Tell::Active(b"one"),
            Tell::Page(5, page(PageEnd::Complete)),
            Tell::Page(6, page(PageEnd::More)),
            Tell::Page(7, page(PageEnd::Gap)),
        ] {
            assert_eq!(Tell::decode(&tell.encode()), Some(tell));
        }
        for bytes in [&b""[..], b"\x09", b"\x09--------", b"\x03----------"] {
            assert_eq!(Ask::decode(bytes), None);
        }
        let refused = [&b"\x06--------"[..], b"\x06--------\x04"];
        for bytes in refused {
            assert_eq!(Tell::decode(bytes), None);
        }
        for bytes in [&b""[..], b"\x01---", b"\x02--------", b"\x09--------"] {
            assert_eq!(Tell::decode(bytes), None);
        }
    }
}
