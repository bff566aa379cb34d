//! What is told to the system about memory: packed weights lie in large pages, and the file's pages that they were made
//! from are let go.

/// Size of a large page on the processors that the kernels are for.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Size of a small one.
#[cfg(target_os = "linux")]
const SMALL: usize = 4096;

/// Asks for large pages behind memory that is not used yet: a fault for each 2 MB instead of each 4 kB.
///
/// # Safety
///
/// `start..start + size` is memory of ours.
pub(super) unsafe fn in_large_pages(start: *mut u8, size: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: as asked of the caller; advice changes no content, and what is refused costs time only.
    unsafe {
        advise(start, size, LARGE, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, size);
}

/// Lets go of a file's pages after they were read. They are read again, from the page cache, should anybody look.
///
/// # Safety
///
/// `start..start + size` is of a file that is mapped and not written to, or memory whose content nobody needs any more.
pub(super) unsafe fn let_go(start: *const u8, size: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: as asked of the caller. Pages that are only partly inside are left alone.
    unsafe {
        advise(start.cast_mut(), size, SMALL, libc::MADV_DONTNEED);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, size);
}

/// # Safety
///
/// As the advice asks, for the whole pages inside.
#[cfg(target_os = "linux")]
unsafe fn advise(start: *mut u8, size: usize, page: usize, advice: libc::c_int) {
    let first = start.addr().next_multiple_of(page);
    let end = (start.addr() + size) / page * page;
    if first < end {
        // SAFETY: as asked of the caller.
        unsafe { libc::madvise(start.with_addr(first).cast(), end - first, advice) };
    }
}
