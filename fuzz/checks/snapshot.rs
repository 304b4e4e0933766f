//! Whatever the file says: a registry that is written and read as the same, or a refusal. A checksum keeps chance from looking further than
//! the first changed byte, so everything is tried a second time with a checksum that is right.

use disco_proto::snapshot::{Unreadable, read, write};
use sha2::{Digest, Sha256};

/// Panics where that does not hold.
pub fn check(input: &[u8]) {
    let _ = again(input);
    let sealed = sealed(input);
    if let Err(Unreadable::Damaged | Unreadable::Short { .. }) = again(&sealed) {
        panic!("refused with a right checksum:\n{}", String::from_utf8_lossy(&sealed));
    }
}

fn again(file: &[u8]) -> Result<(), Unreadable> {
    let snapshot = read(file)?;
    let mut written = Vec::new();
    write(&snapshot, &mut written).expect("writing to memory does not fail");
    let read = read(&written[..]).unwrap_or_else(|error| panic!("{error}:\n{}", String::from_utf8_lossy(&written)));
    assert_eq!(read, snapshot);
    Ok(())
}

/// The same lines with the end that belongs to them.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut lines = 0;
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{\"end\"")) {
        file.extend_from_slice(line);
        file.push(b'\n');
        lines += 1;
    }
    let sum: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    file.extend_from_slice(format!("{{\"end\":{{\"lines\":{lines},\"sha256\":\"{sum}\"}}}}\n").as_bytes());
    file
}
