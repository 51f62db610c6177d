//! Opening a directory below the root of another process, whatever links are on the way to it.
//!
//! A link must lead to where it leads that process, not to where it would lead us, and nothing below may lead out. The
//! kernel's own call for that (openat2 with RESOLVE_IN_ROOT) is taken away by what operators use to harden services:
//! systemd's RestrictSUIDSGID, and seccomp profiles of container runtimes that do not know it. So the path is walked
//! here, step by step: no step follows a link, and `..` leads back to the directory that was come from, which is held
//! open. Whatever is renamed or replaced meanwhile, each directory was inside when it was stepped into.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::procfs;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;
/// Each directory on the way is held open, so a way is not made longer than that by whoever plants links.
const DEEPEST: usize = 128;

/// How directories are opened: to begin at, not to be read, and never through a link.
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory by its path in the mount namespace, and under the root, of process `pid`.
pub fn open_directory(pid: u32, path: &Path) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    walk(rustix::fs::open(procfs::path(pid, "root"), flags, Mode::empty())?, path)
}

fn walk(root: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut way = vec![root];
    let mut left = steps(path);
    let mut links = 0;
    while let Some(step) = left.pop() {
        let Some(here) = way.last() else { break };
        if step == ".." {
            way.truncate((way.len() - 1).max(1));
            continue;
        }
        match openat(here, &step, STEP, Mode::empty()) {
            Ok(_) if way.len() >= DEEPEST => return Err(Errno::NAMETOOLONG.into()),
            Ok(next) => way.push(next),
            // Which of the two a link is called depends on the kernel.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = follow(here, &step)?;
                if target.is_absolute() {
                    way.truncate(1);
                }
                left.extend(steps(&target));
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    way.pop().ok_or_else(|| io::Error::from(Errno::NOENT))
}

/// The names of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

/// Where a link leads. As the kernel itself does it with protected_symlinks: in a directory like /tmp, one that was
/// planted there by somebody who is neither us nor the directory's owner leads nowhere.
fn follow(here: &OwnedFd, name: &OsString) -> io::Result<PathBuf> {
    let (parent, link) = (rustix::fs::fstat(here)?, statat(here, name, AtFlags::SYMLINK_NOFOLLOW)?);
    if !FileType::from_raw_mode(link.st_mode).is_symlink() {
        return Err(Errno::NOTDIR.into());
    }
    let is_open_to_all = Mode::from_raw_mode(parent.st_mode).contains(Mode::SVTX | Mode::WOTH);
    if is_open_to_all && link.st_uid != parent.st_uid && link.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::ACCESS.into());
    }
    let target = readlinkat(here, name, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn open(root: &Path, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        walk(rustix::fs::open(root, flags, Mode::empty()).unwrap(), Path::new(path))
    }

    /// What the kernel says of it, where it can be asked.
    fn by_the_kernel(root: &Path, path: &str) -> io::Result<OwnedFd> {
        use rustix::fs::{ResolveFlags, openat2};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty()).unwrap();
        Ok(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }

    fn identity(opened: io::Result<OwnedFd>) -> Result<(u64, u64), i32> {
        let found = opened.map(|fd| rustix::fs::fstat(fd).unwrap());
        found.map(|found| (found.st_dev, found.st_ino)).map_err(|error| error.raw_os_error().unwrap())
    }

    #[test]
    fn every_path_leads_where_the_kernel_says() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("a/file"), "").unwrap();
        let up = "../".repeat(20);
        let links = [
            ("a/absolute", "/a/b".to_owned()),
            ("a/relative", "b/./c/..".to_owned()),
            ("a/out", format!("{up}etc")),
            ("a/b/of-links", "../absolute/../relative/c".to_owned()),
            ("a/nowhere", "/no/such".to_owned()),
            ("a/to-file", "file".to_owned()),
            ("a/round", "round".to_owned()),
            ("ping", "/pong".to_owned()),
            ("pong", "ping/x".to_owned()),
            ("to-root", "/".to_owned()),
        ];
        for (name, target) in &links {
            symlink(target, root.join(name)).unwrap();
        }
        let rooted = format!("/{up}{}", outside.path().display());
        let mut paths =
            vec!["/", "/.", "/a//b/", "/a/b/..", "/..", "/../../a", "/none", "/a/file", "/a/file/x", &rooted];
        let below: Vec<String> =
            links.iter().flat_map(|(name, _)| ["", "/..", "/c", "/."].map(|end| format!("/{name}{end}"))).collect();
        paths.extend(below.iter().map(String::as_str));
        for path in paths {
            assert_eq!(identity(open(&root, path)), identity(by_the_kernel(&root, path)), "{path}");
        }
        let etc = fs::metadata(root.join("etc")).unwrap();
        assert_eq!(identity(open(&root, "/a/out")), Ok((etc.dev(), etc.ino())), "not the machine's own");
    }

    #[test]
    fn neither_a_chain_of_links_nor_a_deep_one_goes_on_for_ever() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        for i in 0..50 {
            symlink(format!("l{}", i + 1), root.path().join(format!("l{i}"))).unwrap();
        }
        symlink("d", root.path().join("l50")).unwrap();
        assert!(open(root.path(), "/l11").is_ok());
        assert_eq!(identity(open(root.path(), "/l10")), Err(Errno::LOOP.raw_os_error()));
        let deep = "d/".repeat(DEEPEST + 1);
        fs::create_dir_all(root.path().join(&deep)).unwrap();
        assert_eq!(identity(open(root.path(), &format!("/{deep}"))), Err(Errno::NAMETOOLONG.raw_os_error()));
    }

    #[test]
    fn a_link_that_somebody_has_planted_where_all_may_write_leads_nowhere() {
        if !rustix::process::geteuid().is_root() {
            // Whoever may not give a file away is not the one whom such links are planted for.
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let tmp = root.path().join("tmp");
        fs::create_dir_all(tmp.join("dumps")).unwrap();
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("dumps", tmp.join("link")).unwrap();
        assert!(open(root.path(), "/tmp/link").is_ok());
        std::os::unix::fs::lchown(tmp.join("link"), Some(4242), Some(4242)).unwrap();
        assert_eq!(identity(open(root.path(), "/tmp/link")), Err(Errno::ACCESS.raw_os_error()));
    }
}
