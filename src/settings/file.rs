//! One text file in the place of another: whole or not at all, under the same name, mode and owner.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// The text of a file.
///
/// # Errors
/// What the system says; also where it is no plain file, is too large or not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for somebody at its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(io::Error::other("it is larger than 8 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Puts a text in the place of a file that exists. A link is followed. The new file has the mode of the old one, and its
/// owner and group where we may give them away; where the group cannot be kept, it may do nothing.
///
/// # Errors
/// What the system says. The file is as it was.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("it has no folder"));
    };
    let beside = folder.join(format!(".{}.new", name.to_string_lossy()));
    put(&beside, text, |file| {
        let mut mode = old.mode() & 0o7777;
        let is_ours = |new: &fs::Metadata| new.gid() == old.gid();
        if fchown(file, Some(old.uid()), Some(old.gid())).is_err()
            && fchown(file, None, Some(old.gid())).is_err()
            && !is_ours(&file.metadata()?)
        {
            mode &= !0o070;
        }
        file.set_permissions(Permissions::from_mode(mode))
    })
    .and_then(|()| fs::rename(&beside, &path))
    .inspect_err(|_| {
        // No use to anyone.
        let _ = fs::remove_file(&beside);
    })?;
    // It is in its place, and every reader sees it there. That it is there too after a machine has stopped is asked for, and
    // not every file system grants it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Writes a new file for our eyes alone, flushed to the disk; `finish` sees it before that.
pub fn put(path: &Path, text: &str, finish: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // One that a killed process left; a new file, because what lies there may be a link to elsewhere.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    finish(&file)?;
    file.sync_all()
}

/// The largest file that is read.
const MOST_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_link_with_its_mode() {
        let folder = Folder::new();
        let (file, link) = (folder.path("real/m.toml"), folder.path("m.toml"));
        fs::create_dir(folder.path("real")).unwrap();
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        // What a killed process left, or somebody laid in the way.
        symlink("/nowhere", folder.path("real/.m.toml.new")).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(read(&link).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(folder.path("real")).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_flushed_is_no_failure() {
        let folder = Folder::new();
        let (closed, file) = (folder.path("closed"), folder.path("closed/m.toml"));
        fs::create_dir(&closed).unwrap();
        fs::write(&file, "old").unwrap();
        // Nobody but root can open it.
        fs::set_permissions(&closed, Permissions::from_mode(0o300)).unwrap();
        let replaced = replace(&file, "new");
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        assert_eq!((replaced.is_ok(), read(&file).unwrap().as_str()), (true, "new"));
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let folder = Folder::new();
        assert!(replace(&folder.path("absent"), "new").is_err());
        let file = folder.path("m.toml");
        fs::write(&file, "old").unwrap();
        fs::create_dir(folder.path(".m.toml.new")).unwrap();
        assert!(replace(&file, "new").is_err());
        assert_eq!(read(&file).unwrap(), "old");
        fs::write(&file, [0xff]).unwrap();
        assert!(read(&file).is_err() && read(&folder.path(".")).is_err());
    }
}
