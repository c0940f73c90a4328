//! The usual shape of native JSON in one pass.
//!
//! It reads what production logs all day: objects in any order, strings, arrays of numbers; values that are rarer go
//! through the careful reader where they stand. Wherever it is not certain to find what the careful reader finds, it
//! gives up and the careful one reads the whole record: `None` says nothing about a record, `Some` is exactly
//! what the careful reader gives.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::native_json::{Numbers, Pairs, RawInput, RawModel, RawOutput, RawRecord, RawTime, Text};
use super::native_number;
use crate::drift::time::Timestamp;

/// Values that open more objects and arrays than this are left to the careful reader, whose limit of depth is
/// counted from the record's beginning.
const MOST_OPENED: usize = 64;
/// Heads of a model, classes of a head: room for these at once.
const USUAL: usize = 8;

/// A place in a record.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Reads the record that the text holds, if it has the usual shape; if it has not, what was read is worth nothing.
pub(super) fn record<'a>(text: &'a str, raw: &mut RawRecord<'a>) -> Option<()> {
    let mut cursor = Cursor { text, at: 0 };
    let mut seen = Seen::default();
    cursor.object(|cursor, key| {
        match key {
            "schema" => raw.schema = seen.once(0)?.then_text(cursor)?,
            "prediction_id" => raw.prediction_id = seen.once(1)?.then_text(cursor)?,
            "timestamp" | "labeled_at" => raw.timestamp = seen.once(2)?.then_some(cursor, time)?,
            "model" => raw.model = seen.once(3)?.then_some(cursor, model)?,
            "input" => raw.input = seen.once(4)?.then_some(cursor, input)?,
            "embedding" => raw.embedding = seen.once(5)?.then(cursor)?,
            "outputs" => raw.outputs = seen.once(6)?.then_some(cursor, outputs)?,
            "labels" => raw.labels = seen.once(7)?.then(cursor)?,
            "tags" => raw.tags = seen.once(8)?.then_some(cursor, tags)?,
            "attributes" => raw.attributes = seen.once(9)?.then(cursor)?,
            "task" => raw.task = seen.once(10)?.then_text(cursor)?,
            "label" => raw.label = seen.once(11)?.then(cursor)?,
            "value" => raw.value = seen.once(12)?.then(cursor)?,
            "revision" => raw.revision = seen.once(13)?.then(cursor)?,
            "retracted" => raw.retracted = seen.once(14)?.then(cursor)?,
            "__deleted" => raw.deleted = seen.once(15)?.then_text(cursor)?,
            "op" => raw.op = seen.once(16)?.then_text(cursor)?,
            _ => cursor.skip()?,
        }
        Some(())
    })?;
    cursor.blank();
    (cursor.at == text.len()).then_some(())
}

fn time(cursor: &mut Cursor) -> Option<RawTime> {
    match cursor.peek()? {
        b'"' => cursor.text().map(|text| RawTime(Timestamp::parse(&text.0))),
        _ => cursor.careful(),
    }
}

fn model<'a>(cursor: &mut Cursor<'a>) -> Option<RawModel<'a>> {
    let (mut name, mut version, mut seen) = (None, None, Seen::default());
    cursor.object(|cursor, key| {
        match key {
            // Unlike the others it must be there, so `null` is the careful reader's to refuse.
            "name" => name = seen.once(0)?.then_text(cursor)?,
            "version" => version = seen.once(1)?.then_text(cursor)?,
            _ => cursor.skip()?,
        }
        Some(())
    })?;
    Some(RawModel { name: name?, version })
}

fn input<'a>(cursor: &mut Cursor<'a>) -> Option<RawInput<'a>> {
    let (mut input, mut seen) = (RawInput { text: None, text_pair: None }, Seen::default());
    cursor.object(|cursor, key| {
        match key {
            "text" => input.text = seen.once(0)?.then_text(cursor)?,
            "text_pair" => input.text_pair = seen.once(1)?.then_text(cursor)?,
            _ => cursor.skip()?,
        }
        Some(())
    })?;
    Some(input)
}

fn outputs<'a>(cursor: &mut Cursor<'a>) -> Option<Pairs<'a, Option<RawOutput<'a>>>> {
    let mut outputs = Vec::with_capacity(USUAL);
    cursor.object(|cursor, task| {
        // `null` is the careful reader's.
        outputs.push((Text(Cow::Borrowed(task)), Some(RawOutput::default())));
        outputs.last_mut().and_then(|(_, raw)| output(cursor, raw.as_mut()?))
    })?;
    Some(Pairs(outputs))
}

fn output<'a>(cursor: &mut Cursor<'a>, output: &mut RawOutput<'a>) -> Option<()> {
    let mut seen = Seen::default();
    cursor.object(|cursor, key| {
        match key {
            "kind" => output.kind = seen.once(0)?.then_text(cursor)?,
            "label" => output.label = seen.once(1)?.then_text(cursor)?,
            "labels" => output.labels = seen.once(2)?.then_some(cursor, texts)?,
            "scores" => output.scores = seen.once(3)?.then_some(cursor, numbers)?,
            "logits" => output.logits = seen.once(4)?.then_some(cursor, numbers)?,
            "value" => output.value = seen.once(5)?.then(cursor)?,
            _ => cursor.skip()?,
        }
        Some(())
    })
}

