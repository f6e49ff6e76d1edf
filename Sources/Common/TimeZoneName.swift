/// What is wrong with the name of a time zone, as the predicate of a sentence: update-me sees that it has no such form, or Postgres that
/// it knows none of that name.
public enum TimeZoneName {
    public static let unknown = "must be a name of the IANA time zone database, such as Asia/Kolkata"
}
