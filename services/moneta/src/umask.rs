//! The mask of what this process makes: files and folders are for their owner alone, those of libraries too.
#![allow(unsafe_code)]

/// Sets the mask; called once, before there is another thread.
pub fn owner_only() {
    // SAFETY: umask(2) takes a number, returns the mask before, touches no memory and cannot fail.
    unsafe {
        libc::umask(0o077);
    }
}
