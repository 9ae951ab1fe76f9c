//! How events stand in a segment: each behind eight bytes, of which four are zero and four say how
//! long it is.

use thiserror::Error;

/// Bytes before each event.
const HEADER: usize = 8;

/// One event within some data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Where its header begins.
    pub(super) start: usize,
    /// Where the next one's begins.
    pub(super) end: usize,
    pub(super) event: &'a [u8],
}

/// Data that is no row of events: the segment holds something else, or we are not at a boundary.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no event begins here")]
pub(super) struct NotAnEvent {
    /// Where in the data.
    pub(super) at: usize,
}

/// The events of some data, as far as they are whole.
pub(super) fn frames(data: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let (body, end) = body(data, start).ok().flatten()?;
        let frame = Frame { start, end, event: data.get(body..end)? };
        start = end;
        Some(frame)
    })
}

/// How many bytes of the data are whole events; the rest is the beginning of one.
pub(super) fn whole(data: &[u8]) -> Result<usize, NotAnEvent> {
    let mut start = 0;
    while let Some((_, end)) = body(data, start)? {
        if end > data.len() {
            break;
        }
        start = end;
    }
    Ok(start)
}

/// Where the event whose header is at `start` begins and ends; `None` if the header is not whole.
fn body(data: &[u8], start: usize) -> Result<Option<(usize, usize)>, NotAnEvent> {
    let Some(header) = data.get(start..start + HEADER) else { return Ok(None) };
    let number = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    match (number(0), usize::try_from(number(4))) {
        (0, Ok(length)) => Ok(Some((start + HEADER, start + HEADER + length))),
        _ => Err(NotAnEvent { at: start }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(events: &[&[u8]]) -> Vec<u8> {
        let mut data = Vec::new();
        for event in events {
            data.extend_from_slice(&[0; 4]);
            data.extend_from_slice(&u32::try_from(event.len()).expect("short").to_be_bytes());
            data.extend_from_slice(event);
        }
        data
    }

    #[test]
    fn whole_events_are_found_and_the_rest_is_left() {
        let data = data(&[b"one", b"", b"three"]);
        for cut in 0..=data.len() {
            let expected = [0, 11, 19, 32].into_iter().rfind(|end| *end <= cut).expect("zero");
            assert_eq!(whole(&data[..cut]), Ok(expected), "{cut}");
        }
        let events: Vec<&[u8]> = frames(&data).map(|frame| frame.event).collect();
        assert_eq!(events, [b"one".as_slice(), b"", b"three"]);
        let ends: Vec<usize> = frames(&data).map(|frame| frame.end).collect();
        assert_eq!(ends, [11, 19, 32]);
    }

    #[test]
    fn what_is_no_event_is_named() {
        assert_eq!(whole(&[0, 0, 0, 1, 0, 0, 0, 0]), Err(NotAnEvent { at: 0 }));
        let mut data = data(&[b"one"]);
        data.extend_from_slice(&[0, 0, 0, 0, 255, 0, 0, 0]);
        assert_eq!(whole(&data), Err(NotAnEvent { at: 11 }));
    }
}
