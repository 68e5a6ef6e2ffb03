//! Progress on a terminal, and Ctrl-C.

use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Failure;

/// Whether Ctrl-C was pressed.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Starts to listen; call it once per program. Where no thread can be had to listen, an interrupt ends the program.
    pub fn on_interrupt() -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        // Tried ahead: a handler that was set and has no thread would swallow the signal.
        if let Err(error) = std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join) {
            crate::note(format_args!("no thread to listen for an interrupt ({error}): it ends the run at once"));
            return Ok(Self(stop));
        }
        let flag = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            // The first asks the step in flight to be the last; a second does not wait for it.
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(1);
            }
        })?;
        Ok(Self(stop))
    }

    /// Continue, until Ctrl-C was pressed.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

pub fn spinner(message: String) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    keep_moving(&spinner, Duration::from_millis(100));
    spinner
}

pub fn bar(doing: &str, steps: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps as u64).with_message(doing.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    keep_moving(&bar, Duration::from_millis(200));
    bar
}

/// Draws a bar again and again until it is finished. Where no thread can be had for that, it moves when its owner says
/// something; the bar's own ticker would panic.
fn keep_moving(bar: &ProgressBar, interval: Duration) {
    bar.tick();
    let weak = bar.downgrade();
    let draw = move || {
        while let Some(bar) = weak.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            std::thread::sleep(interval);
        }
    };
    // Nothing is lost without it but the motion.
    let _ = std::thread::Builder::new().spawn(draw);
}
