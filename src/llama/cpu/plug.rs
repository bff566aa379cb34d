//! Adding what is computed here to llama.cpp's CPU backend.
//!
//! The backend keeps a list of *extra buffer types* (`ggml-cpu/traits.h`): when a model is loaded each is asked whether it
//! wants a weight, and when a graph is computed each is asked whether it computes a node. The list is a C++ vector of
//! pointers behind a function with external linkage, and its entries point at an object with virtual functions. Both have a
//! fixed layout by the Itanium C++ ABI, which every compiler for Linux and macOS follows; what is mirrored here is that
//! of the pinned version of llama.cpp.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use llama_cpp_sys_2 as sys;

use super::attention;
use super::delta::{self, Step};
use super::kernel;
use super::node::{Share, count};
use super::pages;
use super::product;
use super::turn::is_beside_gpu;

/// `std::vector<ggml_backend_buffer_type_t>`: begin, end, end of the memory.
#[repr(C)]
struct Vector {
    begin: *mut *mut BufferType,
    end: *mut *mut BufferType,
    memory_end: *mut *mut BufferType,
}

/// `ggml_backend_buffer_type` (`ggml-backend-impl.h`).
#[repr(C)]
struct BufferType {
    get_name: unsafe extern "C" fn(*mut BufferType) -> *const c_char,
    alloc_buffer: unsafe extern "C" fn(*mut BufferType, usize) -> *mut Buffer,
    alloc_buffer_n: *const c_void,
    get_alignment: unsafe extern "C" fn(*mut BufferType) -> usize,
    get_max_size: *const c_void,
    get_alloc_size: *const c_void,
    get_alloc_size_n: *const c_void,
    is_host: *const c_void,
    device: sys::ggml_backend_dev_t,
    context: *const Object<ExtraFunctions>,
}

/// `ggml_backend_buffer`.
#[repr(C)]
struct Buffer {
    free_buffer: *const c_void,
    get_base: *const c_void,
    init_tensor: *const c_void,
    memset_tensor: *const c_void,
    set_tensor: Option<
        unsafe extern "C" fn(*mut Buffer, *mut sys::ggml_tensor, *const c_void, usize, usize),
    >,
    get_tensor: *const c_void,
    set_tensor_2d: *const c_void,
    get_tensor_2d: *const c_void,
    cpy_tensor: *const c_void,
    clear: *const c_void,
    reset: *const c_void,
    buft: *mut BufferType,
}

/// An object with virtual functions: the table comes first.
#[repr(C)]
struct Object<F: 'static> {
    functions: &'static F,
}

/// `ggml::cpu::extra_buffer_type`: two destructors, then what it declares.
#[repr(C)]
struct ExtraFunctions {
    destroy: unsafe extern "C" fn(*const c_void),
    destroy_and_free: unsafe extern "C" fn(*const c_void),
    supports_op: unsafe extern "C" fn(
        *const c_void,
        sys::ggml_backend_dev_t,
        *const sys::ggml_tensor,
    ) -> bool,
    get_tensor_traits: unsafe extern "C" fn(
        *const c_void,
        *const sys::ggml_tensor,
    ) -> *const Object<TraitsFunctions>,
}

/// `ggml::cpu::tensor_traits`.
#[repr(C)]
struct TraitsFunctions {
    destroy: unsafe extern "C" fn(*const c_void),
    destroy_and_free: unsafe extern "C" fn(*const c_void),
    work_size:
        unsafe extern "C" fn(*const c_void, i32, *const sys::ggml_tensor, *mut usize) -> bool,
    compute_forward:
        unsafe extern "C" fn(*const c_void, *const Share, *mut sys::ggml_tensor) -> bool,
}

unsafe extern "C" {
    /// `std::vector<ggml_backend_buffer_type_t> & ggml_backend_cpu_get_extra_buffer_types()`.
    #[link_name = "_Z39ggml_backend_cpu_get_extra_buffer_typesv"]
    fn extra_buffer_types() -> *mut Vector;
    /// `operator new(size_t, const std::nothrow_t &)`, null where there is no memory.
    #[link_name = "_ZnwmRKSt9nothrow_t"]
    fn operator_new(size: usize, nothrow: *const c_void) -> *mut c_void;
    /// `operator delete(void *)`.
    #[link_name = "_ZdlPv"]
    fn operator_delete(memory: *mut c_void);
    /// `std::nothrow`, an empty object.
    #[link_name = "_ZSt7nothrow"]
    static NOTHROW: u8;
}

static EXTRA: Object<ExtraFunctions> = Object {
    functions: &ExtraFunctions {
        destroy: keep,
        destroy_and_free: keep,
        supports_op,
        get_tensor_traits,
    },
};

static PRODUCT: Object<TraitsFunctions> = Object {
    functions: &TraitsFunctions {
        destroy: keep,
        destroy_and_free: keep,
        work_size: product_work,
        compute_forward: compute_product,
    },
};

