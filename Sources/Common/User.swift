/// A user, as their own requests see them.
public enum User {
    /// The plan that the user `u` is on now: `basic` or `pro`.
    public static let tier: SQL = "(case when u.pro_until > now() then 'pro' else 'basic' end)"
}
