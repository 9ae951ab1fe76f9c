//! The event on the wire: how it is written, and how any reader gets its identity back.
//!
//! An event is four lines of text in the style of a FASTQ record, each ended by `\n`:
//!
//! ```text
//! @{writer}.{sequence}.{time_us}
//! {bases: A C G T}
//! +
//! {quality: '!' to 'I', as long as the bases}
//! ```
//!
//! `writer` and `sequence` name the event; `time_us` is when it was meant to be sent, in
//! microseconds since the epoch. The bases and the quality are a function of the identity alone, so
//! a retried event is the same bytes again and nothing has to be kept in order to send it twice.

use crate::dice::Dice;
use memchr::memchr_iter;
use std::io::Write as _;
use thiserror::Error;

/// Names an event and says when it was meant to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The writer, unique among the writers of one run.
    pub writer: u32,
    /// Position among the writer's events: from 0, without gaps.
    pub sequence: u64,
    /// Intended send time, microseconds since the Unix epoch.
    pub time_us: u64,
}

/// Size of an event in bytes, large enough for any identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSize(usize);

impl EventSize {
    /// The sample's size of about 220 bytes, exactly.
    pub const DEFAULT: Self = Self(220);
    /// The longest identity line leaves room for a few bases at this size.
    pub const MIN: usize = 64;
    /// Pravega takes events up to 8 MiB; one mebibyte keeps a window of them in bounds.
    pub const MAX: usize = 1024 * 1024;

    /// A size in bytes, or `None` outside [`Self::MIN`] to [`Self::MAX`].
    #[must_use]
    pub fn new(bytes: usize) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&bytes).then_some(Self(bytes))
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.0
    }
}

/// Writes the event of this identity, exactly `size` bytes long.
///
/// ```
/// use data_generator::event::{EventSize, Identity, encode, parse};
///
/// let identity = Identity { writer: 3, sequence: 41, time_us: 1_700_000_000_000_000 };
/// let bytes = encode(identity, EventSize::DEFAULT);
/// assert_eq!(bytes.len(), 220);
/// assert_eq!(parse(&bytes).unwrap().identity, identity);
/// ```
#[must_use]
pub fn encode(identity: Identity, size: EventSize) -> Vec<u8> {
    let Identity { writer, sequence, time_us } = identity;
    let mut event = Vec::with_capacity(size.bytes());
    // Writing to a vector cannot fail.
    let _ = writeln!(event, "@{writer}.{sequence}.{time_us}");
    // What is left after "\n+\n" between the two lines and the last "\n" is shared by bases and
    // quality; an odd byte goes to the quality.
    let rest = size.bytes() - event.len() - 4;
    let (bases, quality) = (rest / 2, rest - rest / 2);
    let mut dice = dice_of(writer, sequence);
    fill(&mut event, &mut dice, bases, b"ACGTACGTACGTACGT");
    event.extend_from_slice(b"\n+\n");
    fill(&mut event, &mut dice, quality, b"EEEEEEEEEEAA6/<I");
    event.push(b'\n');
    event
}

/// A parsed event; the lines are borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Who wrote it, and as which of its events.
    pub identity: Identity,
    /// The line of bases: A, C, G and T only.
    pub bases: &'a [u8],
    /// The line of quality marks.
    pub quality: &'a [u8],
}

/// What is wrong with bytes that should be an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not four lines, each ended by a newline.
    #[error("an event is four lines, each ended by a newline")]
    Lines,
    /// The first line is not `@writer.sequence.time`.
    #[error("the first line is not @writer.sequence.time_us with three decimal numbers")]
    Identity,
    /// A byte other than A, C, G, T among the bases.
    #[error("the second line holds something other than A, C, G, T")]
    Bases,
    /// The third line is not a single plus sign.
    #[error("the third line is not a plus sign")]
    Separator,
    /// The quality has a foreign byte, or not the length of the bases (or one more).
    #[error("the fourth line is not as long as the bases, or holds something beyond '!' to 'I'")]
    Quality,
}

/// Reads an event. Strict: anything [`encode`] would not write is an error.
pub fn parse(bytes: &[u8]) -> Result<Event<'_>, ParseError> {
    let mut ends = memchr_iter(b'\n', bytes);
    let mut start = 0;
    let mut line = || {
        let end = ends.next().ok_or(ParseError::Lines)?;
        let line = &bytes[start..end];
        start = end + 1;
        Ok(line)
    };
    let (first, bases, separator, quality) = (line()?, line()?, line()?, line()?);
    if start != bytes.len() {
        return Err(ParseError::Lines);
    }
    let identity = parse_identity(first).ok_or(ParseError::Identity)?;
    if bases.is_empty() || !every(bases, |byte| matches!(byte, b'A' | b'C' | b'G' | b'T')) {
        return Err(ParseError::Bases);
    }
    if separator != b"+" {
        return Err(ParseError::Separator);
    }
    let spare = quality.len().checked_sub(bases.len());
    if !matches!(spare, Some(0 | 1)) || !every(quality, |byte| matches!(byte, b'!'..=b'I')) {
        return Err(ParseError::Quality);
    }
    Ok(Event { identity, bases, quality })
}

