// Documents and cited answers for Kotlin over JNA: a sketch, as Unforget.kt.

package dev.unforget

import com.sun.jna.Callback
import com.sun.jna.Library
import com.sun.jna.Native
import com.sun.jna.Pointer
import com.sun.jna.ptr.IntByReference
import com.sun.jna.ptr.LongByReference
import com.sun.jna.ptr.PointerByReference

/** `uf_text_callback`. JNA wants it reachable for as long as the library may call it: for the time of the call. */
internal interface TextCallback : Callback {
    fun invoke(text: Pointer, len: Long, userData: Pointer?): Int
}

/** The functions of unforget.h that this file uses. */
internal interface DocumentsAbi : Library {
    fun uf_embedder_open(model: Pointer, options: Pointer?, cancel: Pointer?, out: PointerByReference): Int
    fun uf_embedder_free(embedder: Pointer?)
    fun uf_collection_open(path: Pointer, len: Long, embedder: Pointer, out: PointerByReference): Int
    fun uf_collection_add(
        collection: Pointer, path: Pointer, len: Long, options: Pointer?, callback: Callback?, userData: Pointer?,
        out: PointerByReference?
    ): Int
    fun uf_collection_ask(
        collection: Pointer, session: Pointer, question: Pointer, len: Long, options: Pointer?, callback: TextCallback?,
        userData: Pointer?, out: PointerByReference
    ): Int
    fun uf_collection_free(collection: Pointer?)
    fun uf_answer_text(answer: Pointer, text: PointerByReference, len: LongByReference): Int
    fun uf_answer_status(answer: Pointer, out: IntByReference): Int
    fun uf_answer_grounded(answer: Pointer, out: IntByReference): Int
    fun uf_answer_citations(answer: Pointer, out: PointerByReference): Int
    fun uf_answer_free(answer: Pointer?)
    fun uf_passages_len(passages: Pointer, out: LongByReference): Int
    fun uf_passages_text(passages: Pointer, index: Long, text: PointerByReference, len: LongByReference): Int
    fun uf_passages_path(passages: Pointer, index: Long, text: PointerByReference, len: LongByReference): Int
    fun uf_passages_range(
        passages: Pointer, index: Long, start: LongByReference, end: LongByReference, span: IntByReference
    ): Int
}

private val documents: DocumentsAbi = Native.load("unforget", DocumentsAbi::class.java)

/** Turns text into vectors; what a collection is made with. */
class Embedder(model: Model) : AutoCloseable {
    internal val handle = make { documents.uf_embedder_open(model.handle, null, null, it) }

    override fun close() = documents.uf_embedder_free(handle)
}

/** A passage that an answer cites: bytes `start` to before `end` of the file. */
data class Citation(val path: String, val text: String, val start: Long, val end: Long)

/** An answer from documents; `status` is one of UF_ANSWER_. */
data class CitedAnswer(val text: String, val status: Int, val grounded: Boolean, val citations: List<Citation>)

/** Documents in a folder of their own. */
class Collection(path: String, embedder: Embedder) : AutoCloseable {
    private val handle = withBytes(path) { text, len ->
        make { documents.uf_collection_open(text, len, embedder.handle, it) }
    }

    /** Adds a file, or all that is in a folder, and updates what changed. */
    fun add(path: String) = withBytes(path) { text, len ->
        ok(documents.uf_collection_add(handle, text, len, null, null, null, null))
    }

    /** Answers with citations. `onText` hears what the model says as it says it; its `false` cuts the answer short. */
    fun ask(question: String, session: Session, onText: (String) -> Boolean = { true }): CitedAnswer {
        val heard = object : TextCallback {
            override fun invoke(text: Pointer, len: Long, userData: Pointer?) = if (onText(text.string(len))) 0 else 1
        }
        val answer = withBytes(question) { text, len ->
            make { documents.uf_collection_ask(handle, session.handle, text, len, null, heard, null, it) }
        }
        try {
            return read(answer)
        } finally {
            documents.uf_answer_free(answer)
        }
    }

    private fun read(answer: Pointer): CitedAnswer {
        val passages = make { documents.uf_answer_citations(answer, it) }
        val count = LongByReference().also { ok(documents.uf_passages_len(passages, it)) }.value
        return CitedAnswer(
            text = lent { text, len -> documents.uf_answer_text(answer, text, len) },
            status = number { documents.uf_answer_status(answer, it) },
            grounded = number { documents.uf_answer_grounded(answer, it) } != 0,
            citations = (0 until count).map { citation(passages, it) }
        )
    }

    private fun citation(passages: Pointer, index: Long): Citation {
        val (start, end) = LongByReference() to LongByReference()
        ok(documents.uf_passages_range(passages, index, start, end, IntByReference()))
        return Citation(
            path = lent { text, len -> documents.uf_passages_path(passages, index, text, len) },
            text = lent { text, len -> documents.uf_passages_text(passages, index, text, len) },
            start = start.value,
            end = end.value
        )
    }

    override fun close() = documents.uf_collection_free(handle)
}

private fun number(call: (IntByReference) -> Int): Int = IntByReference().also { ok(call(it)) }.value