static ADAPTER: Object<TraitsFunctions> = Object {
    functions: &TraitsFunctions {
        destroy: keep,
        destroy_and_free: keep,
        work_size: adapter_work,
        compute_forward: compute_adapter,
    },
};

static ATTENTION: Object<TraitsFunctions> = Object {
    functions: &TraitsFunctions {
        destroy: keep,
        destroy_and_free: keep,
        work_size: attention_work,
        compute_forward: compute_attention,
    },
};

/// The flag of nodes that are computed. Those without it are passed over by all threads, which do not meet after them.
const COMPUTE: i32 = sys::GGML_TENSOR_FLAG_COMPUTE.cast_signed();

/// Adds the buffer type, once, where this processor can use it; says whether it is there. To be called when the backend is
/// up and before a model is loaded: llama.cpp copies the list then.
pub(in crate::llama) fn plug_in() -> bool {
    static PLUGGED: Once = Once::new();
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    PLUGGED.call_once(|| {
        if kernel::is_supported() {
            // SAFETY: called once, when the backend is up and nothing computes yet.
            let is_there = unsafe { append(buffer_type()) };
            IS_THERE.store(is_there, Ordering::Relaxed);
        }
    });
    IS_THERE.load(Ordering::Relaxed)
}

/// Whether there are kernels of ours for this processor. Then weights in Q4_1 and Q8_0 are packed, and attention and adapters of
/// a model on the processor are computed here, so that a token's numbers do not depend on what it is computed together
/// with. Products of weights are another matter: that depends on their type.
#[must_use]
pub fn has_kernels() -> bool {
    plug_in()
}

/// The buffer type, kept for as long as the process, as llama.cpp's own are.
static BUFFER_TYPE: OnceLock<BufferType> = OnceLock::new();

// SAFETY: nobody writes to it once it is made, neither here nor in llama.cpp; what it points at are statics.
unsafe impl Sync for BufferType {}
// SAFETY: as above.
unsafe impl Send for BufferType {}

fn buffer_type() -> *mut BufferType {
    let made = BUFFER_TYPE.get_or_init(|| BufferType {
        get_name,
        alloc_buffer,
        alloc_buffer_n: std::ptr::null(),
        get_alignment,
        get_max_size: std::ptr::null(),
        get_alloc_size: std::ptr::null(),
        get_alloc_size_n: std::ptr::null(),
        is_host: std::ptr::null(),
        // SAFETY: a plain lookup, once the backend is up.
        device: unsafe { sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU) },
        context: &raw const EXTRA,
    });
    std::ptr::from_ref(made).cast_mut()
}

/// `push_back`, which is a template and has no symbol to call.
///
/// # Safety
///
/// Nobody else uses the list at the time.
unsafe fn append(entry: *mut BufferType) -> bool {
    // SAFETY: the vector is a static of the CPU backend. Its elements are plain pointers; the new memory comes from
    // where the vector gets its own, and frees it when the process ends; the old memory is given back there.
    unsafe {
        let vector = &mut *extra_buffer_types();
        let n = usize::try_from(vector.end.offset_from(vector.begin)).unwrap_or(0);
        let bytes = (n + 1) * size_of::<*mut BufferType>();
        let memory = operator_new(bytes, (&raw const NOTHROW).cast()).cast::<*mut BufferType>();
        if memory.is_null() {
            return false;
        }
        if n > 0 {
            std::ptr::copy_nonoverlapping(vector.begin, memory, n);
        }
        operator_delete(vector.begin.cast());
        memory.add(n).write(entry);
        vector.begin = memory;
        vector.end = memory.add(n + 1);
        vector.memory_end = vector.end;
    }
    true
}

/// The objects are statics: destroying them does nothing.
unsafe extern "C" fn keep(_: *const c_void) {}

unsafe extern "C" fn get_name(_: *mut BufferType) -> *const c_char {
    c"CPU_SIXTEENS".as_ptr()
}

unsafe extern "C" fn get_alignment(_: *mut BufferType) -> usize {
    // A cache line, and a vector.
    64
}

/// Plain memory of the CPU backend, which stores weights in our order.
unsafe extern "C" fn alloc_buffer(ours: *mut BufferType, size: usize) -> *mut Buffer {
    // SAFETY: allocates as the CPU backend does; the result is null or a buffer of the mirrored layout, which nobody else
    // knows yet.
    unsafe {
        let plain = sys::ggml_backend_cpu_buffer_type();
        let buffer = sys::ggml_backend_buft_alloc_buffer(plain, size).cast::<Buffer>();
        if !buffer.is_null() {
            let memory = sys::ggml_backend_buffer_get_base(buffer.cast());
            pages::in_large_pages(memory.cast(), size);
        }
        if let Some(buffer) = buffer.as_mut() {
            buffer.buft = ours;
            buffer.set_tensor = Some(set_tensor);
            buffer.get_tensor = std::ptr::null();
            buffer.cpy_tensor = std::ptr::null();
        }
        buffer
    }
}

