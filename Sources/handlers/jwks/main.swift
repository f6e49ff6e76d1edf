import Common

serve { _, _ in
    let keys = Settings.tokenKeys.published.compactMap(\.jwk).joined(separator: ",")
    return .json("{\"keys\":[\(keys)]}", headers: [("Cache-Control", "public, max-age=300")])
}
