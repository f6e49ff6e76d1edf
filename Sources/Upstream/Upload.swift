import CCurl
import Common
import Glibc

/// A body that is put together while it is sent, because it is too large to be held: one of its pieces is in memory at a time.
public final class Upload {
    /// A part of it.
    public enum Piece {
        case bytes([UInt8])
        /// So many bytes, fetched when it is their turn, and again where the request has to be sent again.
        case fetched(count: Int, () throws -> [UInt8])

        fileprivate var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .fetched(let count, _): count
            }
        }
    }

    private struct WrongLength: Error {}

    private let pieces: [Piece]
    private var next = 0
    /// What is left of the piece at hand.
    private var rest: ArraySlice<UInt8> = []

    /// A text in which pieces take the places of `mark`, one list after the other.
    init(_ text: [UInt8], mark: String, for lists: [[Piece]]) {
        var pieces: [Piece] = []
        var text = text[...]
        for list in lists {
            guard let place = text.firstRange(of: mark.utf8) else { break }
            pieces.append(.bytes(Array(text[..<place.lowerBound])))
            pieces += list
            text = text[place.upperBound...]
        }
        self.pieces = pieces + [.bytes(Array(text))]
    }

    /// Has it sent by a handle of libcurl, which must not outlive it.
    func attach(to easy: UnsafeMutableRawPointer) {
        curl_set_upload(
            easy, curl_off_t(pieces.reduce(0) { $0 + $1.count }),
            { buffer, size, count, context in
                guard let buffer, let context else { return Int(CURL_READFUNC_ABORT) }
                let upload = Unmanaged<Upload>.fromOpaque(context).takeUnretainedValue()
                return upload.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
            },
            { context, offset, origin in
                guard let context, offset == 0, origin == SEEK_SET else { return CURL_SEEKFUNC_CANTSEEK }
                let upload = Unmanaged<Upload>.fromOpaque(context).takeUnretainedValue()
                (upload.next, upload.rest) = (0, [])
                return CURL_SEEKFUNC_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        do {
            while rest.isEmpty, next < pieces.count {
                switch pieces[next] {
                case .bytes(let bytes): rest = bytes[...]
                case .fetched(let count, let fetch):
                    rest = try fetch()[...]
                    guard rest.count == count else { throw WrongLength() }
                }
                next += 1
            }
        } catch {
            Log.error("a request cannot be sent whole", ["reason": "\(error)"])
            return Int(CURL_READFUNC_ABORT)
        }
        let part = rest.prefix(buffer.count)
        buffer.copyBytes(from: part)
        rest = rest.dropFirst(part.count)
        return part.count
    }
}
