/// The bounds of a form with files, beside the size of the whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultipartLimits {
    /// How many parts there may be. 100.
    pub parts: usize,
    /// The size of one part, in bytes. 2 MiB.
    pub part_size: u64,
    /// The size of the header section of one part, in bytes. 8 KiB.
    pub header_size: u64,
}

impl MultipartLimits {
    /// The limits that hold where nothing else is said.
    pub const fn new() -> Self {
        Self { parts: 100, part_size: 2 << 20, header_size: 8 << 10 }
    }

    /// Sets how many parts there may be.
    #[must_use]
    pub const fn parts(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    /// Sets the size of one part, in bytes.
    #[must_use]
    pub const fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Sets the size of the header section of one part, in bytes.
    #[must_use]
    pub const fn header_size(mut self, bytes: u64) -> Self {
        self.header_size = bytes;
        self
    }
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self::new()
    }
}
