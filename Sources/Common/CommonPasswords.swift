/// The 3,000 most common passwords, of Passwords/common.txt, in lower case.
enum CommonPasswords {
    /// Made when a password is first chosen, so that no handler's start waits for it.
    static let all = Set(
        String(decoding: PackageResources.common_txt, as: UTF8.self).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }.map(String.init))
}
