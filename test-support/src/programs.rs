//! Programs that tests start.

use std::io;
use std::mem;
use std::process::{Child, Command};
use std::sync::{LazyLock, mpsc};
use std::thread;

/// A command to start, and where it and its process go back to.
type Job = (Command, mpsc::Sender<(Command, io::Result<Child>)>);

/// Starts a program that the system ends when this program ends, even by SIGKILL.
///
/// Linux binds a program's end to that of the thread that started it. The thread of a test ends
/// before the program does, so one thread starts the programs of all tests.
///
/// # Errors
/// Those of [`Command::spawn`].
///
/// # Panics
/// When an earlier call has panicked.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    static STARTER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, done) in jobs {
                let child = spawn_bound_to_thread(&mut command);
                done.send((command, child)).ok();
            }
        });
        sender
    });
    let (sender, done) = mpsc::channel();
    let job = (mem::replace(command, Command::new("")), sender);
    STARTER.send(job).expect("the starter lives");
    let (started, child) = done.recv().expect("the starter answers");
    *command = started;
    child
}

/// Starts a program that the system ends when this thread ends. It inherits the thread's processor
/// and priority.
///
/// # Errors
/// Those of [`Command::spawn`].
#[allow(clippy::disallowed_methods, reason = "the safer way itself")]
pub fn spawn_bound_to_thread(command: &mut Command) -> io::Result<Child> {
    #[cfg(target_os = "linux")]
    end_with_parent(command);
    command.spawn()
}

#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "what runs after a fork is for the caller to choose"
)]
fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use nix::errno::Errno;
    use nix::sys::{prctl, signal::Signal};
    use nix::unistd::{getpid, getppid};

    let parent = getpid();
    let bind = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() == parent {
            Ok(())
        } else {
            Err(Errno::ESRCH.into()) // it has ended already
        }
    };
    // SAFETY: it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(bind) };
}
