//! A list that is cheap to copy while it grows at its end and shrinks at its front.

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

    pub fn pop_front(&mut self) {
        self.gone += 1;
        if self.blocks.first().is_some_and(|block| block.len() <= self.gone) {
            self.blocks.remove(0);
            self.gone = 0;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter()).skip(self.gone)
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
