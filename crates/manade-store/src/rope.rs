//! A list that is cheap to copy while it grows and shrinks at its ends.

use std::sync::Arc;

const BLOCK: usize = 256;

#[derive(Debug, Clone)]
pub struct Rope<T> {
    blocks: Vec<Arc<Vec<T>>>,
    /// Items at the first block's front that are gone.
    gone: usize,
}

impl<T> Default for Rope<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), gone: 0 }
    }
}

impl<T: Clone> Rope<T> {
    pub fn push(&mut self, item: T) {
        if let Some(block) = self.blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Arc::make_mut(block).push(item);
        } else {
            let mut block = Vec::with_capacity(BLOCK);
            block.push(item);
            self.blocks.push(Arc::new(block));
        }
    }

    pub fn front(&self) -> Option<&T> {
        self.blocks.first().and_then(|block| block.get(self.gone))
    }

    pub fn back(&self) -> Option<&T> {
        let gone = if self.blocks.len() == 1 { self.gone } else { 0 };
        self.blocks.last().and_then(|block| block[gone..].last())
    }

    pub fn pop_front(&mut self) -> Option<T> {
        let item = self.front().cloned()?;
        self.gone += 1;
        self.trim();
        Some(item)
    }

    pub fn pop_back(&mut self) -> Option<T> {
        let item = self.back().cloned()?;
        Arc::make_mut(self.blocks.last_mut()?).pop();
        self.trim();
        Some(item)
    }

    /// Puts an item in the place of the first one for which `before` is false; it must be true for all items in front
    /// of that one.
    pub fn replace(&mut self, before: impl Fn(&T) -> bool, item: T) -> Option<T> {
        let block = self.blocks.partition_point(|block| block.last().is_some_and(&before));
        let skip = if block == 0 { self.gone } else { 0 };
        let block = Arc::make_mut(self.blocks.get_mut(block)?);
        let at = skip + block[skip..].partition_point(before);
        Some(std::mem::replace(block.get_mut(at)?, item))
    }

    /// The last items, at most so many.
    pub fn tail(&self, count: usize) -> Vec<T> {
        let mut items: Vec<T> = Vec::with_capacity(count);
        for (at, block) in self.blocks.iter().enumerate().rev() {
            let skip = if at == 0 { self.gone } else { 0 };
            items.extend(block[skip..].iter().rev().take(count - items.len()).cloned());
            if items.len() == count {
                break;
            }
        }
        items.reverse();
        items
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter()).skip(self.gone)
    }

    /// Lets go of blocks without items.
    fn trim(&mut self) {
        if self.blocks.first().is_some_and(|block| block.len() <= self.gone) {
            self.blocks.remove(0);
            self.gone = 0;
        }
        if self.blocks.last().is_some_and(|block| block.is_empty()) {
            self.blocks.pop();
        }
    }

    /// Items from the first on for which `before` is false; it must be true for all items in front of that one.
    pub fn iter_from(&self, before: impl Fn(&T) -> bool) -> Vec<T> {
        let block = self.blocks.partition_point(|block| block.last().is_some_and(&before));
        let skip = if block == 0 { self.gone } else { 0 };
        let rest = self.blocks[block..].iter().flat_map(|block| block.iter()).skip(skip);
        rest.skip_while(|item| before(item)).cloned().collect()
    }
}

impl<T: Clone> FromIterator<T> for Rope<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut rope = Self::default();
        items.into_iter().for_each(|item| rope.push(item));
        rope
    }
}

#[cfg(test)]
mod tests;
