/// Names and values as `application/x-www-form-urlencoded`, for a body or a query. Names go in as they are: `items[0][price]`.
func formEncoded(_ pairs: [(String, String)]) -> String {
    pairs.map { "\($0)=\(percentEncoded($1))" }.joined(separator: "&")
}

/// All but the unreserved characters of RFC 3986, 2.3.
private func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let character = Character(Unicode.Scalar(byte))
        let isUnreserved =
            character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
        return isUnreserved ? String(character) : "%\([byte].hex.uppercased())"
    }.joined()
}
