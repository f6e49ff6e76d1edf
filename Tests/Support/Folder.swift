import Foundation

/// A folder of a test's own with a name short enough for sockets, gone when nothing holds it any more.
public final class Folder: Sendable {
    /// All of them are in this one, which is removed when the tests end, however they end: see `Postgres`.
    static let root: String = {
        var name = Array("/tmp/chat-test.XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { fatalError("no folder: \(String(cString: strerror(errno)))") }
        let path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        // Postgres runs as an account that has to get through.
        chmod(path, 0o711)
        return path
    }()
    private static let counter = Counter()

    public let path: String

    public init() throws {
        path = "\(Folder.root)/\(Folder.counter.next())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        chmod(path, 0o711)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The project's own folder.
public let projectFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