/// Packs a weight that llama.cpp has read.
unsafe extern "C" fn set_tensor(
    _: *mut Buffer,
    tensor: *mut sys::ggml_tensor,
    data: *const c_void,
    offset: usize,
    size: usize,
) {
    // SAFETY: llama.cpp hands over an allocated tensor of this buffer and `size` bytes of its data.
    unsafe {
        let tensor = &*tensor;
        if offset != 0 || size != sys::ggml_nbytes(tensor) {
            // A part of a weight cannot be packed; llama.cpp's own types assert the same.
            std::process::abort();
        }
        let rows = std::slice::from_raw_parts(data.cast::<u8>(), size);
        product::store(tensor, rows);
        // llama.cpp maps the whole file, and reads elsewhere into a buffer that it fills anew for each weight.
        pages::let_go(rows.as_ptr(), size);
    }
}

/// Whether a weight may lie in a buffer of ours, asked with the node that will use it.
unsafe extern "C" fn supports_op(
    _: *const c_void,
    _: sys::ggml_backend_dev_t,
    op: *const sys::ggml_tensor,
) -> bool {
    // SAFETY: llama.cpp asks about a node with its sources.
    unsafe {
        let [weight, input, ..] = (*op).src;
        !weight.is_null() && !input.is_null() && product::is_possible(&*op, &*weight, &*input)
    }
}

/// Asked for every node of every graph: which of them are computed here, and how.
unsafe extern "C" fn get_tensor_traits(
    _: *const c_void,
    op: *const sys::ggml_tensor,
) -> *const Object<TraitsFunctions> {
    // SAFETY: a node of a graph with its sources; a buffer has the mirrored layout.
    unsafe {
        let op = &*op;
        if op.op == sys::GGML_OP_FLASH_ATTN_EXT && attention::is_possible(op) {
            return &raw const ATTENTION;
        }
        if !matches!(
            op.op,
            sys::GGML_OP_MUL_MAT | sys::GGML_OP_SCALE | sys::GGML_OP_ADD
        ) {
            return std::ptr::null();
        }
        let buffer = (*op.src[0]).buffer.cast::<Buffer>();
        if op.op == sys::GGML_OP_MUL_MAT
            && !buffer.is_null()
            && std::ptr::eq((*(*buffer).buft).context, &raw const EXTRA)
        {
            return &raw const PRODUCT;
        }
        match delta::step_of(op) {
            Some(_) if !is_beside_gpu() => &raw const ADAPTER,
            _ => std::ptr::null(),
        }
    }
}

unsafe extern "C" fn product_work(
    _: *const c_void,
    _: i32,
    op: *const sys::ggml_tensor,
    size: *mut usize,
) -> bool {
    // SAFETY: a product of ours with its sources, and a place for the answer.
    unsafe { *size = product::work_bytes(&*op) };
    true
}

unsafe extern "C" fn compute_product(
    _: *const c_void,
    share: *const Share,
    op: *mut sys::ggml_tensor,
) -> bool {
    // SAFETY: a product of ours, computed by every thread with the work memory that was asked for.
    unsafe { product::compute(&*share, &*op) };
    true
}

unsafe extern "C" fn adapter_work(
    _: *const c_void,
    _: i32,
    op: *const sys::ggml_tensor,
    size: *mut usize,
) -> bool {
    // SAFETY: a node of an adapter with its sources, and a place for the answer. A graph is planned before any thread computes
    // it, by the one that owns it: nobody else reads the node now.
    unsafe {
        *size = 0;
        match delta::step_of(&*op) {
            Some(Step::Add) => *size = delta::work_bytes(&*op),
            Some(Step::Skipped) => (*op.cast_mut()).flags &= !COMPUTE,
            Some(Step::Down) | None => {}
        }
    }
    true
}

unsafe extern "C" fn compute_adapter(
    _: *const c_void,
    share: *const Share,
    op: *mut sys::ggml_tensor,
) -> bool {
    // SAFETY: a node of an adapter, computed by every thread.
    unsafe {
        match delta::step_of(&*op) {
            Some(step) => delta::compute(step, &*share, &*op),
            None => return false,
        }
    }
    true
}

unsafe extern "C" fn attention_work(
    _: *const c_void,
    n_threads: i32,
    op: *const sys::ggml_tensor,
    size: *mut usize,
) -> bool {
    // SAFETY: a node of ours with its sources, and a place for the answer.
    unsafe { *size = attention::work_bytes(&*op, count(n_threads.into())) };
    true
}

unsafe extern "C" fn compute_attention(
    _: *const c_void,
    share: *const Share,
    op: *mut sys::ggml_tensor,
) -> bool {
    // SAFETY: a node of ours, computed by every thread with the work memory that was asked for.
    unsafe { attention::compute(&*share, &*op) };
    true
}
