/// What a file is, by its own bytes: of what Gemini takes, pictures and PDF.
/// Source: https://ai.google.dev/gemini-api/docs/image-understanding, document-processing
enum MediaType: String {
    case png = "image/png"
    case jpeg = "image/jpeg"
    case webp = "image/webp"
    case heic = "image/heic"
    case heif = "image/heif"
    case pdf = "application/pdf"

    /// That of the file that begins so; nil for any other. What is before a PDF's header is not overlooked, as readers do.
    init?(_ bytes: [UInt8]) {
        func has(_ text: String, at start: Int) -> Bool { bytes.dropFirst(start).starts(with: text.utf8) }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]), has("IHDR", at: 12) {
            self = .png
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if has("RIFF", at: 0), has("WEBPVP8", at: 8) {
            self = .webp
        } else if has("ftyp", at: 4), ["heic", "heix", "heim", "heis"].contains(where: { has($0, at: 8) }) {
            self = .heic
        } else if has("ftyp", at: 4), has("mif1", at: 8) {
            self = .heif
        } else if has("%PDF-", at: 0) {
            self = .pdf
        } else {
            return nil
        }
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
        case .pdf: file.tail.firstRange(of: "%%EOF".utf8) != nil
        // Telephones put more behind a picture.
        case .jpeg, .heic, .heif: true
        }
    }
}
