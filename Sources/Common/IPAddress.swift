import Glibc

/// An address of IPv4 or IPv6, as 16 bytes: one of IPv4 is mapped (RFC 4291, 2.5.5.2), so that both ways to write it are one address.
struct IPAddress: Equatable, Sendable {
    let bytes: [UInt8]
    fileprivate static let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    /// Nil for what is no address.
    init?(_ text: some StringProtocol) {
        let text = String(text)
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = IPAddress.mapped + withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: six) { Array($0) }
        } else {
            return nil
        }
    }

    /// An address with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
    init?(withPort text: some StringProtocol) {
        let text = String(text).filter { $0 != " " && $0 != "\t" }
        if let address = IPAddress(text) {
            self = address
        } else if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            self.init(text[..<end].dropFirst())
        } else if let colon = text.firstIndex(of: ":") {
            self.init(text[..<colon])
        } else {
            return nil
        }
    }

    fileprivate var isIPv4: Bool { bytes.starts(with: IPAddress.mapped) }

    var text: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let bytes = isIPv4 ? Array(bytes.suffix(4)) : bytes
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &buffer, socklen_t(buffer.count))
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// The proxies in front of this site: addresses and ranges (CIDR, RFC 4632) whose `X-Forwarded-For` is believed.
struct TrustedProxies: Sendable {
    private let networks: [(address: IPAddress, bits: Int)]

    /// Nil for a list of anything else, with commas or spaces between.
    init?(_ list: String) {
        var networks: [(IPAddress, Int)] = []
        for entry in list.split(whereSeparator: { ", ".contains($0) }) {
            let parts = entry.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
            let length = parts[0].contains(":") ? 128 : 32
            guard let bits = parts.count == 2 ? Int(parts[1]) : length, (0...length).contains(bits) else { return nil }
            networks.append((address, 128 - length + bits))
        }
        self.networks = networks
    }

    /// The client that `peer` speaks for. Each proxy appends the address from which it was called, so the header is read from the right,
    /// past the trusted ones; what stands further left anybody may have written. nginx does the same (`real_ip_recursive on`).
    func client(of peer: IPAddress, forwardedFor header: String?) -> IPAddress {
        guard !networks.isEmpty, let header else { return peer }
        var client = peer
        for entry in header.split(separator: ",", omittingEmptySubsequences: false).reversed() {
            guard contains(client), let address = IPAddress(withPort: entry) else { break }
            client = address
        }
        return client
    }

    private func contains(_ address: IPAddress) -> Bool {
        networks.contains { network in
            (0..<16).allSatisfy { index in
                let bits = min(8, max(0, network.bits - 8 * index))
                let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
                return address.bytes[index] & mask == network.address.bytes[index] & mask
            }
        }
    }
}
