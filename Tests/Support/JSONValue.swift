import Foundation

/// Any JSON, to be looked into: `answer.json["user"]["mobile"].text`.
public enum JSONValue: Equatable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByStringInterpolation
{
    /// What is not there at all; never read from JSON.
    case missing
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }

    /// Reads it; nil where the bytes are no JSON.
    public init?(_ bytes: some Collection<UInt8>) {
        guard let value = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed]) else {
            return nil
        }
        self.init(any: value)
    }

    private init(any value: Any) {
        switch value {
        case let value as String: self = .string(value)
        case let value as [Any]: self = .array(value.map(JSONValue.init(any:)))
        case let value as [String: Any]: self = .object(value.mapValues(JSONValue.init(any:)))
        case is NSNull: self = .null
        case let value as NSNumber:
            self = value.objCType[0] == 99 ? .bool(value.boolValue) : .number(value.doubleValue)
        default: self = .missing
        }
    }

    public subscript(name: String) -> JSONValue {
        if case .object(let members) = self { members[name] ?? .missing } else { .missing }
    }
    public subscript(index: Int) -> JSONValue { list.indices.contains(index) ? list[index] : .missing }

    public var text: String? { if case .string(let value) = self { value } else { nil } }
    public var number: Double? { if case .number(let value) = self { value } else { nil } }
    public var list: [JSONValue] { if case .array(let value) = self { value } else { [] } }
    /// The names of an object's members.
    public var names: Set<String> { if case .object(let members) = self { Set(members.keys) } else { [] } }

    /// As it is sent.
    public var bytes: [UInt8] {
        switch self {
        case .missing, .null: Array("null".utf8)
        case .bool(let value): Array((value ? "true" : "false").utf8)
        case .number(let value):
            Array((Int(exactly: value).map { String($0) } ?? String(value)).utf8)
        case .string(let value):
            (try? JSONEncoder().encode(value)).map(Array.init) ?? []
        case .array(let values):
            [0x5B] + values.map(\.bytes).joined(separator: [0x2C]) + [0x5D]
        case .object(let members):
            [0x7B]
                + members.sorted { $0.key < $1.key }.map { JSONValue.string($0.key).bytes + [0x3A] + $0.value.bytes }
                .joined(separator: [0x2C]) + [0x7D]
        }
    }
}
