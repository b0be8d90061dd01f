//! Giving freed memory back to the operating system.
//!
//! A model's weights are many allocations of some megabytes. glibc keeps such blocks for itself after they are freed, so a
//! process that swaps versions would grow by a model or two and stay there.

/// Returns the free pages of the heap to the operating system; does nothing where the allocator is not glibc's.
pub(crate) fn release_free_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
mod glibc {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }

    pub(super) fn trim() {
        // SAFETY: malloc_trim takes a plain number, may be called at any time from any thread, and touches only pages that
        // hold no live allocation. Its result only says whether anything was released.
        let _ = unsafe { malloc_trim(0) };
    }
}
