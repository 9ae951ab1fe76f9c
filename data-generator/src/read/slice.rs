//! The data of one read, where the network has put it: the store's answer is not copied.
//!
//! The client library decodes an answer by copying it twice, which for a reader that does little else
//! is most of its time. So this one message is taken apart here:
//!
//! ```text
//! type i32 = 10 | length i32 | name u16+bytes | offset i64 | at tail u8 | end u8 | data u32+bytes | request i64
//! ```

use pravega_wire_protocol::connection::Connection;
use pravega_wire_protocol::wire_commands::{Decode, Replies};
use std::ops::{Deref, Range};

/// Bytes before the payload of every message.
const HEADER: usize = 8;
/// The type of the message that brings data.
const SEGMENT_READ: i32 = 10;
/// No message is longer.
const LONGEST: usize = 0x00FF_FFFF;

/// Some bytes of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    buffer: Vec<u8>,
    range: Range<usize>,
}

impl Slice {
    /// Keeps the first `length` bytes and returns the others.
    pub(super) fn split_off(&mut self, length: usize) -> Vec<u8> {
        let rest = self[length..].to_vec();
        self.range.end = self.range.start + length;
        rest
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

/// An answer of a segment store.
pub(super) enum Answer {
    /// To a read.
    Data {
        /// From where.
        offset: i64,
        /// Whether nothing will ever follow it.
        end_of_segment: bool,
        /// The data, behind what was to be put before it.
        slice: Slice,
        /// Whether the store sent any.
        is_empty: bool,
    },
    /// Any other.
    Other(Replies),
}

/// Takes the next answer from a connection; `before` is put before its data.
pub(super) async fn next_answer(connection: &mut dyn Connection, before: &[u8]) -> Result<Answer, String> {
    let mut header = [0; HEADER];
    connection.read_async(&mut header).await.map_err(|error| error.to_string())?;
    let number = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = usize::try_from(number(4)).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| format!("a message of {} bytes", number(4)))?;
    // Room for the header, to decode other messages, or for what goes before the data.
    let room = before.len().max(HEADER);
    let mut buffer = vec![0; room + length];
    connection.read_async(&mut buffer[room..]).await.map_err(|error| error.to_string())?;
    if number(0) == SEGMENT_READ {
        let read = parse(&buffer[room..]).ok_or("a message with data that ends too soon")?;
        let start = room + read.data.start - before.len();
        buffer[start..start + before.len()].copy_from_slice(before);
        return Ok(Answer::Data {
            offset: read.offset,
            end_of_segment: read.end_of_segment,
            is_empty: read.data.is_empty(),
            slice: Slice { range: start..room + read.data.end, buffer },
        });
    }
    buffer[room - HEADER..room].copy_from_slice(&header);
    let decoded = Replies::read_from(&buffer[room - HEADER..]).map_err(|error| error.to_string())?;
    Ok(Answer::Other(decoded))
}

struct SegmentRead {
    offset: i64,
    end_of_segment: bool,
    /// Where in the payload.
    data: Range<usize>,
}

fn parse(payload: &[u8]) -> Option<SegmentRead> {
    let mut at = 0;
    let mut take = |count: usize| {
        let range = at..at + count;
        at += count;
        payload.get(range.clone()).map(|bytes| (range, bytes))
    };
    let name = u16::from_be_bytes(take(2)?.1.try_into().ok()?);
    take(usize::from(name))?;
    let offset = i64::from_be_bytes(take(8)?.1.try_into().ok()?);
    let _at_tail = take(1)?;
    let end_of_segment = take(1)?.1 != [0];
    let length = u32::from_be_bytes(take(4)?.1.try_into().ok()?);
    let (data, _) = take(usize::try_from(length).ok()?)?;
    Some(SegmentRead { offset, end_of_segment, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pravega_wire_protocol::commands::SegmentReadCommand;
    use pravega_wire_protocol::wire_commands::Encode;

    #[test]
    fn the_message_is_the_one_that_the_library_writes() {
        let message = Replies::SegmentRead(SegmentReadCommand {
            segment: "s/t/0.#epoch.0".to_owned(),
            offset: 456,
            at_tail: true,
            end_of_segment: true,
            data: b"data".to_vec(),
            request_id: 7,
        });
        let bytes = message.write_fields().expect("encodes");
        assert_eq!(bytes[..4], SEGMENT_READ.to_be_bytes());
        let payload = &bytes[HEADER..];
        let read = parse(payload).expect("parses");
        assert_eq!((read.offset, read.end_of_segment, &payload[read.data]), (456, true, b"data".as_slice()));
        assert!(parse(&payload[..payload.len() - 12]).is_none());
    }

    #[test]
    fn a_slice_is_split_where_its_whole_events_end() {
        let mut slice = Slice { buffer: b"..one, two, thr..".to_vec(), range: 2..15 };
        assert_eq!(slice.split_off(9), b" thr");
        assert_eq!(&*slice, b"one, two,");
    }
}
