//! Input that is wrong by accident or on purpose, through the real binary: it is refused in clear words, the
//! good records beside it count, nothing panics, memory stays bounded.

mod fences;
mod files;
mod service;

use std::io::Write;

/// Packs bytes with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("a buffer takes everything");
    packed.finish().expect("a buffer takes everything")
}

/// A little that unpacks to `mebibytes` of one byte: members of 16 MiB, one after the other.
pub fn gzip_bomb(byte: u8, mebibytes: usize) -> Vec<u8> {
    gzip(&vec![byte; 16 << 20]).repeat(mebibytes / 16)
}

/// Bytes as a zstd frame of blocks that are not compressed.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    const MAX_BLOCK: usize = 64 << 10;
    // A frame of one segment, with the content's size in 4 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    frame.extend((bytes.len() as u32).to_le_bytes());
    let blocks = bytes.chunks(MAX_BLOCK).count();
    for (i, block) in bytes.chunks(MAX_BLOCK).enumerate() {
        let head = (block.len() as u32) << 3 | u32::from(i + 1 == blocks);
        frame.extend(&head.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// As many opening brackets.
pub fn nested(depth: usize) -> String {
    "[".repeat(depth)
}
