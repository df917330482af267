//! State files: whole or not at all, and what becomes of those that others wrote.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

const KIND: StateKind = StateKind { name: "things", version: 3, max: 1000 };

/// A folder of this test's own, not made yet.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("millpond-state-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    fn dir(&self) -> StateDir {
        StateDir::new(&self.0.join("deep/state"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("deep/state")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn damage(dir: &StateDir) -> &'static str {
    match dir.read(&KIND) {
        Err(Unread::Damaged(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_that_cannot_be_flushed_is_no_failure() {
    let folder = Folder::new();
    let dir = folder.dir();
    dir.write(&KIND, b"one\n").unwrap();
    // Nobody but root can open it.
    fs::set_permissions(&dir.path, fs::Permissions::from_mode(0o300)).unwrap();
    let written = dir.write(&KIND, b"two\n");
    fs::set_permissions(&dir.path, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((written.is_ok(), dir.read(&KIND).unwrap().unwrap()), (true, b"two\n".to_vec()));
}

#[test]
fn what_is_written_is_read_back_and_nobody_else_may_read_it() {
    let folder = Folder::new();
    let dir = folder.dir();
    assert!(matches!(dir.read(&KIND), Ok(None)));
    for content in [&b""[..], b"one\n", b"end 0000000000000000\n", &[0xff; 1000]] {
        dir.write(&KIND, content).unwrap();
        assert_eq!(dir.read(&KIND).unwrap().unwrap(), content);
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.path), mode(&dir.path_of(&KIND))), (0o700, 0o600));
    assert_eq!(folder.names(), ["things"]);
}

#[test]
fn a_file_that_others_could_read_is_closed_to_them() {
    let folder = Folder::new();
    let dir = folder.dir();
    dir.write(&KIND, b"one\n").unwrap();
    assert!(!dir.close_to_others(&KIND).unwrap());
    fs::set_permissions(dir.path_of(&KIND), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(dir.close_to_others(&KIND).unwrap());
    assert_eq!(fs::metadata(dir.path_of(&KIND)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn too_much_is_not_written_and_what_was_there_stays() {
    let folder = Folder::new();
    let dir = folder.dir();
    dir.write(&KIND, b"one\n").unwrap();
    assert!(dir.write(&KIND, &[0; 1001]).is_err());
    assert_eq!(dir.read(&KIND).unwrap().unwrap(), b"one\n");
}

#[test]
fn a_temporary_file_that_a_killed_process_left_is_no_obstacle_and_a_link_is_not_followed() {
    let folder = Folder::new();
    let dir = folder.dir();
    dir.write(&KIND, b"one\n").unwrap();
    let victim = folder.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path.join("things.new")).unwrap();
    dir.write(&KIND, b"two\n").unwrap();
    assert_eq!(dir.read(&KIND).unwrap().unwrap(), b"two\n");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn every_damage_is_noticed() {
    let folder = Folder::new();
    let dir = folder.dir();
    dir.write(&KIND, b"first\nsecond\n").unwrap();
    let whole = fs::read(dir.path_of(&KIND)).unwrap();
    let put = |bytes: &[u8]| fs::write(dir.path_of(&KIND), bytes).unwrap();
    for length in 0..whole.len() {
        put(&whole[..length]);
        damage(&dir);
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        put(&changed);
        damage(&dir);
    }
    put(&[whole.as_slice(), b"more"].concat());
    damage(&dir);
    put(b"[listen]\nhttp = 1\n");
    assert!(damage(&dir).contains("does not begin"));
    put(b"millpond things 4\nend 0000000000000000\n");
    assert!(damage(&dir).contains("another version"));
    put(&vec![b'x'; 10_000]);
    assert!(damage(&dir).contains("larger"));
    fs::remove_file(dir.path_of(&KIND)).unwrap();
    fs::create_dir(dir.path_of(&KIND)).unwrap();
    assert!(damage(&dir).contains("plain file"));
}

#[test]
fn damaged_files_are_set_aside_and_the_oldest_of_them_leave() {
    let folder = Folder::new();
    let dir = folder.dir();
    for unix in 1..=5 {
        dir.write(&KIND, b"one\n").unwrap();
        let place = dir.set_aside(&KIND, unix).unwrap();
        assert!(place.ends_with(format!("things.damaged-00000000000{unix}")), "{place:?}");
    }
    let left = ["things.damaged-000000000003", "things.damaged-000000000004", "things.damaged-000000000005"];
    assert_eq!(folder.names(), left);
    assert!(matches!(dir.read(&KIND), Ok(None)));
    assert!(dir.set_aside(&KIND, 6).is_err(), "there is nothing to set aside");
}

#[test]
fn a_folder_that_cannot_be_had_is_an_error_of_the_system() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("deep"), "a file where a folder should be").unwrap();
    assert!(folder.dir().write(&KIND, b"one\n").is_err());
    assert!(matches!(folder.dir().read(&KIND), Err(Unread::Io(_)) | Ok(None)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, tail: Vec<u8>) {
        let _ = content(&bytes, &KIND);
        let _ = content(&[first_line(&KIND).as_bytes(), &tail].concat(), &KIND);
        let framed = framed(&KIND, &tail);
        prop_assert_eq!(&framed[content(&framed, &KIND).unwrap()], &tail[..]);
    }
}
