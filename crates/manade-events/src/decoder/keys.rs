//! Guesses the next key of an object: events of one source have their keys in the same order.

use std::collections::HashMap;

use super::shape::Members;
use crate::scan::{Fault, string_end};

/// Keys are learned up to this number; an object with more is read without guesses.
const MOST: usize = 256;
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Vec<Known>,
    by_text: HashMap<Box<[u8]>, u32>,
    first: Option<u32>,
}

#[derive(Debug)]
struct Known {
    /// The key and its closing quote.
    text: Box<[u8]>,
    /// The first eight bytes of `text`, zeros behind a shorter one, and the mask that cuts others to that length.
    head: u64,
    mask: u64,
    member: Option<u32>,
    next: u32,
}

/// Which of the known keys the last one was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last(u32);

impl Last {
    pub const NONE: Last = Last(NONE);
}

pub(crate) struct Key {
    /// Of the struct that is read; `None`: not read.
    pub member: Option<usize>,
    /// Behind the closing quote.
    pub end: usize,
    pub last: Last,
}

impl Keys {
    /// The key whose text starts at `i`, behind its quote. `None`: it has escapes.
    #[inline]
    pub fn find(&mut self, b: &[u8], i: usize, last: Last, members: &Members) -> Result<Option<Key>, Fault> {
        let guess = if last.0 == NONE { self.first.unwrap_or(NONE) } else { self.known[last.0 as usize].next };
        if let Some(known) = self.known.get(guess as usize)
            && known.is_at(b, i)
        {
            let member = known.member.map(|member| member as usize);
            return Ok(Some(Key { member, end: i + known.text.len(), last: Last(guess) }));
        }
        self.learn(b, i, last, members)
    }

    #[inline(never)]
    fn learn(&mut self, b: &[u8], i: usize, last: Last, members: &Members) -> Result<Option<Key>, Fault> {
        let (end, escaped) = string_end(b, i)?;
        if escaped {
            return Ok(None);
        }
        let text = &b[i..=end];
        let index = match self.by_text.get(text) {
            Some(index) => *index,
            None if self.known.len() < MOST => {
                let index = self.known.len() as u32;
                self.known.push(Known::new(text, members));
                self.by_text.insert(text.into(), index);
                index
            }
            None => {
                let member = members.by_key.get(&b[i..end]).copied();
                return Ok(Some(Key { member, end: end + 1, last: Last::NONE }));
            }
        };
        match self.known.get_mut(last.0 as usize) {
            Some(known) => known.next = index,
            None => self.first = Some(index),
        }
        let member = self.known[index as usize].member.map(|member| member as usize);
        Ok(Some(Key { member, end: end + 1, last: Last(index) }))
    }
}

impl Known {
    fn new(text: &[u8], members: &Members) -> Self {
        let mut head = [0; 8];
        let mut mask = [0; 8];
        for (i, byte) in text.iter().take(8).enumerate() {
            head[i] = *byte;
            mask[i] = 0xff;
        }
        let member = members.by_key.get(&text[..text.len() - 1]).map(|member| *member as u32);
        Self { text: text.into(), head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask), member, next: NONE }
    }

    #[inline]
    fn is_at(&self, b: &[u8], i: usize) -> bool {
        match b.get(i..).and_then(<[u8]>::first_chunk::<8>) {
            Some(word) if self.text.len() <= 8 => u64::from_le_bytes(*word) & self.mask == self.head,
            Some(word) if u64::from_le_bytes(*word) != self.head => false,
            _ => b.get(i..i + self.text.len()).is_some_and(|there| *there == *self.text),
        }
    }
}
