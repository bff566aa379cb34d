// Models, sessions and answers for Swift: a sketch to start from, of the same shape as the other wrappers. Not compiled by
// this project's tests, which run on Linux without Swift.

import CUnforget

/// What went wrong, and what to do about it.
public struct UnforgetError: Error, CustomStringConvertible {
    public let status: uf_status
    public let description: String
}

func check(_ status: uf_status) throws {
    guard status != UF_OK else { return }
    throw UnforgetError(status: status, description: String(cString: uf_last_error()))
}

func withBytes<R>(_ text: String, _ body: (UnsafePointer<CChar>?, Int) throws -> R) rethrows -> R {
    var text = text
    return try text.withUTF8 { bytes in
        try bytes.withMemoryRebound(to: CChar.self) { try body($0.baseAddress, $0.count) }
    }
}

/// A text that a call lends, copied.
func lent(_ call: (UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafeMutablePointer<Int>) -> uf_status) throws -> String {
    var text: UnsafePointer<CChar>?
    var length = 0
    try check(call(&text, &length))
    return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
}

/// One GGUF file, checked and mapped. Any number of threads may use it at once.
public final class Model: @unchecked Sendable {
    let handle: OpaquePointer

    public init(path: String) throws {
        var made: OpaquePointer?
        try withBytes(path) { try check(uf_model_open($0, $1, nil, &made)) }
        handle = made!
    }

    /// For a file that the user picked: the descriptor stays the caller's.
    public init(descriptor: Int32) throws {
        var made: OpaquePointer?
        try check(uf_model_open_fd(descriptor, nil, &made))
        handle = made!
    }

    deinit { uf_model_free(handle) }
}

/// Stops work from another thread, until it is lowered.
public final class Cancel: @unchecked Sendable {
    let handle: OpaquePointer

    public init() throws {
        var made: OpaquePointer?
        try check(uf_cancel_new(&made))
        handle = made!
    }

    public func raise() { uf_cancel_raise(handle) }
    public func lower() { uf_cancel_lower(handle) }

    deinit { uf_cancel_free(handle) }
}

/// One timeline of tokens over a model.
public final class Session: @unchecked Sendable {
    let handle: OpaquePointer

    public init(_ model: Model, contextLength: UInt32 = 0) throws {
        var options: OpaquePointer?
        var made: OpaquePointer?
        try check(uf_session_options_new(&options))
        defer { uf_session_options_free(options) }
        try check(uf_session_options_set_n_ctx(options, contextLength))
        try check(uf_session_open(model.handle, options, &made))
        handle = made!
    }

    deinit { uf_session_free(handle) }

    /// The answer to the last message, piece by piece. Cancelling the task stops it, in prefill too.
    public func answer(
        _ messages: [(role: UInt32, content: String)], maxTokens: UInt32 = 512
    ) throws -> AsyncThrowingStream<String, Error> {
        let cancel = try Cancel()
        return AsyncThrowingStream { continuation in
            continuation.onTermination = { _ in cancel.raise() }
            Task.detached { [self] in
                do {
                    try start(messages, maxTokens: maxTokens, cancel: cancel)
                    while let piece = try next() { continuation.yield(piece) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }

    private func start(_ messages: [(role: UInt32, content: String)], maxTokens: UInt32, cancel: Cancel) throws {
        var chat: OpaquePointer?
        var options: OpaquePointer?
        try check(uf_chat_new(&chat))
        defer { uf_chat_free(chat) }
        for message in messages {
            try withBytes(message.content) { try check(uf_chat_add(chat, message.role, $0, $1)) }
        }
        try check(uf_generate_options_new(&options))
        defer { uf_generate_options_free(options) }
        try check(uf_generate_options_set_max_tokens(options, maxTokens))
        try check(uf_generate_options_set_cancel(options, cancel.handle))
        try check(uf_session_start_chat(handle, chat, options))
    }

    private func next() throws -> String? {
        let piece = try lent { uf_session_next(handle, $0, $1) }
        return piece.isEmpty ? nil : piece
    }
}