/// Looks at every byte, whatever it finds: that lets the compiler take many at once.
fn every(bytes: &[u8], is_good: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |so_far, byte| so_far & is_good(*byte))
}

fn parse_identity(line: &[u8]) -> Option<Identity> {
    let mut fields = line.strip_prefix(b"@")?.split(|byte| *byte == b'.').map(decimal);
    let mut field = || fields.next().flatten();
    let (writer, sequence, time_us) = (field()?, field()?, field()?);
    let identity = Identity { writer: writer.try_into().ok()?, sequence, time_us };
    fields.next().is_none().then_some(identity)
}

/// Digits only: Rust's own parser also takes a leading plus sign, the format does not.
fn decimal(text: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let more = |number: u64, byte: &u8| number.checked_mul(10)?.checked_add(digit(*byte)?);
    if text.is_empty() { None } else { text.iter().try_fold(0, more) }
}

/// What the letters of an event follow from.
fn dice_of(writer: u32, sequence: u64) -> Dice {
    Dice::new(sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(writer) << 32))
}

/// Appends `count` letters, four bits of the dice choosing each one.
fn fill(event: &mut Vec<u8>, dice: &mut Dice, count: usize, letters: &[u8; 16]) {
    let end = event.len() + count;
    while event.len() < end {
        let mut block = [0; 16];
        for (pair, byte) in block.chunks_exact_mut(2).zip(dice.roll().to_le_bytes()) {
            pair[0] = letters[usize::from(byte & 15)];
            pair[1] = letters[usize::from(byte >> 4)];
        }
        event.extend_from_slice(&block[..block.len().min(end - event.len())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIME: u64 = 1_795_368_000_000_000;

    fn identity(writer: u32, sequence: u64, time_us: u64) -> Identity {
        Identity { writer, sequence, time_us }
    }

    #[test]
    fn the_default_event_is_220_bytes_in_four_lines() {
        let bytes = encode(identity(0, 0, TIME), EventSize::DEFAULT);
        assert_eq!(bytes.len(), 220);
        let text = String::from_utf8(bytes).expect("ASCII");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], format!("@0.0.{TIME}"));
        assert_eq!(lines[2], "+");
    }

    #[test]
    fn a_retried_event_is_the_same_bytes() {
        let one = identity(7, 99, TIME);
        assert_eq!(encode(one, EventSize::DEFAULT), encode(one, EventSize::DEFAULT));
        let next = encode(identity(7, 100, TIME), EventSize::DEFAULT);
        assert_ne!(parse(&next).expect("parses").bases, parse(&encode(one, EventSize::DEFAULT)).expect("parses").bases);
    }

    #[test]
    fn what_encode_would_not_write_is_refused() {
        for (bytes, error) in [
            (&b""[..], ParseError::Lines),
            (b"@0.0.1\nA\n+\n!", ParseError::Lines),
            (b"@0.0.1\nA\n+\n!\n\n", ParseError::Lines),
            (b"0.0.1\nA\n+\n!\n", ParseError::Identity),
            (b"@0.0\nA\n+\n!\n", ParseError::Identity),
            (b"@0.0.1.2\nA\n+\n!\n", ParseError::Identity),
            (b"@+0.0.1\nA\n+\n!\n", ParseError::Identity),
            (b"@4294967296.0.1\nA\n+\n!\n", ParseError::Identity),
            (b"@0.0.1\nN\n+\n!\n", ParseError::Bases),
            (b"@0.0.1\n\n+\n!\n", ParseError::Bases),
            (b"@0.0.1\nA\n-\n!\n", ParseError::Separator),
            (b"@0.0.1\nA\n+\nJ\n", ParseError::Quality),
            (b"@0.0.1\nA\n+\n!!!\n", ParseError::Quality),
            (b"@0.0.1\nAC\n+\n!\n", ParseError::Quality),
        ] {
            assert_eq!(parse(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_identity_survives_at_any_size(
            writer: u32,
            sequence: u64,
            time_us: u64,
            bytes in EventSize::MIN..2_000,
        ) {
            let size = EventSize::new(bytes).expect("in bounds");
            let identity = identity(writer, sequence, time_us);
            let encoded = encode(identity, size);
            prop_assert_eq!(encoded.len(), bytes);
            let event = parse(&encoded).expect("parses");
            prop_assert_eq!(event.identity, identity);
            prop_assert!(event.quality.len() - event.bases.len() <= 1);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