fn tags<'a>(cursor: &mut Cursor<'a>) -> Option<Pairs<'a, Option<Text<'a>>>> {
    let mut tags = Vec::new();
    cursor.object(|cursor, tag| {
        tags.push((Text(Cow::Borrowed(tag)), Some(cursor.text()?)));
        Some(())
    })?;
    Some(Pairs(tags))
}

fn texts<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<Text<'a>>> {
    let mut texts = Vec::with_capacity(USUAL);
    cursor.array(|cursor| {
        texts.push(cursor.text()?);
        Some(())
    })?;
    Some(texts)
}

fn numbers<'a>(cursor: &mut Cursor<'a>) -> Option<Numbers<'a>> {
    match cursor.peek()? {
        b'[' => {
            let mut numbers = Vec::with_capacity(2 * USUAL);
            cursor.array(|cursor| {
                numbers.push(cursor.number()?);
                Some(())
            })?;
            Some(Numbers::Listed(numbers))
        }
        b'{' => {
            let mut numbers = Vec::with_capacity(USUAL);
            cursor.object(|cursor, name| {
                numbers.push((Text(Cow::Borrowed(name)), cursor.number()?));
                Some(())
            })?;
            Some(Numbers::Named(numbers))
        }
        _ => cursor.careful(),
    }
}

/// Which fields of an object were there: the careful reader refuses a field that comes twice.
#[derive(Default)]
struct Seen(u32);

/// A field is there for the first time.
struct First;

impl Seen {
    fn once(&mut self, field: u32) -> Option<First> {
        let twice = self.0 & (1 << field) != 0;
        self.0 |= 1 << field;
        (!twice).then_some(First)
    }
}

#[expect(clippy::unused_self, reason = "it stands for what was checked")]
impl First {
    /// A value that the careful reader reads, or `null`.
    fn then<'a, T: Deserialize<'a>>(self, cursor: &mut Cursor<'a>) -> Option<Option<T>> {
        cursor.careful()
    }

    /// A string, or `null`.
    fn then_text<'a>(self, cursor: &mut Cursor<'a>) -> Option<Option<Text<'a>>> {
        self.then_some(cursor, Cursor::text)
    }

    /// A value that is read so, or `null`.
    fn then_some<'a, T>(
        self,
        cursor: &mut Cursor<'a>,
        read: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        if cursor.peek()? == b'n' { cursor.careful::<()>().map(|()| None) } else { read(cursor).map(Some) }
    }
}

impl<'a> Cursor<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        self.blank();
        self.bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// An object whose keys hold no escapes; `each` reads the values.
    fn object(&mut self, mut each: impl FnMut(&mut Cursor<'a>, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blank();
            let key = self.plain()?;
            self.take(b':')?;
            each(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn array(&mut self, mut each: impl FnMut(&mut Cursor<'a>) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            each(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn text(&mut self) -> Option<Text<'a>> {
        self.blank();
        match self.plain() {
            Some(text) => Some(Text(Cow::Borrowed(text))),
            None => self.careful(),
        }
    }

    /// A string without escapes; where there is none, the cursor stays.
    fn plain(&mut self) -> Option<&'a str> {
        let rest = self.bytes().get(self.at..)?.strip_prefix(b"\"")?;
        let length = plain_length(rest)?;
        let text = (rest[length] == b'"').then(|| self.text.get(self.at + 1..self.at + 1 + length))??;
        self.at += length + 2;
        Some(text)
    }

    fn number(&mut self) -> Option<f32> {
        self.blank();
        let (number, length) = native_number::leading(&self.bytes()[self.at..])?;
        self.at += length;
        Some(number)
    }

    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.text().map(|_| ()),
            _ => self.careful::<IgnoredAny>().map(|_| ()),
        }
    }

    /// A value as the careful reader reads it.
    fn careful<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let rest = self.text.get(self.at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        let value = values.next()?.ok()?;
        let length = values.byte_offset();
        let opened = rest.as_bytes()[..length].iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        self.at += length;
        (opened <= MOST_OPENED).then_some(value)
    }
}

/// Where a quotation mark, a backslash or a control character stands; eight bytes at once where there are as many.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<8>() {
        let block = u64::from_le_bytes(*block);
        // The high bit of each byte that is below the other's; it is right up to the first such byte.
        let below = |word: u64, limit: u64| word.wrapping_sub(limit * EACH) & !word;
        let found = below(block ^ (0x22 * EACH), 1) | below(block ^ (0x5c * EACH), 1) | below(block, 0x20);
        let found = found & (0x80 * EACH);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|more| at + more)
}

#[cfg(test)]
#[path = "native_quick_tests.rs"]
mod tests;
