/// Where all that looks random comes from, so that the same seed says the same things.
struct Seed {
    let value: UInt64

    /// FNV-1a over the text, then the finalizer of SplitMix64, because FNV alone mixes the low bits poorly.
    func number(for text: String) -> UInt64 {
        var hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 ^ value) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        return hash ^ hash >> 31
    }
}
