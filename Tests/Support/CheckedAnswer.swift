/// The sandbox's answer to `[sandbox:checked]`, made here a second time: from the conversation alone.
public enum CheckedAnswer {
    /// - Parameter turns: as `user: Hello`, the oldest first; the last one is the message.
    public static func text(to turns: [String], words: Int = 40) -> String {
        let earlier = turns.dropLast().map { "\($0)\n" }.joined()
        let kinds = ["plain", "naïve", "“quoted”", "😀"]
        let numbered = (0..<words).map { "\($0) \(kinds[$0 % kinds.count])" }.joined(separator: ", ")
        let message = turns.last?.dropFirst("user: ".count) ?? ""
        let text = "To: \(message)\nAfter: \(max(0, turns.count - 1)) \(hash(earlier))\n\(numbered)\n"
        return text + hash(text)
    }

    /// FNV-1a and the finalizer of SplitMix64.
    private static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        return String(hash ^ hash >> 31, radix: 16)
    }
}
