// Models, sessions and answers for Kotlin over JNA: a sketch to start from, of the same shape as the other wrappers, in Kotlin
// 1.3 or newer. No part of this project's tests. JNA is `net.java.dev.jna:jna` (on Android its `aar`).

package dev.unforget

import com.sun.jna.Library
import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.Pointer
import com.sun.jna.ptr.LongByReference
import com.sun.jna.ptr.PointerByReference

/** The functions of unforget.h that this file uses. `size_t` is a Long: 64-bit systems only. */
internal interface Abi : Library {
    fun uf_abi_version(): Int
    fun uf_last_error(): Pointer
    fun uf_model_open(path: Pointer, len: Long, options: Pointer?, out: PointerByReference): Int
    fun uf_model_open_fd(fd: Int, options: Pointer?, out: PointerByReference): Int
    fun uf_model_free(model: Pointer?)
    fun uf_session_open(model: Pointer, options: Pointer?, out: PointerByReference): Int
    fun uf_session_start_chat(session: Pointer, chat: Pointer, options: Pointer?): Int
    fun uf_session_next(session: Pointer, text: PointerByReference, len: LongByReference): Int
    fun uf_session_stop(session: Pointer): Int
    fun uf_session_free(session: Pointer?)
    fun uf_chat_new(out: PointerByReference): Int
    fun uf_chat_add(chat: Pointer, role: Int, content: Pointer, len: Long): Int
    fun uf_chat_free(chat: Pointer?)
    fun uf_generate_options_new(out: PointerByReference): Int
    fun uf_generate_options_set_max_tokens(options: Pointer, n: Int): Int
    fun uf_generate_options_set_cancel(options: Pointer, cancel: Pointer): Int
    fun uf_generate_options_free(options: Pointer?)
    fun uf_cancel_new(out: PointerByReference): Int
    fun uf_cancel_raise(cancel: Pointer): Int
    fun uf_cancel_free(cancel: Pointer?)
}

internal val abi: Abi = Native.load("unforget", Abi::class.java).also {
    check(it.uf_abi_version() == 1) { "libunforget has interface ${it.uf_abi_version()}, not 1" }
}

/** What went wrong, and what to do about it. */
class UnforgetException(val status: Int, message: String) : Exception(message)

internal fun ok(status: Int) {
    if (status != 0) throw UnforgetException(status, abi.uf_last_error().getString(0, "UTF-8"))
}

internal fun make(call: (PointerByReference) -> Int): Pointer = PointerByReference().also { ok(call(it)) }.value

internal fun Pointer.string(len: Long): String = getByteArray(0, len.toInt()).toString(Charsets.UTF_8)

/** A text that a call lends, copied. */
internal fun lent(call: (PointerByReference, LongByReference) -> Int): String {
    val (text, len) = PointerByReference() to LongByReference()
    ok(call(text, len))
    return text.value.string(len.value)
}

internal fun <R> withBytes(text: String, body: (Pointer, Long) -> R): R {
    val bytes = text.toByteArray()
    val memory = Memory(maxOf(bytes.size, 1).toLong()).apply { write(0, bytes, 0, bytes.size) }
    return body(memory, bytes.size.toLong())
}

/** Who says a message. The numbers are UF_ROLE_. */
enum class Role { SYSTEM, USER, ASSISTANT }

data class Message(val role: Role, val content: String)

/** One GGUF file. A descriptor comes from `ParcelFileDescriptor.fd`; it stays the caller's. */
class Model private constructor(internal val handle: Pointer) : AutoCloseable {
    constructor(path: String) : this(withBytes(path) { text, len -> make { abi.uf_model_open(text, len, null, it) } })
    constructor(descriptor: Int) : this(make { abi.uf_model_open_fd(descriptor, null, it) })

    override fun close() = abi.uf_model_free(handle)
}

/** One timeline of tokens over a model. */
class Session(model: Model) : AutoCloseable {
    internal val handle = make { abi.uf_session_open(model.handle, null, it) }

    /** The answer to the last message, piece by piece. Raise `cancel` from another thread to stop it. */
    fun answer(messages: List<Message>, maxTokens: Int = 512, cancel: Cancel? = null): Sequence<String> = sequence {
        start(messages, maxTokens, cancel)
        try {
            while (true) {
                val piece = lent { text, len -> abi.uf_session_next(handle, text, len) }
                if (piece.isEmpty()) break
                yield(piece)
            }
        } finally {
            abi.uf_session_stop(handle)
        }
    }

    private fun start(messages: List<Message>, maxTokens: Int, cancel: Cancel?) {
        val chat = make { abi.uf_chat_new(it) }
        val options = make { abi.uf_generate_options_new(it) }
        try {
            for (message in messages) {
                withBytes(message.content) { text, len -> ok(abi.uf_chat_add(chat, message.role.ordinal, text, len)) }
            }
            ok(abi.uf_generate_options_set_max_tokens(options, maxTokens))
            if (cancel != null) ok(abi.uf_generate_options_set_cancel(options, cancel.handle))
            ok(abi.uf_session_start_chat(handle, chat, options))
        } finally {
            abi.uf_generate_options_free(options)
            abi.uf_chat_free(chat)
        }
    }

    override fun close() = abi.uf_session_free(handle)
}

/** Stops work from another thread. */
class Cancel : AutoCloseable {
    internal val handle = make { abi.uf_cancel_new(it) }

    fun raise() = ok(abi.uf_cancel_raise(handle))

    override fun close() = abi.uf_cancel_free(handle)
}
