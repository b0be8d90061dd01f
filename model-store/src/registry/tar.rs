//! A ustar writer (POSIX.1-1988): plain files with fixed owner and time, so that the same version gives the same bytes.

use std::io::{self, Write};

const BLOCK: usize = 512;

/// Writes an archive of files under `folder`, and its end mark.
pub(super) fn write<'a>(
    output: &mut impl Write,
    folder: &str,
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> io::Result<()> {
    for (path, bytes) in files {
        output.write_all(&header(&format!("{folder}/{path}"), bytes.len() as u64)?)?;
        output.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        output.write_all(&[0; BLOCK][..padding])?;
    }
    output.write_all(&[0; 2 * BLOCK])
}

fn header(path: &str, size: u64) -> io::Result<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // The checksum is computed with its own field as spaces.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// ustar holds a path as a name of up to 100 bytes and a prefix of up to 155, split at a slash.
fn split(path: &str) -> io::Result<(&str, &str)> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    let cuts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    let mut fitting = cuts.filter(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100 && !name.is_empty());
    fitting.next().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidFilename, format!("`{path}` is too long for a tar archive"))
    })
}
