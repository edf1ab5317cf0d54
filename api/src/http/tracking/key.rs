//! The key that tracking links are signed with: a configured secret, or one that is made at its first use and stays
//! in the data folder.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use data_encoding::HEXLOWER;

use crate::ApiConfig;

const KEY_BYTES: usize = 32;

/// The key, once it is known.
pub(in crate::http) struct LinkKey {
    known: OnceLock<Vec<u8>>,
    /// Where it is kept; `None`: nowhere, and links end with the service.
    file: Option<PathBuf>,
    /// Held while it is made.
    making: Mutex<()>,
    /// The log says that it cannot be used.
    is_told: AtomicBool,
}

impl LinkKey {
    pub fn new(config: &ApiConfig) -> LinkKey {
        let known = config.tracking_secret.clone().map_or_else(OnceLock::new, OnceLock::from);
        LinkKey {
            known,
            file: config.tracking_key_file.clone(),
            making: Mutex::default(),
            is_told: AtomicBool::default(),
        }
    }

    /// The key to sign with, made where there is none yet. It may read and write a file.
    pub fn to_sign(&self) -> io::Result<&[u8]> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.known.get() {
            return Ok(key);
        }
        let key = match &self.file {
            None => random_key()?,
            Some(file) => match read(file)? {
                Some(key) => key,
                None => {
                    let key = random_key()?;
                    keep(file, &key)?;
                    key
                }
            },
        };
        Ok(self.known.get_or_init(|| key))
    }

    /// Whether it is to be said that it cannot be used: once, and not for each request of a page that asks again and
    /// again.
    pub fn is_to_be_told(&self) -> bool {
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// The key to check with; `None` where none was ever made: then nobody can have a link.
    pub fn to_check(&self) -> io::Result<Option<&[u8]>> {
        if self.known.get().is_none()
            && let Some(key) = self.file.as_deref().map(read).transpose()?.flatten()
        {
            return Ok(Some(self.known.get_or_init(|| key)));
        }
        Ok(self.known.get().map(Vec::as_slice))
    }
}

fn random_key() -> io::Result<Vec<u8>> {
    let mut key = vec![0; KEY_BYTES];
    getrandom::fill(&mut key)
        .map_err(|err| io::Error::other(format!("the machine gives no random bytes: {err}")))?;
    Ok(key)
}

fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let key = HEXLOWER.decode(text.trim_ascii()).ok().filter(|key| key.len() == KEY_BYTES);
    let damaged = || {
        let what = format!("{} is no key; remove it, and links that were given end", file.display());
        io::Error::new(ErrorKind::InvalidData, what)
    };
    key.map(Some).ok_or_else(damaged)
}

/// Written beside and renamed, so that half a key is never read; for the owner's eyes only.
fn keep(file: &Path, key: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    if let Err(err) = std::fs::remove_file(&beside)
        && err.kind() != ErrorKind::NotFound
    {
        return Err(err);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&beside)?;
    out.write_all(format!("{}\n", HEXLOWER.encode(key)).as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(file: &Path) -> LinkKey {
        LinkKey::new(&ApiConfig { tracking_key_file: Some(file.to_path_buf()), ..ApiConfig::default() })
    }

    #[test]
    fn a_key_is_made_at_its_first_use_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracking.key");
        let key = of_file(&file);
        assert_eq!(key.to_check().unwrap(), None);
        assert!(!file.exists(), "to check needs none");
        let made = key.to_sign().unwrap().to_vec();
        assert_eq!((made.len(), key.to_check().unwrap()), (KEY_BYTES, Some(made.as_slice())));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let again = of_file(&file);
        assert_eq!(again.to_check().unwrap(), Some(made.as_slice()), "after a restart");
        assert_eq!(again.to_sign().unwrap(), made);
        let other = folder.path().join("other.key");
        assert_ne!(of_file(&other).to_sign().unwrap(), made);
    }

    #[test]
    fn a_configured_secret_needs_no_file_and_a_damaged_file_is_told() {
        let config = ApiConfig { tracking_secret: Some(b"secret".to_vec()), ..ApiConfig::default() };
        assert_eq!(LinkKey::new(&config).to_sign().unwrap(), b"secret");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracking.key");
        std::fs::write(&file, "abc").unwrap();
        let key = of_file(&file);
        assert!(key.to_check().is_err());
        assert!(key.to_sign().unwrap_err().to_string().contains("is no key"));
        assert_eq!([(); 3].map(|()| key.is_to_be_told()), [true, false, false], "in one line");
    }
}
