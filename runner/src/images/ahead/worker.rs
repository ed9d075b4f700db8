//! The threads that make layers ahead: one that waits for images, and a short one for each, at the lowest priority.
//!
//! Whoever removes layers holds a lock that pulls wait for, so that is no work for a thread that may have to wait for a
//! processor.
#![allow(unsafe_code)]

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::{LayersAhead, Made, StoredImage};
use crate::images::error::{Doing as _, ImageError};

/// How many images wait at most. Those that do not fit are left to whoever pulls them.
const WAITING: usize = 64;

/// How often it is looked what was kept long enough.
const REVIEW: Duration = Duration::from_secs(60);

/// What the thread has done, in the words of whoever offered an image.
#[derive(Debug)]
pub enum Told<T> {
    /// An image was looked at.
    Made(T, Made),
    /// Layers of an image were not made; what is wrong is told to whoever pulls it, too.
    NotMade(T, ImageError),
    /// Layers that nobody has pulled could not be removed.
    NotGivenBack(ImageError),
}

/// Makes the layers of images at the lowest priority, one image after the other.
#[derive(Debug)]
pub struct AheadWorker<T> {
    waiting: SyncSender<(T, StoredImage)>,
}

impl<T: Send + 'static> AheadWorker<T> {
    /// Starts the thread. It ends with what is returned, when it has made what waits, and with the process in the
    /// middle of anything: nothing is left then that the next one does not clear away.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(layers: LayersAhead, tell: impl Fn(Told<T>) + Send + 'static) -> io::Result<Self> {
        let (waiting, images) = sync_channel(WAITING);
        let work = move || work(&layers, &images, &tell);
        thread::Builder::new().name("ahead".to_owned()).spawn(work)?;
        Ok(Self { waiting })
    }

    /// Has an image made ready when its turn comes; `false` where too many wait. Never waits.
    pub fn offer(&self, name: T, image: StoredImage) -> bool {
        self.waiting.try_send((name, image)).is_ok()
    }
}

fn work<T>(layers: &LayersAhead, images: &Receiver<(T, StoredImage)>, tell: &impl Fn(Told<T>)) {
    let review = layers.options.keep.clamp(Duration::from_secs(1), REVIEW);
    loop {
        match images.recv_timeout(review) {
            Ok((name, image)) => tell(match made_at_leisure(layers, &image) {
                Ok(made) => Told::Made(name, made),
                Err(error) => Told::NotMade(name, error),
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Err(error) = layers.give_back() {
            tell(Told::NotGivenBack(error));
        }
    }
}

fn made_at_leisure(layers: &LayersAhead, image: &StoredImage) -> Result<Made, ImageError> {
    thread::scope(|scope| {
        let make = || {
            step_back();
            layers.make(image)
        };
        let maker = thread::Builder::new().name("layers-ahead".to_owned());
        let maker = maker.spawn_scoped(scope, make).doing(|| "start a thread")?;
        // What was found in one layer is no reason to make no other.
        let fault = |_| Err(ImageError::Refused("a fault of berth: see its standard error".into()));
        maker.join().unwrap_or_else(fault)
    })
}

/// The calling thread, and those that it starts, get what no other thread wants, of processors and of disks. Where the
/// system does not allow it, it is only less polite.
fn step_back() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the structure before the call returns. Zero is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
}
