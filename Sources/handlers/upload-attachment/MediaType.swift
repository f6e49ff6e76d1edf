/// What a file is, by its own bytes: of what Gemini takes, pictures and PDF.
/// Source: https://ai.google.dev/gemini-api/docs/image-understanding, document-processing
enum MediaType: String {
    case png = "image/png"
    case jpeg = "image/jpeg"
    case webp = "image/webp"
    case heic = "image/heic"
    case heif = "image/heif"
    case pdf = "application/pdf"

    /// That of the file that begins so; nil for any other.
    init?(_ bytes: [UInt8]) {
        func has(_ text: String, at start: Int) -> Bool { bytes.dropFirst(start).starts(with: text.utf8) }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]), has("IHDR", at: 12) {
            self = .png
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if has("RIFF", at: 0), has("WEBPVP8", at: 8) {
            self = .webp
        } else if let family = FileTypeBox(bytes)?.family {
            self = family
        } else if MediaType.hasHeaderOfPDF(bytes) {
            self = .pdf
        } else {
            return nil
        }
    }

    /// Readers look for it within the first kilobyte (ISO 32000-1, annex H, implementation note 13). What is before it must be nothing
    /// that could run when the file is saved under a name of its sender's: no markup, no program, no archive.
    private static func hasHeaderOfPDF(_ bytes: [UInt8]) -> Bool {
        let start = bytes.prefix(1_024)
        guard let header = start.firstRange(of: Array("%PDF-".utf8)) else { return false }
        let before = start[..<header.lowerBound]
        let programs = ["MZ", "\u{7F}ELF", "#!", "PK"]
        return !before.contains(UInt8(ascii: "<")) && !programs.contains { before.starts(with: $0.utf8) }
    }

    /// What a file is that is of none of these types, where it is known: to tell its sender.
    static func foreignName(_ bytes: [UInt8]) -> String? {
        func has(_ text: String, at start: Int = 0) -> Bool { bytes.dropFirst(start).starts(with: text.utf8) }
        if has("GIF8") { return "GIF" }
        if has("BM") { return "BMP" }
        if has("II*\0") || has("MM\0*") { return "TIFF" }
        if let box = FileTypeBox(bytes) { return box.isAVIF ? "AVIF" : "video or other media" }
        if has("<svg") || has("<?xml") { return "SVG or XML" }
        return nil
    }

    /// Whether the sender may call it that; who does not know says nothing or what stands for anything.
    func isCalled(_ name: String) -> Bool {
        let isHEIF = [.heic, .heif].contains(self) && [Self.heic, .heif].contains(MediaType(rawValue: name))
        return name == rawValue || isHEIF || ["", "application/octet-stream"].contains(name)
    }

    /// Whether a file is all there, as far as it is of a type that says where it ends.
    func isWhole(_ file: FileBody) -> Bool {
        switch self {
        case .png: file.tail.suffix(12).elementsEqual([0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82])
        case .webp: file.head[4..<8].reversed().reduce(0) { $0 << 8 | Int($1) } + 8 <= file.length
        case .pdf: file.hasEndOfPDF && (MediaType.linearizedLength(file.head).map { $0 <= file.length } ?? true)
        // Telephones put more behind a picture.
        case .jpeg, .heic, .heif: true
        }
    }

    /// The length that a PDF made for the web says that it has, besides what is before its header: of those an end comes early, too.
    private static func linearizedLength(_ bytes: [UInt8]) -> Int? {
        let start = String(decoding: bytes.prefix(2_048), as: UTF8.self)
        guard start.contains("/Linearized"), let length = start.firstMatch(of: /\/L\s+(\d{1,12})\b/) else { return nil }
        return Int(length.1)
    }
}

/// The box that HEIF pictures begin with, and what else is in that container: brands of four letters, of which the first says what
/// it is and the others what may read it. Source: ISO/IEC 14496-12, 4.3; brands: ISO/IEC 23008-12, annex B.
struct FileTypeBox {
    private let major: String
    private let compatible: [String]

    /// Of the still pictures and sequences of HEVC, and of those of any codec.
    private static let heic: Set = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"]
    private static let heif: Set = ["mif1", "msf1", "mif2"]
    private static let avif: Set = ["avif", "avis"]

    /// Nil where the file does not begin with one. A box says how long it is; more than 256 bytes of it are not looked at.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 16, bytes[4..<8].elementsEqual("ftyp".utf8) else { return nil }
        let length = bytes[0..<4].reduce(0) { $0 << 8 | Int($1) }
        let brands = stride(from: 8, to: max(12, min(length, 256, bytes.count) - 3), by: 4).map {
            String(decoding: bytes[$0..<$0 + 4], as: UTF8.self)
        }
        major = brands[0]
        compatible = Array(brands.dropFirst(2))  // the second is a version
    }

    /// By the first brand that tells; what is only said to be readable as a picture of any codec may be one that Gemini does not take.
    var family: MediaType? {
        if FileTypeBox.heic.contains(major) { return .heic }
        if isAVIF { return nil }
        if FileTypeBox.heif.contains(major) { return .heif }
        if compatible.contains(where: FileTypeBox.heic.contains) { return .heic }
        return compatible.contains(where: FileTypeBox.heif.contains) ? .heif : nil
    }

    var isAVIF: Bool {
        FileTypeBox.avif.contains(major)
            || !compatible.contains(where: FileTypeBox.heic.contains)
                && compatible.contains(where: FileTypeBox.avif.contains)
    }
}
