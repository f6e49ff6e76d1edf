import Foundation

/// Files as people send them, as small as they can be, or of any length.
enum Files {
    /// A picture of one pixel.
    static let png = bytes(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    static let jpeg: [UInt8] =
        [0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10] + "JFIF".utf8 + [0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0xFF, 0xD9]
    static let webp = bytes("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
    static let heic: [UInt8] =
        [0, 0, 0, 0x18] + "ftypheic".utf8 + [0, 0, 0, 0] + "mif1heic".utf8 + [0, 0, 0, 8] + "mdat".utf8
    static let heif: [UInt8] =
        [0, 0, 0, 0x18] + "ftypmif1".utf8 + [0, 0, 0, 0] + "mif1heix".utf8 + [0, 0, 0, 8] + "mdat".utf8
    static let pdf = Array("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n".utf8)

    /// One made for the web, which has an end early.
    static let linearizedPDF: [UInt8] = {
        let rest = "1 0 obj<</Type/Catalog>>endobj\n%%EOF\n2 0 obj<</Type/Pages>>endobj\nstartxref\n0\n%%EOF\n"
        let head = "%PDF-1.7\n9 0 obj<</Linearized 1/L 00000/O 1>>endobj\n"
        let length = String(100_000 + head.utf8.count + rest.utf8.count).dropFirst()
        return Array(head.replacing("00000", with: length).utf8) + rest.utf8
    }()

    /// A file of the ISO base media format that is of this brand and says that it can be read as others.
    static func boxed(_ brand: String, padding: Int = 0, _ compatible: String...) -> [UInt8] {
        let brands =
            [UInt8](brand.utf8) + [0, 0, 0, 0] + [UInt8](repeating: 0x20, count: padding * 4)
            + compatible.flatMap { Array($0.utf8) }
        let length = withUnsafeBytes(of: UInt32(brands.count + 8).bigEndian) { Array($0) }
        return length + "ftyp".utf8 + brands + [0, 0, 0, 8] + "mdat".utf8
    }

    static let all: [(type: String, bytes: [UInt8])] = [
        ("image/png", png), ("image/jpeg", jpeg), ("image/webp", webp), ("image/heic", heic), ("image/heif", heif),
        ("application/pdf", pdf),
    ]

    /// A picture of this many bytes, 57 at least, which are the same for the same seed.
    static func png(of count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = Repeatable(state: seed)
        let words = (0...(count / 8)).map { _ in random.next() }
        let filling = words.withUnsafeBytes { Array($0.prefix(count - 57)) }
        let length = withUnsafeBytes(of: UInt32(filling.count).bigEndian) { Array($0) }
        // A chunk that nobody knows, before the end.
        return png[..<33] + length + "fiLl".utf8 + filling + [0, 0, 0, 0] + png.suffix(12)
    }

    private static func bytes(_ base64: String) -> [UInt8] { Data(base64Encoded: base64).map(Array.init) ?? [] }
}
