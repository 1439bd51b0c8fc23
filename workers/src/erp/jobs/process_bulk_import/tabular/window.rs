//! A sliding window over a file: the bytes of the record at hand and no more.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::error::TabularError;

const FIRST_CAPACITY: usize = 256 * 1024;

/// Buffered bytes of a file, starting at a known offset.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The file offset of the first byte of the window.
    offset: u64,
    end_of_file: bool,
}

impl<R: Read + Seek> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self::with_capacity(source, FIRST_CAPACITY)
    }

    pub(super) fn with_capacity(source: R, capacity: usize) -> Self {
        Self { source, buffer: vec![0; capacity.max(4)], start: 0, end: 0, offset: 0, end_of_file: false }
    }

    /// The length of the file, by seeking to its end.
    pub(super) fn file_length(&mut self) -> Result<u64, TabularError> {
        let length = self.source.seek(SeekFrom::End(0))?;
        let read_up_to = self.offset + (self.end - self.start) as u64;
        self.source.seek(SeekFrom::Start(read_up_to))?;
        Ok(length)
    }

    /// Moves the window's start to `offset`, within the buffered bytes where it can.
    pub(super) fn seek(&mut self, offset: u64) -> Result<(), TabularError> {
        let buffered = (self.end - self.start) as u64;
        if offset >= self.offset && offset - self.offset <= buffered {
            self.start += usize::try_from(offset - self.offset).unwrap_or(0);
        } else {
            self.source.seek(SeekFrom::Start(offset))?;
            self.start = 0;
            self.end = 0;
            self.end_of_file = false;
        }
        self.offset = offset;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn at_end_of_file(&self) -> bool {
        self.end_of_file
    }

    /// Gives up the first `count` bytes.
    pub(super) fn advance(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads more bytes behind those at hand, making room for them first.
    pub(super) fn fill(&mut self) -> Result<(), TabularError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.end_of_file = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }
}
