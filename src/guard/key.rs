//! Keys that sign certificates, and those that check them: ed25519 (RFC 8032).
//!
//! A secret key file holds PEM (`PRIVATE KEY`, PKCS #8, as OpenSSL writes it) or 64 hexadecimal digits, the seed; a
//! public one PEM (`PUBLIC KEY`) or 64 hexadecimal digits.

use std::fmt;
use std::io::Write;
use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::engine::ContentHash;
use crate::{Error, Result};

/// A key in PEM has some hundred bytes: a larger file is something else.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// A key that signs. Never shown.
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// A key that checks signatures, written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(ContentHash);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A signature and the key that it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The signer's public key.
    pub public_key: PublicKey,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
}

impl SecretKey {
    /// Makes a key from the system's randomness.
    ///
    /// # Errors
    /// [`Error::Io`] where the system gives none.
    pub fn generate() -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::from)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if it holds no key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_key(path)?;
        let key = SigningKey::from_pkcs8_pem(&text).ok();
        key.or_else(|| Some(SigningKey::from_bytes(hex(&text)?.as_bytes())))
            .map(Self)
            .ok_or_else(|| no_key(path, "a private key"))
    }

    /// Writes it as PEM into a new file that only its owner can read.
    ///
    /// # Errors
    /// [`Error::Io`], also where the file exists: a key is never overwritten.
    pub fn write(&self, path: &Path) -> Result<()> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF);
        let pem = pem.map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use fs_err::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(path)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        Ok(())
    }

    /// Its public part.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes().into())
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Signed {
        let signature = self.0.sign(bytes).to_bytes();
        Signed {
            public_key: self.public(),
            signature: signature.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl PublicKey {
    /// Reads a public key file.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::InvalidArgument`] if it holds no public key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_key(path)?;
        let pem = VerifyingKey::from_public_key_pem(&text).ok();
        let key = pem.map(|key| key.to_bytes().into());
        key.or_else(|| hex(&text))
            .map(Self)
            .ok_or_else(|| no_key(path, "a public key"))
    }
}

impl Signed {
    /// Whether the signature is that key's over these bytes.
    #[must_use]
    pub fn is_valid(&self, bytes: &[u8]) -> bool {
        let check = || {
            let key = VerifyingKey::from_bytes(self.public_key.0.as_bytes()).ok()?;
            let (first, second) = self.signature.split_at_checked(64)?;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(hex(first)?.as_bytes());
            signature[32..].copy_from_slice(hex(second)?.as_bytes());
            key.verify_strict(bytes, &Signature::from_bytes(&signature))
                .ok()
        };
        check().is_some()
    }
}

/// 32 bytes as hexadecimal digits, as a hash is written.
fn hex(text: &str) -> Option<ContentHash> {
    text.trim().parse().ok()
}

fn read_key(path: &Path) -> Result<String> {
    if fs_err::metadata(path)?.len() > MAX_KEY_BYTES {
        return Err(no_key(path, "a key"));
    }
    let bytes = fs_err::read(path)?;
    String::from_utf8(bytes).map_err(|_| no_key(path, "a key"))
}

fn no_key(path: &Path, what: &str) -> Error {
    Error::InvalidArgument {
        what: "key file",
        value: path.display().to_string(),
        expected: format!("{what} for ed25519, as PEM or 64 hexadecimal digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    // RFC 8032, section 7.1, test 2.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    #[test]
    fn known_signature() {
        let (_folder, path) = file(SEED);
        let key = SecretKey::read(&path).unwrap();
        let signed = key.sign(&[0x72]);
        assert_eq!(key.public().to_string(), PUBLIC);
        assert_eq!(signed.signature, SIGNATURE);
        assert!(signed.is_valid(&[0x72]) && !signed.is_valid(&[0x73]));
    }

    #[test]
    fn written_keys_are_read_again_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = SecretKey::generate().unwrap();
        key.write(&path).unwrap();
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
        assert!(key.write(&path).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!format!("{key:?}").contains(&std::fs::read_to_string(&path).unwrap()));
    }

    #[test]
    fn public_keys_as_digits_and_as_pem() {
        // The public key of RFC 8032's test 2 as `openssl pkey -pubout` writes it: a prefix of 12 bytes, then the key.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
                   -----END PUBLIC KEY-----\n";
        for text in [PUBLIC, pem] {
            let (_folder, path) = file(text);
            assert_eq!(PublicKey::read(&path).unwrap().to_string(), PUBLIC);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in ["", "abc", &"x".repeat(64), &"a".repeat(20_000)] {
            let (_folder, path) = file(wrong);
            assert!(SecretKey::read(&path).is_err() && PublicKey::read(&path).is_err());
        }
        let (_folder, path) = file(SEED);
        let mut signed = SecretKey::read(&path).unwrap().sign(b"x");
        signed.signature.pop();
        assert!(!signed.is_valid(b"x"));
        signed.signature = "é".repeat(64);
        assert!(!signed.is_valid(b"x"));
    }
}
