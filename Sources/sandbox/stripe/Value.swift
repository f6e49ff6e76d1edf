/// Any JSON, as the API writes it.
indirect enum Value: Encodable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    case null
    case bool(Bool)
    case number(Int)
    case string(String)
    case list([Value])
    case object([String: Value])

    init(nilLiteral: ()) { self = .null }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(integerLiteral value: Int) { self = .number(value) }
    init(stringLiteral value: String) { self = .string(value) }
    init(arrayLiteral elements: Value...) { self = .list(elements) }
    init(dictionaryLiteral elements: (String, Value)...) { self = .object(Dictionary(elements) { $1 }) }

    init(_ value: Int?) { self = value.map(Value.number) ?? .null }
    init(_ value: String?) { self = value.map(Value.string) ?? .null }
    init(_ texts: [String: String]) { self = .object(texts.mapValues(Value.string)) }

    /// An object with these members besides.
    func with(_ more: [String: Value]) -> Value {
        if case .object(let members) = self { .object(members.merging(more) { $1 }) } else { self }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}
