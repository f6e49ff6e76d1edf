/// Takes a stream of server-sent events apart as its bytes come (WHATWG HTML, 9.2.6: "Interpreting an event stream").
struct ServerSentEvents {
    /// The lines of a body that is no stream of events: the JSON of an error. Its lines have no field's name before them.
    private(set) var body: [UInt8] = []

    private var line: [UInt8] = []
    /// The data of the event that is being read; nil where none of its lines had any.
    private var data: [UInt8]?
    private var isFirstLine = true
    /// Whether the last byte was a CR, with which an LF makes one end of a line.
    private var endedWithCR = false

    /// Takes the next bytes and gives the data of the events that they complete.
    mutating func receive(_ bytes: [UInt8]) -> [[UInt8]] {
        var events: [[UInt8]] = []
        var rest = bytes[...]
        if endedWithCR, let first = rest.first {
            if first == 0x0A { rest.removeFirst() }
            endedWithCR = false
        }
        // Only CR and LF end a line: U+2028 and the like are text.
        while let end = rest.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
            line += rest[..<end]
            let isCR = rest[end] == 0x0D
            rest = rest[(end + 1)...]
            if isCR {
                if rest.first == 0x0A { rest.removeFirst() } else { endedWithCR = rest.isEmpty }
            }
            if let event = endLine() { events.append(event) }
        }
        line += rest
        return events
    }

    /// The data of an event that was not completed before the end of the stream. The standard has it dropped; whether it is
    /// whole shows in the JSON.
    mutating func end() -> [UInt8]? {
        if !line.isEmpty { _ = endLine() }
        defer { data = nil }
        return data
    }

    /// The data of the event that this line ends.
    private mutating func endLine() -> [UInt8]? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer { data = nil }
            return data?.isEmpty == false ? data : nil
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            var value = line[colon...].dropFirst()
            if value.first == UInt8(ascii: " ") { value.removeFirst() }
            data = (data.map { $0 + [0x0A] } ?? []) + value
        case "", "event", "id", "retry": break
        default:
            let isOpening = line.first { $0 != 0x20 && $0 != 0x09 }.map { "{[".utf8.contains($0) } ?? false
            if !body.isEmpty || isOpening { body += line + [0x0A] }
        }
        return nil
    }
}
