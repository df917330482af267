//! Files of certificates and keys, read within bounds: a path that leads to a pipe, a device or a disk image by mistake holds
//! nobody up, and fills no memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// What a PEM file holds; not looked at here.
///
/// # Errors
/// What the system says; also where it is no plain file, or larger than any of its kind.
pub(crate) fn read_pem(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody at its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(io::Error::other(format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(bytes)
}

/// All roots that there are take a quarter of a mebibyte.
const MOST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{TrustSource, trust_roots};

    #[test]
    fn what_is_no_plain_file_and_what_has_no_end_is_refused() {
        for device in ["/dev/zero", "/dev/null", "/"] {
            let refused = read_pem(device.as_ref()).unwrap_err().to_string();
            assert!(refused.contains("not a plain file"), "{device}: {refused}");
            assert!(trust_roots(&TrustSource::File(device.into())).is_err(), "{device}");
        }
        let path = std::env::temp_dir().join(format!("millpond-pem-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        file.set_len(MOST_BYTES).unwrap();
        assert_eq!(read_pem(&path).unwrap().len(), 16 << 20);
        file.set_len(MOST_BYTES + 1).unwrap();
        let refused = read_pem(&path).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert_eq!(refused, "it is larger than 16 MiB");
    }
}
