import Common

/// The file as it comes: piece by piece, of which none stays in memory.
final class FileBody {
    private let request: Request
    private let name: String?
    private var sha256 = SHA256()
    /// The first piece.
    private(set) var head: [UInt8] = []
    /// The last 12 bytes of what has come.
    private(set) var tail: [UInt8] = []
    /// Whether the mark of a PDF's end was among what has come. Anything may follow it.
    private(set) var hasEndOfPDF = false
    /// How many bytes have come.
    private(set) var length = 0
    /// Whether all of it has come that was announced.
    var isComplete: Bool { request.contentLength.map { $0 == length } ?? true }

    init(_ request: Request, name: String?) {
        (self.request, self.name) = (request, name)
        head = next()
    }

    /// The next piece; empty at the end.
    func next() -> [UInt8] {
        let piece = request.read(Attachment.pieceLength)
        sha256.add(piece)
        if !hasEndOfPDF { hasEndOfPDF = (tail + piece).hasEndOfPDF }
        tail = Array((tail.suffix(12) + piece.suffix(12)).suffix(12))
        length += piece.count
        return piece
    }

    /// Of all of it, which is read to its end, and of its name: by which a repeated request is known.
    func hash() -> String {
        while !next().isEmpty {}
        return "\(sha256.value.hex) \(Sodium.sha256(Array((name ?? "").utf8)).hex)"
    }
}

extension [UInt8] {
    /// Whether `%%EOF` is in it, told in one pass.
    fileprivate var hasEndOfPDF: Bool {
        let mark = Array("%%EOF".utf8)
        return withUnsafeBytes { bytes in
            (0..<Swift.max(0, bytes.count - mark.count + 1)).contains { start in
                bytes[start] == mark[0] && bytes[start..<start + mark.count].elementsEqual(mark)
            }
        }
    }
}
