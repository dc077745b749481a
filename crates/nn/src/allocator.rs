//! The allocator of everything that trains.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
/// The allocator of every binary, benchmark and test that trains: 7 to 38 % of the time of a step.
pub use mimalloc::MiMalloc;

/// How long mimalloc keeps freed memory, in milliseconds (`mi_option_purge_delay` of its header; its binding has no name for it).
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory for ten seconds instead of milliseconds, unless the environment says otherwise (`MIMALLOC_PURGE_DELAY`): the next
/// training step wants the same pages again, and having them cleared took 15 % of its time. Call it before any thread is started.
pub fn keep_freed_memory() {
    #[expect(unsafe_code, reason = "a setting of the allocator")]
    // SAFETY: writes one number; not thread safe, so it is called at the start of `main`.
    unsafe {
        mi_option_set_default(PURGE_DELAY, 10_000);
    }
}
