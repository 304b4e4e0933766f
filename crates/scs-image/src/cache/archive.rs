//! The form of a cached image: zstd, followed by a skippable frame with the SHA-256 of all before it.
//!
//! The checksum travels in the file itself, so that one rename publishes both and two writers cannot mix theirs; `zstd -d`
//! passes over the frame. Blocking.

use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom, Write};

/// Magic of the first skippable frame (RFC 8878, 3.1.2), little-endian as all of it.
const MAGIC: u32 = 0x184D_2A50;
/// Says whose frame it is.
const TAG: &[u8; 8] = b"scs-sha2";
/// Magic, length, tag, hash.
const TRAILER: u64 = 4 + 4 + 8 + 32;
/// zstd's own default: about 300 MB/s on one core, and higher levels hardly shrink a system's files further.
const LEVEL: i32 = 3;

/// Compresses what it is given; [`Writer::finish`] makes it whole.
pub(super) struct Writer<W: Write> {
    encoder: zstd::stream::write::Encoder<'static, Hashing<W>>,
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Writer<W> {
    pub(super) fn new(inner: W) -> std::io::Result<Self> {
        let encoder = zstd::stream::write::Encoder::new(Hashing { inner, hash: Sha256::new() }, LEVEL)?;
        Ok(Writer { encoder })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.encoder.write_all(bytes)
    }

    /// Ends the image and gives the writer back.
    pub(super) fn finish(self) -> std::io::Result<W> {
        let Hashing { mut inner, hash } = self.encoder.finish()?;
        inner.write_all(&MAGIC.to_le_bytes())?;
        inner.write_all(&(8u32 + 32).to_le_bytes())?;
        inner.write_all(TAG)?;
        inner.write_all(&hash.finalize())?;
        inner.flush()?;
        Ok(inner)
    }
}

/// Reads all of a file and says what is wrong with it, if anything; leaves it at its start.
pub(super) fn verify<F: Read + Seek>(file: &mut F) -> std::io::Result<Result<(), &'static str>> {
    let length = file.seek(SeekFrom::End(0))?;
    if length < TRAILER {
        return Ok(Err("it is cut short"));
    }
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut left = length - TRAILER;
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact(&mut buffer[..want])?;
        hash.update(&buffer[..want]);
        left -= want as u64;
    }
    let mut trailer = [0; TRAILER as usize];
    file.read_exact(&mut trailer)?;
    file.rewind()?;
    if trailer[..4] != MAGIC.to_le_bytes() || trailer[8..16] != *TAG {
        return Ok(Err("its checksum is missing, so it is cut short"));
    }
    Ok(if trailer[16..] == hash.finalize()[..] { Ok(()) } else { Err("its checksum does not match") })
}

/// The image inside of a verified file.
pub(super) fn reader<R: Read>(file: R) -> std::io::Result<impl Read> {
    zstd::stream::read::Decoder::new(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn archive(content: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).expect("made");
        for piece in content.chunks(1000) {
            writer.write(piece).expect("written");
        }
        writer.finish().expect("finished")
    }

    #[test]
    fn what_is_written_is_verified_and_read() {
        let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let mut file = Cursor::new(archive(&content));
        assert_eq!(verify(&mut file).expect("readable"), Ok(()));
        let mut read = Vec::new();
        reader(file).expect("made").read_to_end(&mut read).expect("read");
        assert_eq!(read, content);
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let whole = archive(b"some content, not long");
        for length in 0..whole.len() {
            assert!(verify(&mut Cursor::new(&whole[..length])).expect("readable").is_err(), "cut to {length}");
        }
        for index in (0..whole.len()).filter(|index| !(whole.len() - 44..whole.len() - 40).contains(index)) {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            assert!(verify(&mut Cursor::new(&damaged)).expect("readable").is_err(), "flipped at {index}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let mut writer = Writer::new(full).expect("made");
        let noise: Vec<u8> = (0..2_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let result = writer.write(&noise).and_then(|()| writer.finish().map(drop));
        assert_eq!(result.expect_err("nothing fits").kind(), std::io::ErrorKind::StorageFull);
    }
}
