//! Rules on the memory of a cgroup, with a cgroup that is one: of whichever version the machine has its memory in.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::Site;
use crate::harness::*;

/// Of the group, in bytes: the worker takes most of it.
const LIMIT: u64 = 100 << 20;
/// Moves itself into the group before it becomes the worker, so that all of its memory is counted there.
const ENTER: &str = "echo $$ >\"$0/cgroup.procs\" && exec \"$@\"";

/// A memory cgroup that a test has made; removed with it.
struct MemoryGroup {
    directory: PathBuf,
    is_v1: bool,
}

impl MemoryGroup {
    /// `None` where this user may make none, as in most containers, which is said.
    fn make(name: &str) -> Option<MemoryGroup> {
        let made = MemoryGroup::try_to_make(name);
        possible("rules on cgroups (a user who may make cgroups)", made.is_some()).then_some(made).flatten()
    }

    fn try_to_make(name: &str) -> Option<MemoryGroup> {
        let name = format!("heapsee-test-{name}-{}", std::process::id());
        let is_v1 = Path::new("/sys/fs/cgroup/memory/memory.usage_in_bytes").exists();
        let directory = Path::new(if is_v1 { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" }).join(name);
        fs::create_dir(&directory).ok()?;
        let group = MemoryGroup { directory, is_v1 };
        group.limit(u64::MAX >> 1).then_some(group)
    }

    /// A group in it.
    fn within(&self, name: &str) -> MemoryGroup {
        let directory = self.directory.join(name);
        fs::create_dir(&directory).unwrap();
        MemoryGroup { directory, is_v1: self.is_v1 }
    }

    /// Moves a process into it.
    fn take(&self, pid: u32) {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Whether there is such a limit now.
    fn limit(&self, bytes: u64) -> bool {
        let name = if self.is_v1 { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(self.directory.join(name), bytes.to_string()).is_ok()
    }

    fn worker(&self, title: &str, megabytes: u32) -> Worker {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ENTER]).arg(&self.directory).arg(python());
        command.arg("-c").arg(include_str!("fake_worker.py")).arg(directory.path());
        command.args(["--title", title, "--megabytes", &megabytes.to_string()]);
        Worker::spawn(command, directory)
    }

    /// Has the group meet its limit: a file is read and written in it until something had to be dropped.
    fn meet_limit(&self) {
        // On a disk: what is in memory could not be dropped.
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ENTER]).arg(&self.directory).arg0("sh");
        command.args(["dd", "if=/dev/zero", "bs=1M", "count=120"]).arg(format!("of={}", file.path().display()));
        assert!(command.output().unwrap().status.success());
    }

    fn name(&self) -> &str {
        self.directory.file_name().unwrap().to_str().unwrap()
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // The last process in it may just be on its way out.
        let gone = || fs::remove_dir(&self.directory).is_ok() || !self.directory.exists();
        until("the group to be empty", || gone().then_some(()));
    }
}

#[test]
fn a_group_near_its_limit_and_its_events() {
    let Some(group) = MemoryGroup::make("rules") else { return };
    let fat = group.worker("in-a-group", 75);
    let thin = group.worker("in-a-group", 1);
    // While they start, they take more for a moment.
    assert!(group.limit(LIMIT));
    let select = format!("select = {{ cgroup = '*{}' }}", group.name());
    let site = Site::new(&format!(
        "[[rule]]\nname = 'near'\ntrigger = 'cgroup'\nabove = '70%'\npolls = 2\n{select}\n\
         [[rule]]\nname = 'met'\ntrigger = 'memory-events'\nevents = ['max']\n{select}\n"
    ));
    let mut agent = site.run();
    agent.hear("a dump is in the store");
    let manifests = site.manifests();
    let trigger = &manifests[0]["trigger"];
    assert_eq!(
        (trigger["rule"].as_str(), manifests[0]["worker"]["pid"].as_u64()),
        (Some("near"), Some(fat.pid().into()))
    );
    assert!(trigger["why"].as_str().unwrap().contains('%'), "{trigger}");
    // The group is as before, and nothing more comes of it; then it meets its limit.
    site.looks(2);
    assert_eq!(site.manifests().len(), 1);
    group.meet_limit();
    agent.hear("rule=met");
    drop((fat, thin));
}

/// As in a container: the root of what it sees is its own group, while what is mounted is the whole hierarchy.
#[test]
fn an_agent_in_a_cgroup_namespace_sees_the_groups_of_others() {
    let Some(group) = MemoryGroup::make("namespace") else { return };
    let (own, pod) = (group.within("agent"), group.within("pod"));
    let container = pod.within("container");
    let fat = container.worker("in-a-pod", 75);
    assert!(container.limit(LIMIT));
    let select = format!("select = {{ cgroup = '/{}/pod/container' }}", group.name());
    let site = Site::new(&format!("[[rule]]\nname = 'near'\ntrigger = 'cgroup'\nabove = '70%'\npolls = 2\n{select}\n"));
    let mut agent = site.run_with(|command| {
        let enter = "echo $$ >\"$0/cgroup.procs\" && exec unshare --cgroup \"$@\"";
        let mut inside = Command::new("sh");
        inside.args(["-c", enter]).arg(&own.directory).arg(command.get_program()).args(command.get_args());
        *command = inside;
    });
    agent.hear("a dump is in the store");
    assert_eq!(site.manifests()[0]["worker"]["pid"], fat.pid());
    // Groups go before those that they are in.
    agent.process.kill();
    drop((fat, container, pod, own));
}

#[test]
fn a_worker_that_is_moved_is_known_to_be_in_its_new_group() {
    let Some(group) = MemoryGroup::make("moved") else { return };
    let (before, after) = (group.within("before"), group.within("after"));
    let worker = before.worker("is-moved", 1);
    let rule = "[[rule]]\nname = 'old'\ntrigger = 'age'\nabove = '1s'\nselect = { cgroup = '*";
    let site = Site::new(&format!("{rule}{}/after' }}\n", group.name()));
    let mut agent = site.run();
    site.looks(2);
    assert!(worker.files().is_empty());
    after.take(worker.pid());
    agent.hear("a dump is in the store");
    drop((worker, before, after));
}
