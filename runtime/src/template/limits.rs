//! How much a plugin's templates may be and do.

/// How much a plugin's templates may be and do. Sizes are bytes.
///
/// The defaults leave room: a page with a table of 200 rows, each with buttons and a dialog, takes less than a third
/// of the fuel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateLimits {
    /// How many templates a plugin may have. 64.
    pub templates: usize,
    /// Bytes of one template's source. 64 KiB.
    pub source_bytes: usize,
    /// Bytes of all sources together. 256 KiB.
    pub total_bytes: usize,
    /// Bytes of the JSON of a view or a sample. 256 KiB.
    pub data_bytes: usize,
    /// How deep arrays and objects of the JSON may nest. 64.
    pub data_depth: usize,
    /// Work of one rendering in the template engine's unit, which is one instruction, or 64 bytes of text.
    pub fuel: u64,
    /// How deep macros (5 each), includes (10 each), loops and blocks (1 each) may nest. At most 160 whatever is given:
    /// that is what a stack of 2 MiB, which the threads of an async runtime have, was tested to carry.
    pub recursion: usize,
    /// Bytes that one rendering may write. 1 MiB.
    pub output_bytes: usize,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        Self {
            templates: 64,
            source_bytes: 64 * 1024,
            total_bytes: 256 * 1024,
            data_bytes: 256 * 1024,
            data_depth: 64,
            fuel: 400_000,
            recursion: 120,
            output_bytes: 1024 * 1024,
        }
    }
}
