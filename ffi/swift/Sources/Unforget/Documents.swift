// Documents and cited answers for Swift: a sketch, as Unforget.swift.

import CUnforget

/// Turns text into vectors; what a collection is made with.
public final class Embedder: @unchecked Sendable {
    let handle: OpaquePointer

    public init(_ model: Model) throws {
        var made: OpaquePointer?
        try check(uf_embedder_open(model.handle, nil, nil, &made))
        handle = made!
    }

    deinit { uf_embedder_free(handle) }
}

/// A passage that an answer cites: bytes `start..<end` of the file.
public struct Citation: Sendable {
    public let path: String
    public let text: String
    public let start: UInt64
    public let end: UInt64
}

/// An answer from documents.
public struct CitedAnswer: Sendable {
    /// With [1] and so on where it cites.
    public let text: String
    /// One of UF_ANSWER_.
    public let status: UInt32
    /// Whether every sentence is supported by a passage.
    public let grounded: Bool
    public let citations: [Citation]
}

/// Documents in a folder of their own.
public final class Collection: @unchecked Sendable {
    let handle: OpaquePointer

    public init(path: String, embedder: Embedder) throws {
        var made: OpaquePointer?
        try withBytes(path) { try check(uf_collection_open($0, $1, embedder.handle, &made)) }
        handle = made!
    }

    deinit { uf_collection_free(handle) }

    /// Adds a file, or all that is in a folder, and updates what changed.
    public func add(path: String) throws {
        try withBytes(path) { try check(uf_collection_add(handle, $0, $1, nil, nil, nil, nil)) }
    }

    /// Answers with citations. `onText` hears what the model says as it says it; its `false` cuts the answer short.
    public func ask(
        _ question: String, with session: Session, onText: @escaping (String) -> Bool = { _ in true }
    ) throws -> CitedAnswer {
        let listener = Unmanaged.passRetained(Listener(onText))
        defer { listener.release() }
        var made: OpaquePointer?
        try withBytes(question) { text, length in
            try check(uf_collection_ask(handle, session.handle, text, length, nil, heard, listener.toOpaque(), &made))
        }
        defer { uf_answer_free(made) }
        return try read(made!)
    }

    private func read(_ answer: OpaquePointer) throws -> CitedAnswer {
        var status: UInt32 = 0
        var grounded: UInt32 = 0
        var passages: OpaquePointer?
        var count = 0
        try check(uf_answer_status(answer, &status))
        try check(uf_answer_grounded(answer, &grounded))
        try check(uf_answer_citations(answer, &passages))
        try check(uf_passages_len(passages, &count))
        return CitedAnswer(
            text: try lent { uf_answer_text(answer, $0, $1) }, status: status, grounded: grounded != 0,
            citations: try (0..<count).map { try citation(passages!, $0) })
    }

    private func citation(_ passages: OpaquePointer, _ index: Int) throws -> Citation {
        var start: UInt64 = 0
        var end: UInt64 = 0
        var span: UInt32 = 0
        try check(uf_passages_range(passages, index, &start, &end, &span))
        return Citation(
            path: try lent { uf_passages_path(passages, index, $0, $1) },
            text: try lent { uf_passages_text(passages, index, $0, $1) }, start: start, end: end)
    }
}

private final class Listener {
    let onText: (String) -> Bool
    init(_ onText: @escaping (String) -> Bool) { self.onText = onText }
}

private func heard(_ text: UnsafePointer<CChar>?, _ length: Int, _ userData: UnsafeMutableRawPointer?) -> Int32 {
    let listener = Unmanaged<Listener>.fromOpaque(userData!).takeUnretainedValue()
    let piece = String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
    return listener.onText(piece) ? 0 : 1
}
