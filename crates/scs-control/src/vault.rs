//! Seals secrets for the disk under a key that only this host has, and makes new ones.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use scs_api::secret::SecretValue;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// Bytes of the key.
const KEY: usize = 32;
/// Bytes of a nonce; long enough to be drawn at random for every value without ever meeting again.
const NONCE: usize = 24;

/// Why a secret cannot be sealed or opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or made.
    #[error("cannot {action} the host key {}", path.display())]
    Key {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the key file.
    #[error("the host key {} is readable by others (mode {mode:o}); make it 0600, and rotate the secrets if others had it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file has another size than a key.
    #[error("the host key {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The value was sealed under another key, or is damaged.
    #[error("secret {name} cannot be opened with this host's key; set it again")]
    Sealed {
        /// Which secret.
        name: String,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// Seals and opens values.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// A sealed value: of no use without the host's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Nonce, in hexadecimal digits.
    nonce: String,
    /// What the cipher made of the value, in hexadecimal digits.
    text: String,
}

impl Vault {
    /// Opens the vault of a state directory, making its key (0600) if it was never there.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("host.key");
        let at = |action| {
            let path = path.clone();
            move |source| Error::Key { action, path, source }
        };
        let key = match File::open(&path) {
            Ok(file) => {
                let mode = file.metadata().map_err(at("read"))?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(Error::Exposed { path, mode });
                }
                let mut key = Vec::new();
                // One byte more than a key shows that the file is something else.
                file.take(KEY as u64 + 1).read_to_end(&mut key).map_err(at("read"))?;
                key
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = vec![0; KEY];
                getrandom::fill(&mut key).map_err(Error::Random)?;
                make_key(directory, &path, &key).map_err(at("make"))?;
                key
            }
            Err(error) => return Err(at("open")(error)),
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| Error::Damaged { path })?;
        Ok(Self { cipher })
    }

    /// Seals the value of a secret; it opens under the same name only.
    pub fn seal(&self, name: &str, value: &SecretValue) -> Result<Sealed, Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(Error::Random)?;
        let payload = Payload { msg: value.expose().as_bytes(), aad: name.as_bytes() };
        let text =
            self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Sealed { name: name.to_owned() })?;
        Ok(Sealed { nonce: hex(&nonce), text: hex(&text) })
    }

    /// The value of a secret.
    pub fn unseal(&self, name: &str, sealed: &Sealed) -> Result<SecretValue, Error> {
        let refused = || Error::Sealed { name: name.to_owned() };
        let nonce: [u8; NONCE] = unhex(&sealed.nonce).and_then(|it| it.try_into().ok()).ok_or_else(refused)?;
        let text = unhex(&sealed.text).ok_or_else(refused)?;
        let payload = Payload { msg: &text, aad: name.as_bytes() };
        let value = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| refused())?;
        String::from_utf8(value).map(SecretValue::new).map_err(|_| refused())
    }
}

/// A new value of this many letters and digits, each as likely as any other.
pub fn generate(length: u32) -> Result<SecretValue, Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // The largest multiple of 62 that a byte can reach; bytes above it would favour the first characters.
    const FAIR: u8 = 248;
    let length = length as usize;
    let mut value = String::with_capacity(length);
    let mut bytes = [0; 64];
    while value.len() < length {
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        let fair = bytes.iter().filter(|byte| **byte < FAIR).take(length - value.len());
        value.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(SecretValue::new(value))
}

/// Random hexadecimal digits, two a byte.
pub(crate) fn token(bytes: usize) -> Result<String, Error> {
    let mut token = vec![0; bytes];
    getrandom::fill(&mut token).map_err(Error::Random)?;
    Ok(hex(&token))
}

/// Written under another name first: a crash in the middle leaves no half a key.
fn make_key(directory: &Path, path: &Path, key: &[u8]) -> io::Result<()> {
    let new = directory.join("host.key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(key)?;
    file.sync_all()?;
    // Unlike a rename this refuses to replace a key that another process has just made.
    std::fs::hard_link(&new, path)?;
    std::fs::remove_file(&new)?;
    File::open(directory)?.sync_all()
}

/// Hexadecimal digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(byte).collect())?
}
