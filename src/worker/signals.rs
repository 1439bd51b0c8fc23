//! What the process manager says: TERM and INT drain, a second one stops at once, USR2 pauses, CONT resumes.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::{Control, StopReason};

/// Obeys the signals of the process contract until the process ends.
///
/// # Errors
/// When the operating system refuses to register a handler.
pub fn listen_to_signals(control: Control) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut pause = signal(SignalKind::user_defined2())?;
    let mut resume = signal(SignalKind::from_raw(CONT))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = received(&mut terminate) => stop(&control, "SIGTERM"),
                () = received(&mut interrupt) => stop(&control, "SIGINT"),
                () = received(&mut quit) => stop(&control, "SIGQUIT"),
                () = received(&mut pause) => {
                    info!(signal = "SIGUSR2", "paused: nothing new is started");
                    control.pause();
                }
                () = received(&mut resume) => {
                    info!(signal = "SIGCONT", "resumed");
                    control.resume();
                }
            }
        }
    });
    Ok(())
}

/// SIGCONT has this number on Linux; tokio has no name for it.
#[cfg(target_os = "linux")]
const CONT: i32 = 18;
/// SIGCONT has this number on macOS and the BSDs; tokio has no name for it.
#[cfg(not(target_os = "linux"))]
const CONT: i32 = 19;

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn stop(control: &Control, signal: &'static str) {
    if control.is_stopping() {
        warn!(signal, "second signal: giving running jobs back and stopping at once");
        control.abort();
    } else {
        info!(signal, "stopping: finishing the running jobs first (again to stop at once)");
        control.stop(StopReason::Interrupted);
    }
}
